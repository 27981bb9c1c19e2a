"""An array in memory as a `Diffraction`: the checks behind the public ``reconstruct(intensities, mask=…)``."""

from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.bcdi.prepare.counting.dead_time import without_dead_time
from friedel.bcdi.prepare.counting.filled_lines import without_filled_lines
from friedel.bcdi.prepare.counting.overflow import without_overflow
from friedel.bcdi.prepare.counting.wide_pixels import without_wide_pixels
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.crop import MINIMUM, bright_middle, crop, find_peak, window_start
from friedel.bcdi.prepare.frames import one_beam, repaired_frames
from friedel.bcdi.prepare.order import in_place
from friedel.bcdi.prepare.units import photons_from
from friedel.bcdi.records import Diffraction, Origin
from friedel.core.errors import InputError
from friedel.core.files.masks import Marks, measured_from
from friedel.core.observer import Note, Observer, Recorder, Warned, silent, tee

# Share of the side by which the peak may be off the middle. A choice: to move the array makes as large a share of its
# voxels unknown, and saves only a phase ramp; but the farther off the peak, the fewer fringes one side has.
OFF_CENTRE_ALLOWED = 1 / 8
# Least share of the photons that a move must keep; below it the bright voxel isn't the pattern's centre.
MOST = 0.5
# Least ratio of the two ends of a wrapped axis: both are next to its peak, so neither is much fainter than the other.
WRAPPED = 0.05
# Least ratio of the light on the two sides of a wrapped peak, where the seam is some voxels off it.
LIKE_SIDES = 0.3
# And over what as many voxels of the array's middle half have on average.
MORE_THAN_USUAL = 3.0


def diffraction_from_array(
    intensities: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    mask_marks: Marks | None = None,
    name: str = "intensities",
    observer: Observer = silent,
) -> Diffraction:
    """Check measured intensities and make them a `Diffraction` of the same shape.

    The peak should be at index ``n // 2``. If it is up to an eighth of the side off along every axis, or the middle of
    all that is bright is, the array is left as it is: a strained crystal's brightest voxel isn't its pattern's centre,
    and a shift only adds a phase ramp that is taken out again. Further off, the array is moved; voxels that come in
    from outside are unknown, and a warning says so.
    Where the move would lose half the photons or more it is left out, and a warning says that.

    Parameters
    ----------
    intensities : (z, y, x), any real dtype
        Photons; NaN where unknown. A numpy masked array's mask counts, too.
    mask : (z, y, x) or (y, x), bool or numbers, or None
        Non-zero is bad; None: nothing is.
    mask_marks : {"bad", "good"} or None
        What non-zero in the mask means; None: bad, unless the data contradict it (`friedel.core.files.masks`).
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears repairs.

    Returns
    -------
    Diffraction
        float32 photons, without geometry.

    Raises
    ------
    InputError
        For complex, infinite or non-numeric values, another number of dimensions than 3, a side under 16 voxels, a mask
        of another shape, or nothing measured above zero.
    """
    heard = Recorder()
    tell = tee(heard, observer)
    array = _as_array(intensities, name)
    if array.ndim == 3 and min(array.shape) < MINIMUM:
        raise InputError(f"{name}: shape {array.shape} has a side under {MINIMUM} voxels, too few to phase")
    tell(Note("file", f"{name}: an array of {array.dtype} in memory"))
    measured = _measured(intensities, array, mask, mask_marks, name, tell)
    counts = unshifted(photons_from(array, measured, name=name, observer=tell), name, tell)
    counts = without_overflow(counts, name=name, observer=tell)
    say_axes(counts, name=name, observer=tell)
    counts = repaired_frames(counts, name=name, observer=tell)
    counts = without_filled_lines(counts, name=name, observer=tell)
    counts = without_wide_pixels(counts, name=name, observer=tell)
    counts = without_dead_time(counts, name=name, observer=tell)
    counts = in_place(counts, name=name, observer=tell)
    counts = centred(one_beam(counts, name=name, observer=tell), name, tell)
    n_unknown = float(1 - counts.mask.mean())
    tell(Note("frames", f"{name}: {array.shape}, {n_unknown:.2%} of voxels unknown", {"unknown": n_unknown}))
    origin = Origin().with_events(heard.events)
    return Diffraction(intensities=counts.values, mask=counts.mask, name=name, unit=counts.unit, origin=origin)


def as_diffraction(
    given: ArrayLike | Diffraction,
    mask: ArrayLike | None = None,
    *,
    mask_marks: Marks | None = None,
    observer: Observer = silent,
) -> Diffraction:
    """Return a prepared pattern as it is, and an array as `diffraction_from_array`.

    Parameters
    ----------
    given : (z, y, x) array or Diffraction
        The pattern.
    mask, mask_marks, observer
        As for `diffraction_from_array`; a `Diffraction` has a mask of its own.

    Raises
    ------
    InputError
        As `diffraction_from_array`; or for a mask beside a pattern that has its own.
    """
    if not isinstance(given, Diffraction):
        return diffraction_from_array(given, mask, mask_marks=mask_marks, observer=observer)
    if mask is not None:
        raise InputError(
            f"{given.name}: a Diffraction has a mask of its own; change that one instead of giving another"
        )
    return given


def _as_array(intensities: ArrayLike, name: str) -> NDArray[Any]:
    if isinstance(intensities, (str, PurePath)):
        raise InputError(
            f"{intensities}: a path, where an array is needed; read the file first: friedel.load for a result, "
            "friedel.prepare(friedel.read_scan(path)) for a scan or a volume"
        )
    try:
        return np.asarray(intensities)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: not an array of numbers ({error}); give a 3D array of photons") from None


def _measured(
    intensities: ArrayLike,
    array: NDArray[Any],
    mask: ArrayLike | None,
    marks: Marks | None,
    name: str,
    observer: Observer,
) -> NDArray[np.bool_] | None:
    measured: NDArray[np.bool_] | None = None
    if isinstance(intensities, np.ma.MaskedArray) and np.ma.getmaskarray(intensities).any():
        measured = ~np.ma.getmaskarray(intensities)
        left = float(measured.mean())
        observer(Note("mask", f"{name}: the array's own mask, True is masked; it leaves {left:.2%} of the voxels"))
    if mask is not None and array.ndim == 3:
        given = _as_array(mask, f"mask of {name}")
        if given.shape not in (array.shape, array.shape[1:]):
            raise InputError(f"{name}: the mask's shape {given.shape} isn't the intensities' {array.shape}")
        stated = measured_from(given, array, marks=marks, name=f"mask of {name}", observer=observer)
        measured = np.array(np.broadcast_to(stated, array.shape)) & (True if measured is None else measured)
    return measured


def _photons_in(counts: Counts) -> float:
    """Return the photons on measured voxels."""
    return float(counts.values[counts.mask].sum(dtype=np.float64))


def _near_middle(place: tuple[float, float, float], shape: tuple[int, int, int]) -> bool:
    return all(abs(p - n // 2) <= OFF_CENTRE_ALLOWED * n for p, n in zip(place, shape, strict=True))


def centred(counts: Counts, name: str, observer: Observer) -> Counts:
    """Return the counts moved so that a peak far from index ``n // 2`` comes there, and say so."""
    z, y, x = counts.mask.shape
    peak = find_peak(counts)
    off = [p - n // 2 for p, n in zip(peak, (z, y, x), strict=True)]
    if _near_middle(peak, (z, y, x)) or _near_middle(bright_middle(counts), (z, y, x)):
        return counts
    moved = crop(counts, window_start(peak, (z, y, x)), (z, y, x))
    lost = float(1 - moved.mask.sum() / counts.mask.sum())
    where = f"the peak is {off} voxels off index n // 2 along z, y, x"
    if _photons_in(moved) < MOST * _photons_in(counts):
        observer(Warned("centre", f"{name}: {where}, but most photons lie elsewhere; the array is left where it is"))
        return counts
    observer(Warned("centre", f"{name}: {where}; the array was moved, and {lost:.1%} of what was measured is lost"))
    return moved


def say_axes(counts: Counts, *, name: str, observer: Observer) -> None:
    """Say which axis of a volume without geometry is taken for the scan: nothing in the counts tells it for sure."""
    shape = " × ".join(map(str, counts.mask.shape))
    text = f"{name}: {shape}, taken as (z, y, x): frames, and what is wrong with them, are looked for along the first"
    observer(Note("axes", text + " axis; np.moveaxis(array, -1, 0) brings a scan that lies along the last one there"))


def unshifted(counts: Counts, name: str, observer: Observer) -> Counts:
    """Return the counts with the origin in the middle, where an FFT left it at index 0 of some axes, and say so.

    Such an axis has its peak at one end and as bright a rest of it at the other, which no crop of a pattern has.
    """
    axes = tuple(axis for axis in range(3) if _wrapped(counts, axis))
    if not axes:
        return counts
    named = ", ".join("zyx"[axis] for axis in axes)
    text = f"{name}: the peak lies across the ends of {named}, as an FFT leaves it: shifted to the middle (fftshift)"
    observer(Warned("centre", text))
    steps = tuple(counts.mask.shape[axis] // 2 for axis in axes)
    shifted = np.roll(counts.values, steps, axes), np.roll(counts.mask, steps, axes)
    return replace(counts, values=shifted[0], mask=shifted[1])


def _wrapped(counts: Counts, axis: int) -> bool:
    line = counts.values.sum(axis=tuple(other for other in range(3) if other != axis), dtype=np.float64)
    n, edge = line.size, max(1, line.size // 16)
    peak = int(line.argmax())
    low, high, middle = line[0], line[-1], line[n // 4 : n - n // 4].max()
    if min(peak, n - 1 - peak) <= edge and min(low, high) > WRAPPED * max(low, high) and min(low, high) > middle:
        return True
    beyond = min(peak, n - 1 - peak)  # voxels between the peak and the seam
    if beyond > OFF_CENTRE_ALLOWED * n:
        return False
    # A peak a few voxels off: round it lies as much light on the axis' other end as on its own side, as far away.
    reach = n // 4
    sides = [np.take(line, np.arange(peak + step, peak + step * reach, step), mode="wrap") for step in (1, -1)]
    own, across = sides if peak < n // 2 else sides[::-1]
    there, here = float(across[beyond:].sum()), float(own[beyond:].sum())
    usual = float(line[n // 4 : n - n // 4].mean()) * (across.size - beyond)
    return bool(there > LIKE_SIDES * here and there > MORE_THAN_USUAL * usual)
