"""Dead and hot pixels: those that count nothing while their neighbours count, or far more than their neighbours.

A measured pattern is oversampled, so no true feature is one pixel wide: both tests compare a pixel with its own
neighbours, and ask for a difference that is significant against Poisson noise and large as a ratio.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Note, Observer, Warned, silent

DEAD_RATIO = 0.01  # of the third-lowest neighbour: a pixel of merely low efficiency is for the flat field
DEAD_EXPECTED = 20.0  # by chance no count where 20 are expected: 2e-9
# A dark fringe grows like the square of the distance: next to a run of w pixels without a count, where it has a, the
# outer two of the run expect a ((w - 1) / (w + 1))² each. By chance they have none, for these a: 1e-6.
GAP_BESIDE = {2: 60.0, 3: 30.0}
# Of a line without any count, so many pixels must be known to be in a gap for the others to be.
GAP_PIXELS = 3
# A rectangle without a count: so many pixels, this share of its bounding box, and so many counts on average in each
# pixel beside it. The dark corners of a pattern have neither straight edges nor bright neighbours.
BLOCK_PIXELS, BLOCK_FILL, BLOCK_BESIDE = 64, 0.97, 30.0
# Hot: the median over the scan exceeds the second-highest neighbour's by this ratio, by as many standard errors (by
# chance 1e-9, so none of a megapixel), and by so many counts (so that 1 count beside 0 isn't hot). The ratio is a
# choice: smaller masks true maxima of coarsely sampled patterns, larger keeps warm pixels.
HOT_RATIO = 5.0
HOT_SIGMA = 6.0
HOT_COUNTS = 2.0
# A spike: one voxel above so many times the second-highest of its 26 neighbours, plus so many counts: where 4 are
# expected, 21 or more come by chance with probability 2e-9. The ratio is a choice, as above.
SPIKE_RATIO = 6.0
SPIKE_COUNTS = 20.0
# Share of the frames with a spike from which the pixel is hot: cosmic rays don't hit one pixel twice in 100 frames.
SPIKES_ALLOWED = 0.01
RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


def mask_dead_pixels(counts: Counts, *, observer: Observer = silent) -> Counts:
    """Return the counts with dead pixels unknown.

    A pixel is dead if, summed over the scan, it has less than a hundredth of its third-lowest neighbour where that has
    at least 20 counts. The third, so that two dead neighbours, or a dead line, don't hide it; a low rank at all, so
    that a pixel in the dark line between two fringes, whose neighbours along the line are dark too, isn't taken as
    dead. Where nothing reaches the detector, dead pixels aren't found, and their zeros are right. Gaps between a
    detector's chips, which some programs leave as zeros, are runs of several pixels (`_gaps`).
    """
    total = counts.values.sum(axis=0, dtype=np.float64)
    alive = np.asarray(counts.mask.any(axis=0))
    around = _neighbours(total, alive)
    expected = _third_lowest(around)
    dead = alive & (expected >= DEAD_EXPECTED) & (total <= DEAD_RATIO * expected)
    gaps = _gaps(total, alive) | _gaps(total.T, alive.T).T
    blocks = _dark_blocks(total, alive)
    if blocks.any():
        text = f"{int(blocks.sum())} pixels in rectangles have no count in any frame beside bright ones: unknown"
        observer(Warned("dead pixels", text))
    gaps |= blocks
    n = int((dead | gaps).sum())
    text = f"{n} pixels stay dark while their neighbours count: unknown"
    if (gaps & ~dead).any():
        text += f"; {int((gaps & ~dead).sum())} of them are gaps between bright ones"
    observer(Note("dead pixels", text, {"pixels": float(n)}))
    return counts.without(dead | gaps)


def _gaps(total: NDArray[np.float64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the runs along rows, of two pixels or more, that have no count between two pixels with many."""
    n = total.shape[1]
    bright = alive & (total > 0)
    places = np.broadcast_to(np.arange(n), total.shape)
    left = np.maximum.accumulate(np.where(bright, places, -1), axis=1)
    right = np.minimum.accumulate(np.where(bright, places, n)[:, ::-1], axis=1)[:, ::-1]
    inside = (left >= 0) & (right < n) & ~bright
    rows = np.arange(len(total))[:, None]
    beside = np.minimum(total[rows, np.maximum(left, 0)], total[rows, np.minimum(right, n - 1)])
    width = right - left - 1
    gaps = alive & inside & (((width == 2) & (beside >= GAP_BESIDE[2])) | ((width > 2) & (beside >= GAP_BESIDE[3])))
    # A whole column in which nothing was counted, some of whose pixels are in a gap, is one.
    empty = ~bright.any(axis=0) & (gaps.sum(axis=0) >= GAP_PIXELS)
    return gaps | (alive & empty)


def _dark_blocks(total: NDArray[np.float64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return rectangles without any count whose surroundings are bright: a chip or a port that sent nothing."""
    dark = alive & (total == 0)
    labels, _ = ndimage.label(dark)
    blocks = np.zeros_like(dark)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == number
        if inside.sum() < BLOCK_PIXELS or inside.mean() < BLOCK_FILL:
            continue
        wide = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
        beside = ndimage.binary_dilation(labels[wide] == number) & (labels[wide] != number) & alive[wide]
        if beside.any() and total[wide][beside].mean() >= BLOCK_BESIDE:
            blocks[box] |= inside
    return blocks


def mask_hot_pixels(counts: Counts, *, observer: Observer = silent) -> Counts:
    """Return the counts with single spikes, and hot pixels, unknown.

    A spike is one voxel that exceeds six times the second-highest of its 26 neighbours and 20 counts: an electronic
    glitch or a cosmic ray. A pixel is hot if it spiked in more than a hundredth of the frames; or if its median over
    the scan exceeds five times the second-highest of its neighbours', significantly (the second, so that two hot pixels
    side by side are found; the median, because a narrow streak crosses a pixel in a few frames only).
    """
    spikes = _spikes(counts)
    unknown = np.zeros(counts.mask.shape, bool)
    unknown[spikes] = True
    kept = counts.without(unknown)
    typical = np.median(kept.values, axis=0).astype(np.float64)
    second = _second_highest(_neighbours(typical, np.asarray(kept.mask.any(axis=0))))
    hot = (typical > HOT_RATIO * second) & (typical - second > HOT_SIGMA * np.sqrt(second / len(unknown)) + HOT_COUNTS)
    hot |= unknown.sum(axis=0) > max(1, SPIKES_ALLOWED * len(unknown))
    n_hot, n_spikes = int(hot.sum()), int((unknown & ~hot).sum())
    text = f"{n_hot} pixels bright through the scan, and {n_spikes} single bright voxels: unknown"
    observer(Note("hot pixels", text, {"pixels": float(n_hot), "voxels": float(n_spikes)}))
    return kept.without(hot)


def _neighbours(image: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the eight neighbours of every pixel, ``(8, y, x)``; NaN where unknown or outside."""
    padded = np.pad(np.where(known, image, np.nan), 1, constant_values=np.nan)
    rows, columns = image.shape
    steps = [(dy, dx) for dy in range(3) for dx in range(3) if RING[dy, dx]]
    return np.stack([padded[dy : dy + rows, dx : dx + columns] for dy, dx in steps])


def _third_lowest(around: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the third-lowest of the known neighbours, 0 where fewer are known."""
    third: NDArray[np.float64] = np.nan_to_num(np.sort(around, axis=0)[2], nan=0.0)  # NaN sorts last
    return third


def _second_highest(around: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(np.nan_to_num(around, nan=0.0), axis=0)
    second: NDArray[np.float64] = ordered[-2]
    return second


def _spikes(counts: Counts) -> tuple[NDArray[np.intp], ...]:
    """Return the indices of voxels far above all their neighbours."""
    values = counts.values
    mean = ndimage.uniform_filter(values, 3, mode="constant")
    # A spike is more than a sixth of the sum of its 27 voxels: this leaves few to look at one by one.
    candidates = np.nonzero((values > SPIKE_COUNTS) & (values > mean * 27 / SPIKE_RATIO / 2))
    if candidates[0].size == 0:
        return candidates
    padded = np.pad(values, 1)
    z, y, x = candidates
    steps = [(a, b, c) for a in range(3) for b in range(3) for c in range(3) if (a, b, c) != (1, 1, 1)]
    around = np.sort(np.stack([padded[z + a, y + b, x + c] for a, b, c in steps]), axis=0)
    alone = values[candidates] > SPIKE_RATIO * around[-2] + SPIKE_COUNTS
    return z[alone], y[alone], x[alone]
