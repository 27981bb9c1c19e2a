"""Frames that weren't recorded as the others were: lost, half lost, repeated, with light added, attenuated.

A frame without counts between two bright ones is lost, not dark: its voxels are unknown. What a whole frame shows
against its neighbours is looked at here; single pixels are `bad_pixels`'s business.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Note, Observer, Warned, listed, silent

# By chance no count where 25 are expected: 1e-11.
LEAST_EXPECTED = 25.0
# More than this share of the frames unknown, and the result hangs on what was lost.
MOST_LOST = 0.1
# Light on a frame: its darkest pixels have so many times the counts of those next to it.
LIFTED_TIMES = 3.0
# Blocks of a frame a side, for what must be the same all over it.
BLOCKS = 8
# A step is the same all over the frame to this share; fringes aren't.
ALIKE = 0.35
# A step of all counts between neighbouring frames: a factor that no rocking curve makes and later takes back.
LEAST_STEP = np.log(3.0)
# And so many times sharper than the rocking curve bends there: a fringe bends it as much as it steps.
SHARPER = 2.5
# The beam fell if mirrored frames differ by more than this factor from end to end, and steadily.
LEAST_FALL = 1.5
STEADY = 0.9


def repaired_frames(counts: Counts, *, name: str, beam_known: bool = False, observer: Observer = silent) -> Counts:
    """Return the counts with lost and repeated frames unknown and attenuated ones scaled back.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``, photons.
    name : str
        Origin of the data, for messages.
    beam_known : bool
        Whether a monitor will tell the incident intensity: then it is not guessed from the frames.
    observer : Observer
        Hears what was found, by the frames' numbers from 0.
    """
    if len(counts.mask) < 8:
        return counts
    before = _present(counts)
    counts = _without_repeated(counts, name, observer)
    counts = _without_lost(counts, name, observer)
    counts = _without_lifted(counts, name, observer)
    lost = before & ~_present(counts)
    if lost.sum() > MOST_LOST * max(int(before.sum()), 1):
        text = f"{name}: {int(lost.sum())} of {len(lost)} frames are lost; what they held is guessed by the phasing"
        observer(Warned("lost frames", text, bends=True))
    if beam_known:
        return counts
    counts = _with_one_beam(counts, name, observer)
    _watch_the_beam(counts, name, observer)
    return counts


def _present(counts: Counts) -> NDArray[np.bool_]:
    present: NDArray[np.bool_] = counts.mask.any(axis=(1, 2))
    return present


def _without_repeated(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take a frame that is its forerunner again, to the bit, as unknown: its own counts were never written."""
    values = counts.values
    totals = values.sum(axis=(1, 2), dtype=np.float64)
    again = [
        index
        for index in range(1, len(values))
        if totals[index] == totals[index - 1] >= LEAST_EXPECTED and np.array_equal(values[index], values[index - 1])
    ]
    if not again or len(again) > len(values) // 2:
        return counts
    text = f"{name}: frames {listed(again)} hold the frame before them once more; unknown"
    observer(Warned("lost frames", text))
    return _without_frames(counts, again)


def _without_lost(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take parts of frames that are empty between full ones as unknown: whole frames, halves and eighths."""
    unknown, whole, parts = np.zeros(counts.mask.shape, bool), set(), set()
    for region in _regions(counts.values.shape[1:]):
        box = (slice(None), *region)
        lost = _empty_between(counts.values[box].sum(axis=(1, 2), dtype=np.float64), counts.mask[box].any(axis=(1, 2)))
        is_whole = counts.values[box].shape == counts.values.shape
        for index in lost:
            unknown[(index, *region)] = True
            (whole if is_whole else parts).add(index)
    if not unknown.any():
        return counts
    said = [f"frames {listed(sorted(whole))}"] if whole else []
    said += [f"parts of frames {listed(sorted(parts - whole))}"] if parts - whole else []
    text = f"{name}: {' and '.join(said)} have no counts between bright ones: lost, not dark, so unknown"
    observer(Warned("lost frames", text))
    return counts.without(unknown)


def _regions(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Yield the whole frame, its halves and its eighths along rows and columns."""
    rows, columns = shape
    yield slice(0, rows), slice(0, columns)
    for parts in (2, 8):
        for k in range(parts):
            yield slice(k * rows // parts, (k + 1) * rows // parts), slice(0, columns)
            yield slice(0, rows), slice(k * columns // parts, (k + 1) * columns // parts)


def _empty_between(totals: NDArray[np.float64], known: NDArray[np.bool_]) -> list[int]:
    """Return the frames that are empty though both next to them aren't, nor is their mirror image about the peak."""
    empty = known & (totals <= 0)
    if not empty.any() or empty.all():
        return []
    full = np.flatnonzero(totals >= LEAST_EXPECTED)
    peak = int(totals.argmax())
    found = []
    for index in np.flatnonzero(empty):
        below, above = full[full < index], full[full > index]
        if below.size == 0 or above.size == 0 or not _full_to(totals, known, int(index)):
            continue
        mirror = 2 * peak - int(index)
        # A crystal's own dark fringe is as dark on the other side of the peak.
        if 0 <= mirror < len(totals) and mirror != index and known[mirror] and totals[mirror] <= 1:
            continue
        found.append(int(index))
    return found


def _full_to(totals: NDArray[np.float64], known: NDArray[np.bool_], index: int) -> bool:
    """Tell whether the nearest frames that have counts, on both sides, have enough of them."""
    below = next((totals[k] for k in range(index - 1, -1, -1) if known[k] and totals[k] > 0), 0.0)
    above = next((totals[k] for k in range(index + 1, len(totals)) if known[k] and totals[k] > 0), 0.0)
    return bool(min(below, above) >= LEAST_EXPECTED)


def _without_lifted(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take up to three frames in a row as unknown that have counts everywhere, though those next to them are dark."""
    dim = np.quantile(counts.values[:, ::2, ::2], 0.02, axis=(1, 2))
    lifted: set[int] = set()
    for length in (1, 2, 3):
        for first in range(len(dim) - length + 1):
            beside = [dim[k] for k in (first - 1, first + length) if 0 <= k < len(dim)]
            if dim[first : first + length].min() > LIFTED_TIMES * max(beside) + LEAST_EXPECTED:
                lifted |= set(range(first, first + length))
    if not lifted:
        return counts
    most = max(float(dim[k]) for k in lifted)
    text = f"{name}: frames {listed(sorted(lifted))} have up to {most:.3g} counts in every pixel, those next to them none"
    observer(Warned("lost frames", text + ": light or a fault, so unknown"))
    return _without_frames(counts, sorted(lifted))


def _without_frames(counts: Counts, frames: NDArray[np.intp] | list[int]) -> Counts:
    unknown = np.zeros(counts.mask.shape, bool)
    unknown[frames] = True
    return counts.without(unknown)


def _with_one_beam(counts: Counts, name: str, observer: Observer) -> Counts:
    """Scale runs of frames back whose counts all step up or down together, as an attenuator makes them."""
    totals = counts.values.sum(axis=(1, 2), dtype=np.float64)
    steps = _steps(totals, counts)
    if not steps:
        return counts
    factor = np.ones(len(totals))
    for first, ratio in steps:
        factor[first:] *= ratio
    # Most frames are right as they are.
    factor /= np.exp(np.median(np.log(factor)))
    odd = np.flatnonzero(np.abs(np.log(factor)) > 0.1)
    said = ", ".join(f"{value:.3g}" for value in sorted({float(f"{factor[k]:.2g}") for k in odd}))
    text = f"{name}: frames {listed(odd)} have {said} times the counts that their neighbours let expect, as behind an "
    text += "attenuator; scaled back by estimate (a monitor, or the factors, would do it exactly)"
    observer(Warned("beam", text, bends=True))
    return replace(counts, values=counts.values / factor[:, None, None].astype(np.float32))


def _steps(totals: NDArray[np.float64], counts: Counts) -> list[tuple[int, float]]:
    """Return where all counts step, as (first frame after it, factor).

    The step is what is left of the change between two frames when the slopes on either side are taken off. A fringe
    bends the rocking curve as much as it steps, and not alike all over the frame.
    """
    logs = np.where(_present(counts) & (totals >= LEAST_EXPECTED), np.log(np.maximum(totals, 1.0)), np.nan)
    blocks: NDArray[np.float64] | None = None
    found = []
    for index in range(2, len(totals) - 1):
        excess, bend = _excess(logs[index - 2 : index + 2])
        if not np.isfinite(excess) or abs(excess) <= max(LEAST_STEP, SHARPER * bend):
            continue
        blocks = _in_blocks(counts.values) if blocks is None else blocks
        here = blocks[index - 2 : index + 2]
        some = here.min(axis=0) >= LEAST_EXPECTED
        each = np.array([_excess(np.log(line))[0] for line in here[:, some].T])
        if each.size >= BLOCKS and np.std(each) < ALIKE * abs(np.mean(each)):
            found.append((index, float(np.exp(np.median(each)))))
    return found


def _excess(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Return the step between the second and third of four values over the slopes around it, and their difference."""
    before, step, after = np.diff(logs)
    return float(step - (before + after) / 2), float(abs(after - before))


def _in_blocks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums over blocks of every frame, ``(n, blocks)``."""
    edges = [np.arange(BLOCKS) * size // BLOCKS for size in values.shape[1:]]
    rows = np.add.reduceat(values.astype(np.float64), edges[0], axis=1)
    blocks: NDArray[np.float64] = np.add.reduceat(rows, edges[1], axis=2).reshape(len(values), -1)
    return blocks


def _watch_the_beam(counts: Counts, name: str, observer: Observer) -> None:
    """Warn where frames and their mirror images about the peak differ more and more: the beam may have fallen.

    Strain makes the two differ as well, but not alike in all quarters of the frame and not steadily.
    """
    quarters = _mirrored_quarters(counts)
    falls = [fall for pair in quarters if (fall := _fall(*pair)) is not None]
    slopes = np.array([slope for slope, _ in falls])
    reach = max((distance for _, distance in falls), default=0.0)
    if slopes.size < 3 or abs(np.median(slopes)) * reach < np.log(LEAST_FALL):
        observer(Note("beam", f"{name}: frames and their mirror images about the peak speak for a steady beam"))
        return
    if np.ptp(slopes) > ALIKE * 2 * abs(np.median(slopes)) or len({bool(slope > 0) for slope in slopes}) > 1:
        return
    way = "less" if np.median(slopes) < 0 else "more"
    change = float(np.exp(abs(np.median(slopes)) * reach))
    text = f"{name}: frames have steadily {way} counts than their mirror images about the peak, up to {change:.2g} times"
    observer(Warned("beam", text + ": the beam changed during the scan, and no monitor is used", bends=True))


def _mirrored_quarters(counts: Counts) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return, for each quarter about the peak, its counts a frame before the peak and those of its mirror image after."""
    z, y, x = np.unravel_index(int(counts.values.argmax()), counts.values.shape)
    n, rows, columns = counts.values.shape
    reach = [min(int(p), size - 1 - int(p)) for p, size in zip((z, y, x), (n, rows, columns), strict=True)]
    if min(reach) < 4:
        return []
    box = counts.values[
        z - reach[0] : z + reach[0] + 1, y - reach[1] : y + reach[1] + 1, x - reach[2] : x + reach[2] + 1
    ]
    pairs = []
    for up in (slice(0, reach[1]), slice(reach[1], None)):
        for left in (slice(0, reach[2]), slice(reach[2], None)):
            quarter = box[:, up, left].sum(axis=(1, 2), dtype=np.float64)
            mirror = box[:, ::-1, ::-1][:, up, left].sum(axis=(1, 2), dtype=np.float64)[::-1]
            pairs.append((quarter[: reach[0]][::-1], mirror[: reach[0]][::-1]))
    return pairs


def _fall(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the slope of ln(after / before) over the distance from the peak, and the farthest; None if not steady."""
    some = np.flatnonzero(np.minimum(before, after) >= 2 * LEAST_EXPECTED)
    if some.size < 6:
        return None
    distance, ratio = some + 1.0, np.log(after[some] / before[some])
    slope = float((ratio * distance).sum() / (distance**2).sum())
    rest = float(((ratio - slope * distance) ** 2).sum())
    steady = rest < (1 - STEADY) * float((ratio**2).sum())
    return (slope, float(distance.max())) if steady else (0.0, float(distance.max()))
