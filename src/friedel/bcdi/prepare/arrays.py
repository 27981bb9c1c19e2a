"""An array in memory as a `Diffraction`: the checks behind the public ``reconstruct(intensities, mask=…)``."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.bcdi.prepare.counts import Counts, counts_from
from friedel.bcdi.prepare.crop import MINIMUM, bright_middle, crop, find_peak, window_start
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Warned, silent

OFF_CENTRE_ALLOWED = 1 / 8
MOST = 0.5


def diffraction_from_array(
    intensities: ArrayLike, mask: ArrayLike | None = None, *, name: str = "intensities", observer: Observer = silent
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
        Photons; NaN where unknown.
    mask : (z, y, x), bool or 0 and 1, or None
        True where measured; None: everywhere.
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
    array = _as_array(intensities, name)
    if array.ndim == 3 and min(array.shape) < MINIMUM:
        raise InputError(f"{name}: shape {array.shape} has a side under {MINIMUM} voxels, too few to phase")
    counts = counts_from(array, _as_mask(mask, array.shape, name), name=name, observer=observer)
    counts = _centred(counts, name, observer)
    n_unknown = float(1 - counts.mask.mean())
    observer(Note("input", f"{name}: {array.shape}, {n_unknown:.2%} of voxels unknown", {"unknown": n_unknown}))
    return Diffraction(intensities=counts.values, mask=counts.mask, name=name)


def as_diffraction(
    given: ArrayLike | Diffraction, mask: ArrayLike | None = None, *, observer: Observer = silent
) -> Diffraction:
    """Return a prepared pattern as it is, and an array as `diffraction_from_array`.

    Raises
    ------
    InputError
        As `diffraction_from_array`; or for a mask beside a pattern that has its own.
    """
    if not isinstance(given, Diffraction):
        return diffraction_from_array(given, mask, observer=observer)
    if mask is not None:
        raise InputError(
            f"{given.name}: a Diffraction has a mask of its own; change that one instead of giving another"
        )
    return given


def _as_array(intensities: ArrayLike, name: str) -> NDArray[np.generic]:
    try:
        return np.asarray(intensities)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: not an array of numbers ({error}); give a 3D array of photons") from None


def _as_mask(mask: ArrayLike | None, shape: tuple[int, ...], name: str) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    array = _as_array(mask, f"mask of {name}")
    if array.shape != shape:
        raise InputError(f"{name}: the mask's shape {array.shape} isn't the intensities' {shape}")
    if array.dtype.kind not in "buif" or not np.isin(array, (0, 1)).all():
        raise InputError(f"{name}: a mask holds True (measured) and False, or 1 and 0; this one holds other values")
    return array.astype(bool)


def _photons_in(counts: Counts) -> float:
    """Return the photons on measured voxels."""
    return float(counts.values[counts.mask].sum(dtype=np.float64))


def _near_middle(place: tuple[float, float, float], shape: tuple[int, int, int]) -> bool:
    return all(abs(p - n // 2) <= OFF_CENTRE_ALLOWED * n for p, n in zip(place, shape, strict=True))


def _centred(counts: Counts, name: str, observer: Observer) -> Counts:
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
