"""The working state of preparation: counts with a mask of what was measured; and the repair of impossible values."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError
from friedel.core.files.marks import Marked, find_marks, plateau
from friedel.core.observer import Note, Observer, Warned, listed, silent

# Share of the voxels that a mask leaves which may be marks; above it a warning says so.
MOST_MARKED = 0.5
# With more of all counts below zero than this, as much above it is noise, too, and isn't that of photons.
MOST_NEGATIVE = 0.05
# A few voxels this far below zero are no background subtracted: counts beyond 2¹⁵ in 16 bits.
WRAPPED, FEW_WRAPPED = -2000.0, 0.01
# With so many voxels below zero the dark ones scatter about it: readout noise, or a background's, not photons alone.
READOUT_NOISE = 0.01

# Standard errors of the correlation between neighbouring pixels below which they have nothing in common, of so many
# pairs at least: noise had 4.8 at most, crystals with 50 photons in 32³ had 24 at least (sampled 1.3 to 2.5 times).
LEAST_COMMON, LEAST_PAIRS = 8.0, 1000


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts on a 3D grid.

    Attributes
    ----------
    values : (z, y, x) float32
        Counts; no meaning where ``mask`` is False (kept at 0 there, so that sums stay finite).
    mask : (z, y, x) bool
        True where measured.
    unit : {"photons", "unknown"}
        Whether the values scatter as photons do.
    """

    values: NDArray[np.float32]
    mask: NDArray[np.bool_]
    unit: Literal["photons", "unknown"] = "photons"

    def without(self, unknown: NDArray[np.bool_]) -> Self:
        """Return the counts with more voxels unknown; ``unknown`` broadcasts from ``(y, x)``."""
        mask = self.mask & ~unknown
        return replace(self, values=np.where(mask, self.values, np.float32(0)), mask=mask)


def counts_from(
    values: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    *,
    name: str,
    dark: NDArray[Any] | None = None,
    observer: Observer = silent,
) -> Counts:
    """Check raw values and make them float32 counts.

    Marks are unknown (`friedel.core.files.marks`: NaN, inf, the largest values of types and counters, -1 and -2), and
    so is a clipped peak. Other negative values come from a background subtracted earlier: they become 0, the likeliest
    true intensity; taking them as unknown would keep only the upward fluctuations.

    Parameters
    ----------
    values : (z, y, x), any real dtype
        Raw values.
    mask : (z, y, x) or (y, x) bool, or None
        True where measured.
    name : str
        Origin of the data, for messages.
    dark : (y, x), optional
        What pixels hold without light, still to be subtracted.
    observer : Observer
        Hears what is unknown, and why.

    Raises
    ------
    InputError
        If the values aren't real numbers in 3D, or nothing positive is left.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "uif":
        kinds = {"c": "complex: an object or amplitude with phase", "b": "True and False, as of a mask"}
        what = kinds.get(array.dtype.kind, f"of dtype {array.dtype}")
        raise InputError(f"{name}: values are {what}; intensities must be real numbers (photons)")
    if array.ndim != 3:
        raise InputError(f"{name}: a 3D array (z, y, x) is needed, got shape {array.shape}")
    marked = find_marks(array, dark=dark)
    measured = np.broadcast_to(True if mask is None else mask, array.shape)
    if marked.unknown is not None:
        _say_marks(marked, measured, name, observer)
        measured = measured & ~marked.unknown
    counts = Counts(np.where(measured, array, 0).astype(np.float32), np.array(measured))
    counts = _repair_negative(counts, name, observer)
    require_signal(counts, name)
    return _without_plateau(counts, name, observer)


def _say_marks(marked: Marked, measured: NDArray[np.bool_], name: str, observer: Observer) -> None:
    """Say what is unknown for a mark; a part of the detector is usual, most of what a mask leaves is not."""
    assert marked.unknown is not None
    if not (marked.unknown & measured).any():
        observer(Note("marks", f"{name}: all that hold {', '.join(marked.values)} are masked"))
        return
    fraction = float(marked.unknown.mean())
    text = f"{name}: {fraction:.2%} of voxels hold {', '.join(marked.values)}, marks of what wasn't measured: unknown"
    whole = np.flatnonzero(marked.unknown.all(axis=(1, 2)))
    text += f" (all of frames {listed(whole)})" if whole.size else ""
    if marked.values in (("NaN",), ()):
        observer(Note("marks", text, {"fraction": fraction}))
    else:
        observer(Warned("marks", text, bends=float((marked.unknown & measured).mean()) > MOST_MARKED))


def _without_plateau(counts: Counts, name: str, observer: Observer) -> Counts:
    top = plateau(counts.values, counts.mask)
    if top is None:
        return counts
    clipped = counts.mask & (counts.values == np.float32(top))
    text = f"{name}: {int(clipped.sum())} voxels all hold {top:g}, the highest value: the detector's limit, so unknown"
    observer(Warned("saturation", text))
    kept = counts.without(clipped)
    return kept if kept.values.max() > 0 else counts


def require_signal(counts: Counts, name: str) -> None:
    """Raise InputError if no voxel is measured, or nothing was counted."""
    if not counts.mask.any():
        raise InputError(
            f"{name}: every voxel is masked, or holds what marks voxels that weren't measured; if a mask was given, "
            "does it mean the opposite (non-zero is bad)?"
        )
    if not counts.values.max() > 0:
        raise InputError(f"{name}: all measured intensities are zero; check that this is the right scan or dataset")


def require_structure(diffraction: Diffraction) -> None:
    """Raise InputError if neighbouring pixels have no more in common than noise has: there is no pattern to phase.

    Of frames nothing is asked: what a background's noise left below zero was taken off the next ones.
    """
    # Of counts the roots scatter alike, whatever their mean.
    roots, mask = np.sqrt(diffraction.intensities), diffraction.mask
    common = []
    for axis in (1, 2):
        one, other = (np.arange(roots.shape[axis] - 1) + step for step in (0, 1))
        known = mask.take(one, axis) & mask.take(other, axis)
        first, second = (roots.take(part, axis)[known].astype(np.float64) for part in (one, other))
        if known.sum() < LEAST_PAIRS or min(first.std(), second.std()) == 0:
            return
        common.append(float(np.corrcoef(first, second)[0, 1] * np.sqrt(known.sum())))
    if max(common) < LEAST_COMMON:
        raise InputError(
            f"{diffraction.name}: neighbouring pixels are no more alike than noise is, so there is no pattern to "
            "phase; check the scan, the region and the dataset"
        )


def _repair_negative(counts: Counts, name: str, observer: Observer) -> Counts:
    negative = counts.values < 0
    if not negative.any():
        return counts
    if counts.values.min() < WRAPPED and negative.sum() < FEW_WRAPPED * negative.size:
        text = f"{name}: {int(negative.sum())} voxels are negative, down to {counts.values.min():.6g}: counts too high"
        text += " for their type began again from below; these are unknown, others may be wrong"
        observer(Warned("saturation", text, bends=True))
        return counts.without(negative)
    n, low = int(negative.sum()), counts.values[negative]
    share = float(-low.sum(dtype=np.float64) / np.abs(counts.values).sum(dtype=np.float64))
    text = f"{name}: {n} voxels are negative (lowest {low.min():.3g}), as after background subtraction: set to 0"
    observer(Warned("unit", text, bends=share > MOST_NEGATIVE))
    unit = "unknown" if n > READOUT_NOISE * counts.mask.sum() else counts.unit
    return replace(counts, values=np.maximum(counts.values, np.float32(0)), unit=unit)
