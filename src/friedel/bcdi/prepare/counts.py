"""The working state of preparation: counts with a mask of what was measured; and the repair of impossible values."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Warned, silent


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts on a 3D grid.

    Attributes
    ----------
    values : (z, y, x) float32
        Counts; no meaning where ``mask`` is False (kept at 0 there, so that sums stay finite).
    mask : (z, y, x) bool
        True where measured.
    """

    values: NDArray[np.float32]
    mask: NDArray[np.bool_]

    def without(self, unknown: NDArray[np.bool_]) -> Self:
        """Return the counts with more voxels unknown; ``unknown`` broadcasts from ``(y, x)``."""
        mask = self.mask & ~unknown
        return replace(self, values=np.where(mask, self.values, np.float32(0)), mask=mask)


def counts_from(
    values: NDArray[Any], mask: NDArray[np.bool_] | None, *, name: str, observer: Observer = silent
) -> Counts:
    """Check raw values and make them float32 counts.

    NaN is unknown, and so is the largest value of an unsigned type (detectors mark dead pixels and gaps with it).
    Negative whole numbers are unknown too (detectors mark with −1 and −2; a count can't be negative). Negative
    fractions come from a background subtracted earlier: they become 0, the likeliest true intensity; taking them as
    unknown would keep only the upward fluctuations.

    Parameters
    ----------
    values : (z, y, x), any real dtype
        Raw values.
    mask : (z, y, x) or (y, x) bool, or None
        True where measured.
    name : str
        Origin of the data, for messages.

    Raises
    ------
    InputError
        If the values aren't finite real numbers in 3D, or nothing positive is left.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        what = "complex: an object or amplitude with phase" if array.dtype.kind == "c" else f"of dtype {array.dtype}"
        raise InputError(f"{name}: values are {what}; intensities must be real numbers (photons)")
    if array.ndim != 3:
        raise InputError(f"{name}: a 3D array (z, y, x) is needed, got shape {array.shape}")
    unknown = np.isnan(array) if array.dtype.kind == "f" else _type_maximum(array)
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise InputError(
            f"{name}: {int(np.isinf(array).sum())} values are inf; set them to NaN if they are unknown pixels"
        )
    _note_unknown(array, unknown, name, observer)
    counts = Counts(array.astype(np.float32), np.broadcast_to(True if mask is None else mask, array.shape)).without(
        unknown
    )
    counts = _repair_negative(counts, name, observer)
    require_signal(counts, name)
    return counts


def require_signal(counts: Counts, name: str) -> None:
    """Raise InputError if no voxel is measured, or nothing was counted."""
    if not counts.mask.any():
        raise InputError(
            f"{name}: every voxel is masked or unknown; does the mask mean the opposite (True is measured)?"
        )
    if not counts.values.max() > 0:
        raise InputError(f"{name}: all measured intensities are zero; check that this is the right scan or dataset")


def _type_maximum(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind != "u":
        return np.zeros(array.shape, bool)
    marked: NDArray[np.bool_] = array == np.iinfo(array.dtype).max
    return marked


def _note_unknown(array: NDArray[Any], unknown: NDArray[np.bool_], name: str, observer: Observer) -> None:
    if unknown.any():
        what = "NaN" if array.dtype.kind == "f" else f"at {np.iinfo(array.dtype).max}, the type's maximum"
        fraction = float(unknown.mean())
        observer(Note("unknown", f"{name}: {fraction:.2%} of voxels are {what}: unknown", {"fraction": fraction}))


def _repair_negative(counts: Counts, name: str, observer: Observer) -> Counts:
    negative = counts.values < 0
    if not negative.any():
        return counts
    n, low = int(negative.sum()), counts.values[negative]
    if (low == np.round(low)).all():
        observer(
            Warned("negative", f"{name}: {n} voxels hold negative whole numbers, marks of bad pixels: taken as unknown")
        )
        return counts.without(negative)
    observer(
        Warned(
            "negative",
            f"{name}: {n} voxels are negative (lowest {low.min():.3g}), as after background subtraction: set to 0",
        )
    )
    return replace(counts, values=np.maximum(counts.values, np.float32(0)))
