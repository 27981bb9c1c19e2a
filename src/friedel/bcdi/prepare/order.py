"""Frames that are whole, but not where the scan says: two swapped, a part that came a frame late, a jump sideways.

A pattern has no periods finer than the crystal's extent allows. What is finer shows where its parts don't continue each
other, and the move that takes it away shows what happened. A slow, even drift leaves nothing to see: a sheared pattern
is that of a sheared crystal.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.frames import LEAST_FRAMES, run_shares, share_smoother, smooth_inverse
from friedel.core.observer import Observer, Warned, silent

REACH = 32  # pixels on either side of the peak that are looked at
LINES = 1000  # the brightest lines along an axis: more only cost time
# Of so many of the brightest lines such a share must become smoother; in dim ones photon noise decides. By chance half
# of them do, 0.5 ± 0.035; true moves had 0.6 to 0.94, a neighbour's spots or a blinking pixel 0.44 and 0.54.
BRIGHTEST, SMOOTHER = 200, 0.57
FARTHEST = 3  # frames or pixels by which a part may be off
LEAST_LINES = 50
MOST_JUMPS = 8
LEAST_EDGE = 3  # frames, rows or columns on either side of a jump: with fewer, which side is off isn't known
# A move is believed if it leaves less than this share of what is too fine, and less than an attenuator would leave. A
# choice: right ones left up to 0.17 of it.
LEAST_GAIN = 0.25
STRETCH = 20  # frames looked at together beside the whole scan
# Power at fine periods over that of photon noise from which it is looked into: over a thousand lines the latter is
# known to a few per cent.
LEAST_FINE = 0.5
# The same over all power: the edges of the box put 1e-5 of it there.
LEAST_SHARE = 3e-5
EDGES = 1e-5

Floats = NDArray[np.float64]
Step = tuple[int, ...]


def in_place(counts: Counts, *, name: str, places: Floats | None = None, observer: Observer = silent) -> Counts:
    """Return the counts with swapped frames, late parts and sideways jumps put back; each is said.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``; hot pixels are already unknown where they could be found.
    name : str
        Origin of the data, for messages.
    places : (n,) float64 or None
        Where the frames lie along the scan, in its steps; NaN: not known. None: evenly.
    observer : Observer
        Hears what was moved.
    """
    n = len(counts.mask)
    if n < LEAST_FRAMES or counts.unit != "photons":
        return counts
    at = np.arange(n, dtype=np.float64) if places is None else places
    counts = _unswapped(counts, at, name, observer)
    counts = _without_jumps(counts, at, name, observer)
    if places is None:
        for axis in (1, 2):
            counts = _without_delay(counts, axis, name, observer)
    return counts


class _Fineness:
    """The power of lines along an axis, and of it what is too fine: sums over pairs of their points."""

    def __init__(self, lines: Floats, at: Floats, about: Floats) -> None:
        self.inverse = smooth_inverse(at)
        # By what lies about a line, too: else a bright line moved to a dark one's place would outweigh all.
        self.lines, self.weigh = lines, 1 / (about + 1)
        self.products = self._with(lines)
        self.noise = float(np.diag(self.inverse) @ (lines @ self.weigh))
        self.fine = float((self.products * self.inverse).sum()) - self.noise
        self.power = float(np.trace(self.products))

    def _with(self, other: Floats) -> Floats:
        products: Floats = (self.lines * self.weigh) @ other.T
        return products

    @property
    def odd(self) -> bool:
        """Whether there is more of it than photon noise, and the edges of the box, make."""
        return self.fine > self.floor

    @property
    def bar(self) -> float:
        """What a move must leave less of: less than so small a share, and than an attenuator would explain."""
        terms = self.products * self.inverse
        terms[np.diag_indices_from(terms)] -= np.diag(self.inverse) * (self.lines @ self.weigh)
        share = run_shares(terms, np.diag(self.products))[0].min()
        edges = EDGES * self.power
        return min(edges + LEAST_GAIN * (self.fine - edges), max(float(share), 0.0) * self.power)

    @property
    def floor(self) -> float:
        """What photon noise, and the edges of the box, may make."""
        return max(LEAST_FINE * self.noise, LEAST_SHARE * self.power)

    def swapped(self) -> Floats:
        """Return what is too fine after two points ``(n, n)`` have changed places."""
        mixed = self.inverse @ self.products
        own = np.diag(mixed)
        change = 2 * (mixed + mixed.T - own[:, None] - own)
        k, g = np.diag(self.inverse), np.diag(self.products)
        # Both points' terms with each other and with themselves don't change as the sum over all points has it.
        pair = 2 * (k[:, None] - self.inverse) * (self.products - g[:, None])
        change -= pair + pair.T
        change += (k[:, None] - k) * (g[None, :] - g[:, None])
        return self.fine + change

    def moved_from(self, moved: Floats) -> Floats:
        """Return what is too fine if the lines from each point on ``(n + 1,)`` are those moved ones."""
        n = len(self.lines)
        after = (moved * self.weigh) @ moved.T
        first, across, second = (_cumulated(p * self.inverse) for p in (self.products, self._with(moved), after))
        k = np.arange(n + 1)
        noise, moved_noise = (
            np.r_[0, (np.diag(self.inverse) * (part @ self.weigh)).cumsum()] for part in (self.lines, moved)
        )
        power = first[k, k] + 2 * (across[k, n] - across[k, k])
        power += second[n, n] - second[k, n] - second[n, k] + second[k, k]
        return np.asarray(power - noise - (moved_noise[-1] - moved_noise))


def _cumulated(terms: Floats) -> Floats:
    total = np.zeros((terms.shape[0] + 1, terms.shape[1] + 1))
    total[1:, 1:] = terms.cumsum(axis=0).cumsum(axis=1)
    return total


def _unswapped(counts: Counts, at: Floats, name: str, observer: Observer) -> Counts:
    present = np.flatnonzero(counts.mask.any(axis=(1, 2)) & np.isfinite(at))
    box = _box(counts)
    fineness = _fineness(counts, 0, present, at[present], (1,), box)[0] if present.size >= LEAST_FRAMES else None
    if fineness is None or not fineness.odd:
        return counts
    after = fineness.swapped()
    # At the scan's ends hardly a line is too fine: a bright frame put there would always leave less.
    for edge in (slice(0, LEAST_EDGE), slice(-LEAST_EDGE, None)):
        after[edge], after[:, edge] = np.inf, np.inf
    one, other = (int(k) for k in np.unravel_index(int(after.argmin()), after.shape))
    if not after[one, other] < fineness.bar:
        return counts
    left = float(after[one, other])
    if left > fineness.floor:
        text = (
            f"{name}: frames about {int(present[one])} to {int(present[other])} don't continue each other, and no swap "
        )
        observer(Warned("frames", text + "of two puts it right: are they in another order?", bends=True))
        return counts
    pair = sorted((int(present[one]), int(present[other])))
    text = f"{name}: frames {pair[0]} and {pair[1]} continue the others only if they change places: put so"
    observer(Warned("frames", text))
    order = np.arange(len(counts.mask))
    order[pair] = pair[::-1]
    return replace(counts, values=counts.values[order], mask=counts.mask[order])


def _without_jumps(counts: Counts, at: Floats, name: str, observer: Observer) -> Counts:
    """Move frames back that lie sideways of those before them: the sample, or the read-out's window, jumped."""
    reach = range(-FARTHEST, FARTHEST + 1)
    steps: list[Step] = [(y, x) for y in reach for x in reach if (y, x) != (0, 0)]
    present = np.flatnonzero(counts.mask.any(axis=(1, 2)) & np.isfinite(at))
    found = _jumps(counts, 0, (1, 2), present, at[present], steps)
    if not found:
        return counts
    said = []
    for frame, step in found:
        counts = _moved(counts, 0, (1, 2), frame, step)
        said.append(f"{frame} ({step[0]:+d}, {step[1]:+d})")
    text = (
        f"{name}: from frame {', '.join(said)} on, the pattern lies sideways of where it was by so many pixels (y, x)"
    )
    observer(Warned("frames", text + ": the sample or the detector moved; frames moved back", bends=True))
    return counts


def _without_delay(counts: Counts, axis: int, name: str, observer: Observer) -> Counts:
    """Move a part of the detector back that shows another frame than the rest."""
    numbers = np.flatnonzero(counts.mask.mean(axis=(0, 3 - axis)) > 0.5)  # a gap's are left out
    found = _jumps(
        counts,
        axis,
        (0,),
        numbers,
        numbers.astype(np.float64),
        [(step,) for step in range(-FARTHEST, FARTHEST + 1) if step],
    )
    if not found:
        return counts
    what = ("", "row", "column")[axis]
    for place, step in found:
        late = "later" if step[0] > 0 else "earlier"
        text = f"{name}: from {what} {place} on, the detector shows what the other part shows {abs(step[0])} frames "
        observer(Warned("frames", f"{text}{late}: the two belong to different frames; moved", bends=True))
        counts = _moved(counts, axis, (0,), place, step)
    return counts


def _jumps(
    counts: Counts, axis: int, others: tuple[int, ...], present: NDArray[np.intp], at: Floats, steps: list[Step]
) -> list[tuple[int, Step]]:
    """Return where along an axis the pattern jumps along the others, and how far, in order; moves add up."""
    box = _box(counts)
    within = (present >= box[axis].start) & (present < box[axis].stop)
    present, at = present[within], at[within]
    found: list[tuple[int, Step]] = []
    while len(found) < MOST_JUMPS:
        jump = None
        for part in _parts(present.size):
            fineness, places = _fineness(counts, axis, present[part], at[part], others, box)
            if fineness is None or not fineness.odd:
                continue
            jump = _jump(counts, axis, present[part], fineness, places, others, steps)
            if jump is not None or part == slice(0, present.size):
                break  # where all are too fine and no jump explains it, the pattern is undersampled
        if jump is None:
            break
        found.append(jump)
        counts = _moved(counts, axis, others, *jump)
    return sorted(found)


def _parts(n: int) -> Iterator[slice]:
    """Yield the whole and stretches of it: the peak outshines what lies beside it."""
    if n >= LEAST_FRAMES:
        yield slice(0, n)
    for first in range(0, n - STRETCH + 1, STRETCH // 4):
        yield slice(first, first + STRETCH)


def _jump(
    counts: Counts,
    axis: int,
    inside: NDArray[np.intp],
    fineness: _Fineness,
    places: tuple[NDArray[np.intp], ...],
    others: tuple[int, ...],
    steps: list[Step],
) -> tuple[int, Step] | None:
    """Return the one jump among some frames, rows or columns that leaves little too fine; None if none does."""
    best: tuple[float, int, Step] | None = None
    for step in steps:
        after = fineness.moved_from(_taken(counts.values, axis, inside, places, step, others))
        k = LEAST_EDGE + int(after[LEAST_EDGE : inside.size + 1 - LEAST_EDGE].argmin())
        # What moving all of them takes away, to where the pattern is less fine, no jump explains.
        if after[k] < LEAST_GAIN * after[0] and (best is None or after[k] < best[0]):
            best = float(after[k]), int(inside[k]), step
    if best is None or not best[0] < fineness.bar:
        return None
    # What moved takes all lines along; a neighbour's spot, or a blinking pixel, is on some.
    _, first, step = best
    behind = (inside >= first)[:, None]
    moved = np.where(behind, _taken(counts.values, axis, inside, places, step, others), fineness.lines)
    bright = np.argsort(fineness.lines.sum(axis=0))[-BRIGHTEST:]
    agree = share_smoother(fineness.lines[:, bright], moved[:, bright], fineness.inverse)
    return (first, step) if agree >= SMOOTHER else None


def _box(counts: Counts) -> tuple[slice, slice, slice]:
    """Return all frames, and the rows and columns about the peak."""
    image = counts.values.sum(axis=0)
    peak = np.unravel_index(int(image.argmax()), image.shape)
    rows, columns = (slice(max(int(p) - REACH, 0), int(p) + REACH) for p in peak)
    return slice(0, len(counts.mask)), rows, columns


def _fineness(
    counts: Counts,
    axis: int,
    inside: NDArray[np.intp],
    at: Floats,
    others: tuple[int, ...],
    box: tuple[slice, slice, slice],
) -> tuple[_Fineness | None, tuple[NDArray[np.intp], ...]]:
    """Return how fine the brightest lines along an axis are, and where they lie; None if too few are known."""
    *places, about = _line_places(counts.values, counts.mask, box, axis, inside)
    if len(about) < LEAST_LINES:
        return None, ()
    lines = _taken(counts.values, axis, inside, tuple(places), (0,) * len(others), others)
    return _Fineness(lines, at, about), tuple(places)


def _line_places(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    box: tuple[slice, slice, slice],
    axis: int,
    inside: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return where the brightest lines lie that are known wherever they may be moved, and the mean sum about each."""
    across = tuple(part for k, part in enumerate(box) if k != axis)
    image = np.moveaxis(values, axis, 0)[inside].sum(axis=0)[across]
    known = np.asarray(np.moveaxis(mask, axis, 0)[inside].all(axis=0))[across]
    known = ndimage.minimum_filter(known, 2 * FARTHEST + 1, mode="constant", cval=False)
    bright = image[known]
    dim = np.partition(bright, max(bright.size - LINES, 0))[max(bright.size - LINES, 0)] if bright.size else 0.0
    rows, columns = np.nonzero(known & (image >= max(float(dim), 1.0)))
    about = ndimage.uniform_filter(image, 2 * FARTHEST + 1)[rows, columns].astype(np.float64)
    return rows + across[0].start, columns + across[1].start, about


def _taken(
    values: NDArray[np.float32],
    axis: int,
    inside: NDArray[np.intp],
    places: tuple[NDArray[np.intp], ...],
    step: Step,
    others: tuple[int, ...],
) -> Floats:
    """Return lines along an axis, a step aside along the others, ``(n, lines)``."""
    aside = dict(zip(others, step, strict=True))
    across = [k for k in range(3) if k != axis]
    index: list[Any] = [None, None, None]
    index[axis] = inside[:, None]
    for k, place in zip(across, places, strict=True):
        index[k] = (place + aside.get(k, 0))[None]
    return values[tuple(index)].astype(np.float64)


def _moved(counts: Counts, axis: int, others: tuple[int, ...], first: int, step: Step) -> Counts:
    """Return the counts with all from ``first`` on along an axis moved back by a step; what comes in is unknown."""
    values, mask = counts.values.copy(), counts.mask.copy()
    part: list[slice] = [slice(None)] * 3
    part[axis] = slice(first, None)
    here = tuple(part)
    back = tuple(-k for k in step)
    known = np.roll(mask[here], back, others)
    for k, size in zip(others, step, strict=True):
        edge = [slice(None)] * 3
        edge[k] = slice(known.shape[k] - size, None) if size > 0 else slice(0, -size)
        known[tuple(edge)] = False
    mask[here] = known
    values[here] = np.where(known, np.roll(values[here], back, others), np.float32(0))
    return replace(counts, values=values, mask=mask)
