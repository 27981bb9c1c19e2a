"""Counts too high for their number type, which began again from zero: found where a smooth peak breaks off.

A pattern has no periods finer than the crystal's extent allows, so a peak doesn't fall by 65536 from one voxel to the
next. Runs of voxels that continue their line once a counter's range is added have lost just that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.frames import smooth_inverse
from friedel.core.observer import Observer, Warned, silent

# Ranges of counters and number types: 8, 12 (Medipix, EIGER) and 16 bits.
RANGES = (2**8, 2**12, 2**16)
# Beside what a range cut off something is at least so large a share of it: neighbours of a sampled peak are.
LEAST_BESIDE = 0.25
REACH = 6  # voxels looked at beyond the bright ones
LONGEST = 64  # voxels of a line looked at: the runs in it grow with the square
LEAST_AXES = 2  # that must agree: along one a crystal may be too large for its steps
MOST_NESTED = 4  # ranges lost one on top of the other
LEAST_LINE = 12  # voxels: on shorter lines hardly a period is too fine
# Lines that lost a range are 65536² too fine; put right, they are as fine as photon noise. A share of a fifth is left
# where the line is short and the run reaches its end.
MOST_LEFT = 0.2
LEAST_FINE = 10.0  # times photon noise: what is looked into

# A pixel of which fewer than so many of the eight round it have such a share of its counts is no part of a peak.
WIDER, ALONE = 3, 0.05
AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Found:
    """Along one axis: where ranges were lost ``(z, y, x)`` in the box; what is too fine without and with them."""

    lost: NDArray[np.bool_]
    before: float
    after: float
    noise: float

    @property
    def believed(self) -> bool:
        return bool(self.lost.any()) and self.before > LEAST_FINE * self.noise and self.after < MOST_LEFT * self.before


def without_overflow(counts: Counts, *, name: str, observer: Observer = silent) -> Counts:
    """Return the counts with voxels unknown that lost the range of a counter, once or several times.

    Parameters
    ----------
    counts : Counts
        ``(z, y, x)``.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears what is unknown.
    """
    top = float(counts.values.max())
    period = next((value for value in RANGES if LEAST_BESIDE * value <= top < value), None)
    if period is None:
        return counts
    box = _bright_box(counts, LEAST_BESIDE / 2 * period)
    values, mask = counts.values[box].astype(np.float64), counts.mask[box]
    bright = values > LEAST_BESIDE / 2 * period
    # A hot or blinking pixel, or a pair of them, is bright alone in its frame; a peak is wider.
    lone = bright & (values > ndimage.rank_filter(values, -WIDER, footprint=AROUND[None]) / ALONE)
    axes = (axis for axis in range(3) if LEAST_LINE <= values.shape[axis] <= LONGEST)
    found = [one for one in (_along(values, mask, bright, lone, axis, period) for axis in axes) if one.believed]
    if len(found) < LEAST_AXES:
        return counts
    lost = np.any([one.lost for one in found], axis=0)
    unknown = np.zeros(counts.mask.shape, bool)
    unknown[box] = ndimage.binary_fill_holes(ndimage.binary_dilation(lost, np.ones((3, 3, 3), bool)))
    text = f"{name}: {int(lost.sum())} voxels break off a smooth peak by {period}, the range of a counter or number "
    text += "type: counts beyond it began again from zero; these voxels, and those beside them, are unknown"
    observer(Warned("saturation", text, bends=True))
    return counts.without(unknown)


def _bright_box(counts: Counts, level: float) -> tuple[slice, slice, slice]:
    """Return the box about all bright voxels, some voxels wider."""
    spans = []
    for axis, n in enumerate(counts.values.shape):
        others = tuple(other for other in range(3) if other != axis)
        bright = np.flatnonzero(counts.values.max(axis=others) > level)
        spans.append(slice(max(int(bright[0]) - REACH, 0), min(int(bright[-1]) + REACH + 1, n)))
    return spans[0], spans[1], spans[2]


def _along(values: Floats, mask: Mask, bright: Mask, lone: Mask, axis: int, period: int) -> _Found:
    """Return the ranges lost on lines along an axis, each the runs that leave least of the line too fine.

    Parameters
    ----------
    values, mask : (z, y, x)
        Counts of the box, and where they were measured.
    bright, lone : (z, y, x) bool
        Voxels that may be of the peak; those of them that stand alone in their frame.
    axis, period : int
        Along which axis, and the range that may be lost.
    """
    lines, bright = np.moveaxis(values, axis, -1), np.moveaxis(bright, axis, -1)
    known = np.moveaxis(mask & ~lone, axis, -1).all(axis=-1) & bright.any(axis=-1)
    # What is left of a count beyond the range is hardly ever nothing at all; a part that wasn't read out is.
    within = np.maximum.accumulate(bright, -1) & np.maximum.accumulate(bright[..., ::-1], -1)[..., ::-1]
    known &= ~(ndimage.binary_dilation(within, np.ones((1, 1, 3), bool)) & (lines == 0)).any(axis=-1)
    y = lines[known]
    inverse = smooth_inverse(np.arange(y.shape[-1], dtype=np.float64))
    lost = np.zeros(y.shape, np.int64)
    before = _fine(y, inverse)
    now = before
    for _ in range(MOST_NESTED):
        first, last, after = _best_runs(y + period * lost, inverse, period, now)
        better = after < now / 2
        if not better.any():
            break
        places = np.arange(y.shape[-1])
        lost += better[:, None] & (places >= first[:, None]) & (places < last[:, None])
        now = np.where(better, after, now)
    whole = np.zeros(lines.shape, bool)
    whole[known] = lost > 0
    noise = float((y @ np.diag(inverse)).sum())
    return _Found(lost=np.moveaxis(whole, -1, axis), before=float(before.sum()), after=float(now.sum()), noise=noise)


def _fine(y: Floats, inverse: Floats) -> Floats:
    fine: Floats = ((y @ inverse) * y).sum(axis=-1)
    return fine


def _best_runs(
    y: Floats, inverse: Floats, period: int, now: Floats
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return, for each line, the run whose voxels, a range higher, leave least too fine: first, end, what is left."""
    n = y.shape[-1]
    first, last = np.triu_indices(n + 1, k=1)
    some = last - first <= n // 2
    first, last = first[some], last[some]
    total = np.zeros((n + 1, n + 1))
    total[1:, 1:] = inverse.cumsum(axis=0).cumsum(axis=1)
    inner = total[last, last] - total[first, last] - total[last, first] + total[first, first]
    sums = np.concatenate([np.zeros((len(y), 1)), (y @ inverse).cumsum(axis=-1)], axis=-1)
    after = now[:, None] + 2 * period * (sums[:, last] - sums[:, first]) + period**2 * inner
    best = after.argmin(axis=-1)
    return first[best], last[best], np.asarray(after[np.arange(len(y)), best])
