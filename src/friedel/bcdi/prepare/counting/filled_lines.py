"""Whole rows and columns that were filled in from others: repeated, or interpolated. They hold no photons of their own.

What is filled in is a fixed sum of other lines, in every voxel. Counted photons never are: a line's own noise can't be
told from its neighbours'.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Observer, Warned, silent

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
# By the first few voxels alone what is left is known to a tenth: a recorded line is rarely so low, a filled one never
# so high.
LIKELY = 0.75


def without_filled_lines(counts: Counts, *, name: str, observer: Observer = silent) -> Counts:
    """Return the counts with rows and columns unknown that hold what others do.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``; gaps that are left empty already unknown.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears how many there are.
    """
    twins = _twins(counts)
    if twins.any():
        text = f"{name}: {int(twins.sum())} pixels in whole lines repeat the line beside them, frame after frame: "
        observer(Warned("dead pixels", text + "filled in, so unknown"))
        counts = counts.without(twins)
    filled = _filled(counts)
    if filled.any():
        text = f"{name}: {int(filled.sum())} pixels in whole lines were interpolated from those beside them: unknown"
        observer(Warned("dead pixels", text))
        counts = counts.without(filled)
    return counts


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
        starts = np.flatnonzero(bright.any(axis=1) & ~((off >= ROUNDED) & bright).any(axis=1))
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
    values, known = lines.reshape(len(lines), -1), known.reshape(len(lines), -1)
    squares = _squares(values, known, range(len(lines)))
    while min(squares.values()) < LARGEST_FACTORS:
        line = min(squares, key=lambda k: squares[k])
        found.add(line)
        known = known.copy()
        known[line] = False
        squares |= _squares(values, known, range(max(line - WIDEST_GAP, 0), min(line + WIDEST_GAP + 1, len(lines))))
    return found


def _squares(values: NDArray[np.float32], known: NDArray[np.bool_], asked: range) -> dict[int, float]:
    """Return the sums of the squares of the factors by which lines are those beside them; infinity if they aren't."""
    likely = _explained(values, known, asked, FITTED, LIKELY)
    return dict.fromkeys(asked, np.inf) | _explained(values, known, likely, MOST_FITTED, PREDICTED)


def _explained(
    values: NDArray[np.float32], known: NDArray[np.bool_], asked: Iterable[int], most: int, left: float
) -> dict[int, float]:
    """Return the lines of which sums of those beside them leave less than a share of their noise.

    Parameters
    ----------
    values, known : (n, m)
        All lines, and where they were measured.
    asked : iterable of int
        The lines in question.
    most : int
        Voxels of a line looked at.
    left : float
        In units of the line's photon noise.

    Returns
    -------
    dict[int, float]
        Of each such line the sum of the factors' squares.
    """
    squares: dict[int, float] = {}
    fits = _fits(values, known, asked, most)
    if not fits:
        return squares
    products, sums = (np.stack(part) for part in zip(*((fit.products, fit.sums) for fit in fits), strict=True))
    rounding = np.array([fit.rounding for fit in fits])[:, None, None] * np.eye(2 * NEIGHBOURS)
    factors = np.linalg.solve(products + rounding, sums[..., None])[..., 0]
    explained = (factors * (2 * sums - (products @ factors[..., None])[..., 0])).sum(axis=1)
    for fit, one, power in zip(fits, factors, explained, strict=True):
        if fit.power - power < left * fit.noise:
            squares[fit.line] = float(one @ one)
    return squares


@dataclass(frozen=True, eq=False)
class _Fit:
    """The normal equations of a line as a sum of those beside it, in units of photon noise; 0 where none is beside."""

    line: int
    products: NDArray[np.float64]
    sums: NDArray[np.float64]
    rounding: float  # filled lines were rounded: without its variance sums of them would take ever larger factors
    power: float
    noise: float  # the line's own photons, which are few in a dark fringe, are what scatters


def _fits(values: NDArray[np.float32], known: NDArray[np.bool_], asked: Iterable[int], most: int) -> list[_Fit]:
    """Return the normal equations of the lines that have others on both sides, and photons enough."""
    measured, whole = np.flatnonzero(known.any(axis=1)), np.asarray(known.all(axis=1))
    fits = []
    for line in asked:
        near = measured[np.abs(measured - line) <= WIDEST_GAP]
        before, after = near[near < line][-NEIGHBOURS:], near[near > line][:NEIGHBOURS]
        if not (line in near and before.size and after.size):
            continue
        # The lines beside it tell, too, how many photons are to be expected.
        level = (values[before[-1]] + values[line] + values[after[0]]) / np.float32(3)
        others = np.concatenate([before, after])
        usable = np.flatnonzero(level >= FITTED_FROM)
        if usable.size >= FITTED and not (whole[line] and whole[others].all()):
            usable = usable[known[np.append(others, line)][:, usable].all(axis=0)]
        if usable.size < FITTED:  # of most lines
            continue
        usable = usable[:: max(1, usable.size // most)]
        weight = 1 / np.sqrt(level[usable].astype(np.float64))
        wanted = values[line, usable] * weight
        given = np.zeros((2 * NEIGHBOURS, usable.size))
        np.multiply(values[others].take(usable, axis=1), weight, out=given[: others.size])
        fit = _Fit(
            line=line,
            products=given @ given.T,
            sums=given @ wanted,
            rounding=float(weight @ weight) / 12,
            power=float(wanted @ wanted),
            noise=float(wanted @ weight),
        )
        if fit.noise > FITTED / 2:
            fits.append(fit)
    return fits
