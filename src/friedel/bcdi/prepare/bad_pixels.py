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
TWIN_COUNTS = 100.0  # of a line: two lines of so many photons differ
# Lines between two others, up to so wide a gap (an EIGER's modules are 37 or 38 apart), that lie within rounding of the
# straight line between them in every voxel: of a mean of 4 photons fewer than half do, so 40 such voxels are no chance.
WIDEST_GAP, STRAIGHT_FROM, STRAIGHT_VOXELS = 40, 4.0, 40
ROUNDED = 1.01  # cut to whole numbers, and a little more for the arithmetic
# Any other interpolation: a line is a fixed sum of those beside it, up to so many on either side, but for rounding. Of
# the photons in it nothing else can be told from them: what a fit leaves is 1 in units of their noise, or more. In so
# many voxels of so many photons it is known to a tenth. A recorded line beside a filled one is a sum as well, but with
# factors above 1.
NEIGHBOURS, FITTED, FITTED_FROM, MOST_FITTED = 6, 200, 4.0, 4000
PREDICTED, LARGEST_FACTORS = 0.5, 1.5
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
    blocks, twins = _dark_blocks(total, alive), _twins(counts)
    filled = _filled(counts.without(gaps | blocks | twins))
    if blocks.any():
        text = f"{int(blocks.sum())} pixels in rectangles have no count in any frame beside bright ones: unknown"
        observer(Warned("dead pixels", text))
    if twins.any():
        text = (
            f"{int(twins.sum())} pixels in whole lines repeat the line beside them, frame after frame: filled in, so "
        )
        observer(Warned("dead pixels", text + "unknown"))
    if filled.any():
        text = f"{int(filled.sum())} pixels in whole lines were interpolated from those beside them: unknown"
        observer(Warned("dead pixels", text))
    gaps |= blocks | twins | filled
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


def _twins(counts: Counts) -> NDArray[np.bool_]:
    """Return whole rows and columns that equal the one beside them in every frame, which counted photons never do."""
    found = np.zeros(counts.mask.shape[1:], bool)
    for axis in (1, 2):
        lines = np.moveaxis(counts.values, axis, 0)
        light = lines.sum(axis=(1, 2), dtype=np.float64)
        alike = (light[1:] == light[:-1]) & (light[1:] >= TWIN_COUNTS)
        for place in np.flatnonzero(alike) + 1:
            if np.array_equal(lines[place], lines[place - 1]):
                found[(place, slice(None)) if axis == 1 else (slice(None), place)] = True
    return found


def _filled(counts: Counts) -> NDArray[np.bool_]:
    """Return whole rows and columns that were interpolated from others."""
    found = np.zeros(counts.mask.shape[1:], bool)
    if counts.unit != "photons":
        return found
    for axis in (1, 2):
        lines, known = np.moveaxis(counts.values, axis, 0), np.moveaxis(counts.mask, axis, 0)
        straight = _straight(lines, known)
        known = known.copy()
        known[list(straight)] = False
        for place in straight | _predicted(lines, known):
            found[(place, slice(None)) if axis == 1 else (slice(None), place)] = True
    return found


def _straight(lines: NDArray[np.float32], known: NDArray[np.bool_]) -> set[int]:
    """Return the lines ``(n, frames, m)`` that lie on the straight line between two others, in all their voxels."""
    n, found = len(lines), set[int]()
    brightest = int(lines.sum(axis=(0, 2)).argmax())
    probe = np.where(known[:, brightest], lines[:, brightest], np.nan)
    for width in range(1, min(WIDEST_GAP, n - 2) + 1):
        # In the brightest frame first: nearly all gaps that there might be are ruled out by it.
        gap = probe[width + 1 :] - probe[: n - width - 1]
        middle = (width + 1) // 2
        expected = probe[: n - width - 1] + gap * np.float32(middle / (width + 1))
        off = np.abs(probe[middle : n - width - 1 + middle] - expected)
        bright = expected >= STRAIGHT_FROM
        starts = np.flatnonzero(bright.any(axis=1) & ((off < ROUNDED) | np.isnan(off) | ~bright).all(axis=1))
        for start in map(int, starts):
            if all(_between(lines, known, start, width, k) for k in range(1, width + 1)):
                found |= set(range(start + 1, start + width + 1))
    return found


def _between(lines: NDArray[np.float32], known: NDArray[np.bool_], start: int, width: int, k: int) -> bool:
    """Tell whether the k-th line of a gap lies, within rounding, between the two lines at its edges."""
    low, high = lines[start], lines[start + width + 1]
    expected = low + (high - low) * np.float32(k / (width + 1))
    known = known[start] & known[start + width + 1] & known[start + k]
    off = np.abs(lines[start + k] - expected)[known]
    return bool((off < ROUNDED).all() and (expected[known] >= STRAIGHT_FROM).sum() >= STRAIGHT_VOXELS)


def _predicted(lines: NDArray[np.float32], known: NDArray[np.bool_]) -> set[int]:
    """Return the lines ``(n, frames, m)`` that are sums of those beside them, by the same factors in all voxels.

    One after the other, smallest factors first: a recorded line is a sum of others only while filled ones are among
    them.
    """
    found = set[int]()
    factors = {line: _factors(lines, known, line) for line in range(len(lines))}
    while min(factors.values()) < LARGEST_FACTORS:
        line = min(factors, key=lambda k: factors[k])
        found.add(line)
        known = known.copy()
        known[line] = False
        near = range(max(line - WIDEST_GAP, 0), min(line + WIDEST_GAP + 1, len(lines)))
        factors |= {k: _factors(lines, known, k) for k in near}
    return found


def _factors(lines: NDArray[np.float32], known: NDArray[np.bool_], line: int) -> float:
    """Return the sum of the squares of the factors by which a line is those beside it; infinity if it isn't."""
    before = [k for k in range(max(line - WIDEST_GAP, 0), line) if known[k].any()][-NEIGHBOURS:]
    after = [k for k in range(line + 1, min(line + WIDEST_GAP + 1, len(lines))) if known[k].any()][:NEIGHBOURS]
    if not (known[line].any() and before and after):
        return np.inf
    others = [*before, *after]
    level = lines[[before[-1], line, after[0]]].mean(axis=0)
    usable = np.flatnonzero((known[[*others, line]].all(axis=0) & (level >= FITTED_FROM)).ravel())
    if usable.size < FITTED:
        return np.inf
    usable = usable[:: max(1, usable.size // MOST_FITTED)]
    weight = 1 / np.sqrt(level.ravel()[usable].astype(np.float64))
    given = lines[others].reshape(len(others), -1)[:, usable] * weight
    wanted = lines[line].ravel()[usable] * weight
    # Filled lines were rounded: without the variance of that, sums of them would take ever larger factors.
    rounding = np.eye(len(others)) * float((weight**2).sum()) / 12
    factors = np.linalg.solve(given @ given.T + rounding, given @ wanted)
    # The line's own photons, which are few in a dark fringe, are what scatters.
    noise = float((wanted * weight).sum())
    left = float(((wanted - factors @ given) ** 2).sum())
    return float((factors**2).sum()) if noise > FITTED / 2 and left < PREDICTED * noise else np.inf


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
