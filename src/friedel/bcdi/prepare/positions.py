"""Whether a scan's frames lie evenly in q, in the order of q; and frames brought to an even grid where they don't.

Of an even scan the positions are fitted by a line, which single wrong readings don't move. Of any other, each frame
counts at its own q: the intensities along the scan are interpolated to even steps as what they are, functions without
periods finer than the crystal's thickness allows, and are unknown where no frame is near enough.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.rocking import even_line, q_of_frames
from friedel.bcdi.prepare.background import not_negative
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.frames import one_beam
from friedel.bcdi.prepare.order import in_place
from friedel.bcdi.records import BraggScan
from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Warned, listed, silent

Floats = NDArray[np.float64]
# Share of an even scan's readings that may be off its line; with more, the scan is treated as uneven.
FEW = 0.05
LEAST_FRAMES = 8
# Frames off the scan's line in q by more than this share of its length belong to no rocking scan.
MOST_ASIDE = 0.1
# A scan that turns about more often than this, and than every tenth frame, is in no order.
MOST_TURNS = 4
# Rounding puts a reading half a last digit off its line at the most; the line itself is fitted to rounded readings.
MOST_ROUNDED = 0.6
# Multiples of a power of ten come out of float64 and float32 as whole numbers to this.
ROUNDED_ALIKE = 1e-2
# Share of the even frames that no recorded frame is near, beyond which the readings aren't a rocking scan's.
MOST_EMPTY = 0.5
# Positions this close, in steps, are one position.
SAME = 0.05
# Two frames are said to be at one position, but their mean square difference exceeds that of photon noise so many
# times: the reading is wrong.
MOST_DISAGREEMENT = 4.0
# Highest frequency of the intensities, in cycles a step, and share of noise, that are tried.
BANDS = (0.5, 0.42, 0.34, 0.26, 0.18, 0.12)
NOISES = (1e-4, 1e-2)
# Steps from an even place within which a frame is nearest to it and no other; a little more for rounding.
NEAREST = 0.501
# An interpolated frame is unknown where its expected error exceeds this share of the intensities' own variance.
MOST_UNCOVERED = 0.01
BRIGHT_PIXELS = 2000  # from which band and noise are chosen; more only cost time


@dataclass(frozen=True, eq=False, kw_only=True)
class Evened:
    """A scan whose frames are evenly spaced in q.

    Attributes
    ----------
    counts : Counts
        ``(n, y, x)``.
    scan : BraggScan
        The scan with the readings of these frames; its raw frames are untouched.
    places : (n_recorded,) float64
        Where the recorded frames lie among the even ones; NaN if that isn't known.
    recorded : Counts or None
        The recorded frames that the even ones were interpolated from; None: they are the same.
    """

    counts: Counts
    scan: BraggScan
    places: Floats
    recorded: Counts | None = None


def evened(counts: Counts, scan: BraggScan, *, infer_beam: bool = True, observer: Observer = silent) -> Evened:
    """Return a scan on even steps.

    Parameters
    ----------
    counts : Counts
        ``(n, y, x)``, clean.
    scan : BraggScan
        As read; without geometry its frames are taken as even.
    infer_beam : bool
        Whether runs of frames behind an attenuator are looked for.
    observer : Observer
        Hears how even the steps are, and what was done.

    Raises
    ------
    InputError
        If nothing moves, too few positions are known, or the frames don't follow one line in q.
    """
    n = len(counts.mask)
    q = _q(counts, scan)
    if q is None:
        counts = in_place(counts, name=scan.name, observer=observer)
        counts = one_beam(counts, name=scan.name, observer=observer) if infer_beam else counts
        return Evened(counts=counts, scan=scan, places=np.arange(n, dtype=float))
    along = _along(q, scan.name)
    rounded = _rounded_only(scan)
    along = along if rounded else _believed(along, counts, scan.name, observer)
    on = np.isfinite(along) if rounded else even_line(along)[1]
    known = np.isfinite(along)
    if known.sum() < LEAST_FRAMES:
        raise InputError(
            f"{scan.name}: the position of only {int(known.sum())} of {n} frames is known; at least {LEAST_FRAMES} "
            "are needed: check the scanned motor's column in the file"
        )
    if (known & ~on).sum() <= max(2, FEW * known.sum()) and on.sum() >= LEAST_FRAMES:
        even = _even(counts, scan, on, known, observer)
        even = replace(even, counts=in_place(even.counts, name=scan.name, observer=observer))
        return replace(even, counts=one_beam(even.counts, name=scan.name, observer=observer)) if infer_beam else even
    places = along / _typical_step(np.sort(along[known]))
    counts = in_place(counts, name=scan.name, places=places, observer=observer)
    if infer_beam:
        counts = one_beam(counts, name=scan.name, places=places, observer=observer)
    return _resampled(counts, scan, along, observer)


def in_order(scan: BraggScan, *, observer: Observer = silent) -> tuple[BraggScan, NDArray[np.intp]]:
    """Return a scan with its frames in the order of their positions, if they were recorded in no order at all.

    What is lost or garbled shows beside the neighbours, so these must be neighbours. A scan that goes there and back
    keeps its order in time.

    Returns
    -------
    scan : BraggScan
        The same one, if it is in order or its positions aren't known.
    order : (n,) intp
        The recorded number of each of its frames.
    """
    n = len(scan.frames)
    same = np.arange(n)
    if scan.beam is None or scan.detector is None or scan.diffractometer is None:
        return scan, same
    q = _q_at(scan, tuple((size - 1) / 2 for size in scan.frames.shape[1:]))
    if len(q) != n or not np.isfinite(q).all():
        return scan, same
    along = _along(q, scan.name)
    steps = np.sign(np.diff(along))
    turns = int((np.diff(steps[steps != 0]) != 0).sum())
    if not np.isfinite(along).all() or turns <= max(MOST_TURNS, 0.1 * n):
        return scan, same
    order = np.argsort(along, kind="stable")
    text = (
        f"{scan.name}: the frames were recorded in no order of their positions; sorted, and numbered by position below"
    )
    observer(Warned("angles", text))
    motors = {
        name: value if np.ndim(value) == 0 else np.asarray(value)[order] for name, value in scan.motors_deg.items()
    }
    energies = None if scan.energies_ev is None else scan.energies_ev[order]
    monitor = None if scan.monitor is None else scan.monitor[order]
    return replace(scan, frames=scan.frames[order], motors_deg=motors, energies_ev=energies, monitor=monitor), order


def _q_at(scan: BraggScan, pixel_yx: tuple[float, ...]) -> Floats:
    assert scan.beam is not None
    assert scan.detector is not None
    assert scan.diffractometer is not None
    return q_of_frames(
        beam=scan.beam,
        detector=scan.detector,
        diffractometer=scan.diffractometer,
        motors_deg=scan.motors_deg,
        pixel_yx=(pixel_yx[0], pixel_yx[1]),
        energies_ev=scan.energies_ev,
    )


def _q(counts: Counts, scan: BraggScan) -> Floats | None:
    if scan.beam is None or scan.detector is None or scan.diffractometer is None:
        return None
    image = counts.values.sum(axis=0)
    row, column = np.unravel_index(int(image.argmax()), image.shape)
    q = _q_at(scan, (float(row), float(column)))
    n = len(counts.mask)
    unknown = [name for name, value in scan.motors_deg.items() if not np.isfinite(value).any()]
    if unknown:
        raise InputError(f"{scan.name}: no position of {', '.join(unknown)} is a number; check its column in the file")
    if len(q) == 1:
        raise InputError(
            f"{scan.name}: a rocking scan moves a circle of sample or detector, or the energy; this one moves none"
        )
    if len(q) != n:
        raise InputError(f"{scan.name}: {n} frames, but {len(q)} readings of the motors; they belong to other scans")
    return q


def _along(q: Floats, name: str) -> Floats:
    """Return each frame's place along the line that the scan follows, Å⁻¹ from its middle; NaN if far from all."""
    known = np.isfinite(q).all(axis=1)
    if not known.any():
        raise InputError(f"{name}: no frame has a position; check the scanned motor's column in the file")
    middle = np.median(q[known], axis=0)
    away = np.linalg.norm(q - middle, axis=1)
    typical = float(np.median(away[known]))
    near = known & (away <= 8 * typical)
    _, lengths, axes = np.linalg.svd(q[near] - q[near].mean(axis=0), full_matrices=False)
    if not lengths[0] > 0 or not typical > 0:
        raise InputError(f"{name}: all frames were taken at one position; the scanned motor's readings don't change")
    along: Floats = np.where(near, (q - middle) @ axes[0], np.nan)
    aside = np.linalg.norm((q - middle) - along[:, None] * axes[0], axis=1)
    span = float(np.nanmax(along) - np.nanmin(along))
    if np.median(aside[near]) > MOST_ASIDE * span:
        raise InputError(
            f"{name}: the frames don't follow one line in q (half are off it by {np.median(aside[near]) / span:.0%} of "
            "its length); is it a mesh of two motors? Choose one line of it"
        )
    numbers = np.flatnonzero(near)
    falls = float(((numbers - numbers.mean()) * (along[near] - along[near].mean())).sum()) < 0
    return -along if falls else along


def _rounded_only(scan: BraggScan) -> bool:
    """Tell whether all readings lie on even steps, to within the last digit that they were written with."""
    moving = [np.asarray(values, float) for values in scan.motors_deg.values() if np.ndim(values) > 0]
    moving += [] if scan.energies_ev is None else [np.asarray(scan.energies_ev, float)]
    moving = [values for values in moving if np.isfinite(values).all() and np.ptp(values) > 0]
    return len(moving) > 0 and all(_off_line(values) <= MOST_ROUNDED * last_digit(values) for values in moving)


def _off_line(values: Floats) -> float:
    numbers = np.arange(values.size)
    return float(np.abs(values - np.polyval(np.polyfit(numbers, values, 1), numbers)).max())


def last_digit(values: Floats) -> float:
    """Return the power of ten of which all values are multiples; 0 if none is larger than a millionth."""
    for digits in range(1, 7):
        scaled = values * 10.0**digits
        if np.abs(scaled - np.round(scaled)).max() < ROUNDED_ALIKE * max(1.0, float(np.abs(scaled).max()) * 1e-6):
            return float(10.0**-digits)
    return 0.0


def _believed(along: Floats, counts: Counts, name: str, observer: Observer) -> Floats:
    """Return the places, NaN where the reading stayed the same while the frames went on changing."""
    step = float(np.median(np.abs(np.diff(along[np.isfinite(along)])))) or float(np.nanmax(np.abs(along))) / along.size
    same = np.abs(np.diff(along)) < SAME * step
    stuck, first = [], 0
    for index in range(1, along.size):
        first = first if same[index - 1] else index
        if same[index - 1] and _disagreement(counts, first, index) > MOST_DISAGREEMENT:
            stuck.append(index)
    if len(stuck) < 2:
        return along
    if stuck[-1] == along.size - 1 and len(stuck) == stuck[-1] - stuck[0] + 1 and not counts.values[stuck].any():
        text = f"{name}: frames {listed(stuck)} have no counts and the last position before them: the scan had ended"
        observer(Warned("angles", text))
        return np.concatenate([along[: stuck[0]], np.full(len(stuck), np.nan)])
    text = f"{name}: frames {listed(stuck)} have the position of the frame before them but other counts: the reading "
    observer(Warned("angles", text + "stood still, so where they lie isn't known", bends=len(stuck) > FEW * along.size))
    believed = along.copy()
    believed[stuck] = np.nan
    return believed


def _disagreement(counts: Counts, i: int, j: int) -> float:
    """Return the mean square difference of two frames over that of photon noise, on voxels that have counts."""
    a, b = counts.values[i].astype(np.float64), counts.values[j].astype(np.float64)
    some = counts.mask[i] & counts.mask[j] & (a + b >= 4)
    if some.sum() < 4:
        return 0.0
    return float(((a - b)[some] ** 2 / (a + b)[some]).mean())


def _even(
    counts: Counts, scan: BraggScan, on: NDArray[np.bool_], known: NDArray[np.bool_], observer: Observer
) -> Evened:
    """Return an even scan with its readings on their line; frames whose reading is elsewhere are unknown."""
    n = on.size
    wrong, absent = np.flatnonzero(known & ~on), np.flatnonzero(~known)
    inside = absent[(absent > 0) & (absent < n - 1)] if absent.size <= FEW * n else absent[:0]
    away = np.setdiff1d(np.concatenate([wrong, absent]), inside)
    motors = {name: _on_line(value, on) if np.ndim(value) > 0 else value for name, value in scan.motors_deg.items()}
    energies = None if scan.energies_ev is None else _on_line(scan.energies_ev, on)
    if away.size:
        unknown = np.zeros(counts.mask.shape, bool)
        unknown[away] = True
        counts = counts.without(unknown)
        text = f"{scan.name}: the readings of frames {listed(away)} don't lie on the scan's even steps: their counts "
        observer(Warned("angles", text + "are unknown, the steps are those of the others"))
    if inside.size:
        text = f"{scan.name}: frames {listed(inside)} have no reading; taken to lie on the others' even steps"
        observer(Warned("angles", text))
    observer(Note("angles", f"{scan.name}: {_steps(motors, energies)}, even"))
    return Evened(
        counts=counts, scan=replace(scan, motors_deg=motors, energies_ev=energies), places=np.arange(n, dtype=float)
    )


def _on_line(values: float | Floats, on: NDArray[np.bool_]) -> Floats:
    numbers = np.arange(on.size)
    slope, start = np.polyfit(numbers[on], np.asarray(values, float)[on], 1)
    line: Floats = start + slope * numbers
    return line


def _steps(motors: dict[str, float | Floats], energies: Floats | None) -> str:
    moving = {f"{name}": values for name, values in motors.items() if np.ndim(values) > 0 and np.ptp(values) > 0}
    said = [f"{name} {v[0]:.5g}° to {v[-1]:.5g}° in steps of {(v[-1] - v[0]) / (v.size - 1):.4g}°"
            for name, v in ((name, np.asarray(values)) for name, values in moving.items())]  # fmt: skip
    if energies is not None and np.ptp(energies) > 0:
        step = (energies[-1] - energies[0]) / (energies.size - 1)
        said.append(f"energy {energies[0]:.6g} to {energies[-1]:.6g} eV in steps of {step:.4g} eV")
    return "; ".join(said)


def _resampled(counts: Counts, scan: BraggScan, along: Floats, observer: Observer) -> Evened:
    usable = np.isfinite(along) & counts.mask.any(axis=(1, 2))
    order = np.flatnonzero(usable)[np.argsort(along[usable], kind="stable")]
    places = along[order]
    step = _typical_step(places)
    target = np.arange(places[0], places[-1] + 0.5 * step, step)
    counts = _filled(counts, order, places)
    weights, sure = _weights(places / step, target / step, counts, order)
    values, mask = _applied(weights, counts, order)
    mask &= sure[:, None, None]
    motors = {
        name: np.interp(target, places, np.asarray(value, float)[order]) if np.ndim(value) > 0 else value
        for name, value in scan.motors_deg.items()
    }
    energies = None if scan.energies_ev is None else np.interp(target, places, scan.energies_ev[order])
    if (~sure).sum() > MOST_EMPTY * target.size:
        raise InputError(
            f"{scan.name}: the frames lie in bunches: none is near {int((~sure).sum())} of {target.size} even steps "
            "along the scan; is it a mesh of two motors (choose one line of it), are readings wrong, or are "
            "steps too coarse for the crystal?"
        )
    gaps = np.diff(places) / step
    text = (
        f"{scan.name}: {_steps(motors, energies)} on average, uneven: from {gaps.min():.2f} to {gaps.max():.2f} steps "
    )
    text += f"apart, {int((gaps < SAME).sum())} at one place; interpolated to {target.size} even steps"
    lost = int((~sure).sum())
    observer(Warned("angles", text + (f", {lost} of them unknown for want of a frame near by" if lost else "")))
    off = np.flatnonzero(~np.isfinite(along))
    if off.size:
        bends = off.size > FEW * along.size
        observer(Warned("angles", f"{scan.name}: frames {listed(off)} have no usable position: left out", bends=bends))
    found = np.full(along.size, np.nan)
    found[order] = (places - target[0]) / step
    return Evened(
        counts=replace(counts, values=values, mask=mask),
        scan=replace(scan, motors_deg=motors, energies_ev=energies),
        places=found,
        recorded=counts,
    )


def _typical_step(places: Floats) -> float:
    """Return the mean distance between neighbouring places, doubles and holes left out."""
    gaps = np.diff(places)
    gaps = gaps[gaps > SAME * np.median(gaps[gaps > 0])]
    usual = gaps[gaps <= 2.5 * np.median(gaps)]
    return float(usual.mean())


def _weights(
    places: Floats, target: Floats, counts: Counts, order: NDArray[np.intp]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the matrix from frames to even ones, and which of these are sure enough.

    Gaussian-process regression with the covariance sin(2πBs)/(2πBs) of functions without frequencies beyond B. B and
    the noise are those that predict each frame best from the others, over the brightest pixels.

    Its curve alone would be smoother than counts are: neighbouring even frames would share their noise, held-out voxels
    could be told from those beside them, and supports would come out too loose. So an even frame is the recorded one
    nearest to it, or the mean of those it is nearest to, and of the curve only the change from there to here is taken.
    """
    image = counts.values.sum(axis=0)
    some = np.argpartition(image, -min(BRIGHT_PIXELS, image.size), axis=None)[-BRIGHT_PIXELS:]
    lines = counts.values.reshape(len(counts.values), -1)[np.ix_(order, some)].astype(np.float64)
    trust = 1 / (lines.mean(axis=1, keepdims=True) + 1)
    best: tuple[float, NDArray[Any], float] | None = None
    for band in BANDS:
        for noise in NOISES:
            inverse = np.linalg.inv(np.sinc(2 * band * (places[:, None] - places)) + noise * np.eye(places.size))
            left_out = (inverse @ lines) / np.diag(inverse)[:, None]
            error = float((left_out**2 * trust).sum())
            if best is None or error < best[0]:
                best = error, inverse, band
    assert best is not None
    _, inverse, band = best
    near = np.sinc(2 * band * (target[:, None] - places))
    weights = near @ inverse
    uncovered = 1 - (weights * near).sum(axis=1)
    weights = _summing_to_one(weights) + _own_noise(
        places, target, np.sinc(2 * band * (places[:, None] - places)) @ inverse
    )
    return weights, uncovered <= MOST_UNCOVERED


def _own_noise(places: Floats, target: Floats, curve: Floats) -> Floats:
    """Return the matrix from frames to what those nearest to an even place differ from the curve at their own."""
    nearest = np.abs(target[:, None] - places).argmin(axis=0)
    members = np.zeros((target.size, places.size))
    members[nearest, np.arange(places.size)] = np.abs(target[nearest] - places) <= NEAREST
    means = members / np.maximum(members.sum(axis=1, keepdims=True), 1)
    differences: Floats = means @ (np.eye(places.size) - _summing_to_one(curve))
    return differences


def _summing_to_one(weights: Floats) -> Floats:
    """Return the weights without what the noise term dims them by, half a per cent."""
    whole: Floats = weights / weights.sum(axis=1, keepdims=True)
    return whole


def _applied(weights: Floats, counts: Counts, order: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the even frames, not below zero, and where all frames that weigh in them were measured."""
    shape = (len(weights), *counts.mask.shape[1:])
    w = weights.astype(np.float32)
    values = (w @ counts.values[order].reshape(order.size, -1)).reshape(shape)
    mask = np.ones(shape, bool)
    unknown = ~counts.mask[order]
    always = unknown.all(axis=0)
    mask[:, always] = False
    sometimes = unknown.any(axis=0) & ~always
    if sometimes.any():
        share = np.abs(w) / np.abs(w).sum(axis=1, keepdims=True)
        mask[:, sometimes] = (share @ unknown[:, sometimes].astype(np.float32)) < SAME
    return np.where(mask, not_negative(values), 0).astype(np.float32), mask


def _filled(counts: Counts, order: NDArray[np.intp], places: Floats) -> Counts:
    """Return the counts with what they may be where unknown frames weigh in even ones a little: not dark."""
    known = counts.mask[order]
    sometimes = known.any(axis=0) & ~known.all(axis=0)
    if not sometimes.any():
        return counts
    values = counts.values.copy()
    recorded = values[order]
    recorded[:, sometimes] = _bridged(recorded[:, sometimes], known[:, sometimes], places)
    values[order] = recorded
    return replace(counts, values=values)


def _bridged(values: NDArray[np.float32], known: NDArray[np.bool_], places: Floats) -> NDArray[np.float32]:
    """Return lines of counts ``(n, pixels)`` with unknown ones from the known ones before and after, linearly."""
    n = len(values)
    numbers = np.where(known, np.arange(n)[:, None], -1)
    before = np.maximum.accumulate(numbers)
    after = n - 1 - np.maximum.accumulate(np.where(known, np.arange(n)[::-1, None], -1)[::-1])[::-1]
    before, after = np.where(before < 0, after, before), np.where(after >= n, before, after)
    apart = places[after] - places[before]
    share = np.where(apart > 0, (places[:, None] - places[before]) / np.where(apart > 0, apart, 1), 0)
    low, high = (np.take_along_axis(values, ends, axis=0) for ends in (before, after))
    return np.asarray(np.where(known, values, low + share * (high - low)), np.float32)
