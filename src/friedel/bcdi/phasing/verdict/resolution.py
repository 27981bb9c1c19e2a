"""Resolution: PRTF and FSC over shells of q, overall and along each axis.

Frequencies come from the grid where the geometry is known (cycles per Å, laboratory axes), else from the array
(cycles per voxel, array axes). A resolution is a full period, 1/f, at the first crossing of the criterion.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import Curve
from friedel.core.units import ANGSTROM_PER_NM

Floats = NDArray[np.float64]
_CONE = np.cos(np.deg2rad(30.0))  # half opening of an axis' cone: narrower ones hold too few voxels near the centre
# Voxels of a shell: of eight independent ones, uncorrelated data still correlate by 0.35 (1/√8), and the half-bit curve
# demands 0.58.
_MIN_VOXELS = 8
_WHOLE = 0.8  # share of a whole shell that must lie in the array: beyond, it is corners, a few directions only


@dataclass(frozen=True, eq=False)
class Shells:
    """The frequency of every voxel ``(z, y, x, 3)``, its length and the shell it is in.

    Attributes
    ----------
    vector : (z, y, x, 3) float64
        Frequency along the axes in ``axes``.
    radius : (z, y, x) float64
        Its length.
    index : (z, y, x) int64
        Number of the shell.
    centres : (n,) float64
        Mean frequency of each shell.
    per_radius : float
        Voxels that a whole shell holds, over its squared radius.
    axes : tuple of str
        Names of the three axes.
    unit : str
        "cycles/Å" or "cycles/voxel".
    """

    vector: Floats
    radius: Floats
    index: NDArray[np.int64]
    centres: Floats
    per_radius: float
    axes: tuple[str, str, str]
    unit: str


def shells(shape: tuple[int, int, int], grid: ReciprocalGrid | None) -> Shells:
    """Sort the voxels of a centred array into shells one voxel thick (the longest voxel edge where they differ)."""
    offsets = np.stack(np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij"), axis=-1).astype(float)
    if grid is None:
        vector, step = offsets / np.asarray(shape), 1.0 / min(shape)
        axes, unit = ("axis 0", "axis 1", "axis 2"), "cycles/voxel"
    else:
        vector = offsets @ grid.basis / (2 * np.pi)
        step = float(np.linalg.norm(grid.basis, axis=1).max()) / (2 * np.pi)
        axes, unit = ("x", "y", "z"), "cycles/Å"
    radius = np.linalg.norm(vector, axis=-1)
    index = np.round(radius / step).astype(np.int64)
    counts = np.maximum(np.bincount(index.ravel()), 1)
    centres = np.bincount(index.ravel(), radius.ravel()) / counts
    volume = 1.0 / np.prod(shape) if grid is None else float(abs(np.linalg.det(grid.basis))) / (2 * np.pi) ** 3
    return Shells(vector, radius, index, centres, 4 * np.pi * step / volume, axes, unit)


def prtf(
    diffractions: NDArray[np.complex64],
    amplitude: Floats,
    measured: NDArray[np.bool_],
    over: Shells,
    *,
    axis: int | None = None,
) -> Curve:
    """Return the phase-retrieval transfer function, Σ|⟨F⟩| / Σ√I in each shell.

    Chapman et al., J. Opt. Soc. Am. A 23, 1179 (2006); the criterion is 1/e.

    Parameters
    ----------
    diffractions : (n, z, y, x) complex64
        Centred transforms of aligned independent solutions.
    amplitude : (z, y, x) float
        Measured √I.
    measured : (z, y, x) bool
        Voxels to count.
    over : Shells
        The shells.
    axis : int, optional
        Count only voxels within 30° of this axis of ``over.axes``, either way.
    """
    region = np.ones(measured.shape, dtype=bool) if axis is None else cone(over, axis)
    share = 1.0 if axis is None else 1.0 - _CONE
    mean = np.abs(diffractions.mean(axis=0))
    value = _ratio(_sums(over.index, mean, measured & region), _sums(over.index, amplitude, measured & region))
    value[_cut(over, measured, region, share)] = np.nan
    return Curve(
        frequency=over.centres,
        value=np.minimum(value, 1.0),
        threshold=np.full_like(value, np.exp(-1)),
        criterion="1/e",
        unit=over.unit,
    )


def fsc(
    first: NDArray[np.complex64],
    second: NDArray[np.complex64],
    measured: NDArray[np.bool_],
    over: Shells,
    *,
    filling: float,
) -> Curve:
    """Return the Fourier shell correlation between two independent halves, with the half-bit criterion.

    van Heel & Schatz, J. Struct. Biol. 151, 250 (2005).

    Parameters
    ----------
    first, second : (z, y, x) complex64
        Centred transforms of the aligned half solutions.
    measured : (z, y, x) bool
        Voxels to count.
    over : Shells
        The shells.
    filling : float
        Support over box, by volume: only this share of the voxels in a shell is independent.
    """
    cross = _sums(over.index, (first * second.conj()).real, measured)
    power = _sums(over.index, np.abs(first) ** 2, measured) * _sums(over.index, np.abs(second) ** 2, measured)
    count = _sums(over.index, np.ones(measured.shape), measured)
    value = _ratio(cross, np.sqrt(power))
    value[_cut(over, measured, np.ones_like(measured), 1.0)] = np.nan
    root = np.sqrt(np.maximum(count * filling, 1.0))
    threshold = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    # With fewer independent voxels than this a shell's correlation says nothing, whatever it is.
    threshold[count * filling < _MIN_VOXELS] = 1.0
    return Curve(frequency=over.centres, value=value, threshold=threshold, criterion="half-bit", unit=over.unit)


def crossing(curve: Curve) -> tuple[float, bool]:
    """Return the frequency at which a curve first falls below its threshold, and whether it does.

    Where it never does, the highest frequency with a value is returned: the detector's edge limits the resolution.
    The innermost shells, where the criterion is 1 for want of independent voxels, say nothing and are passed over.
    """
    known = np.isfinite(curve.value) & (curve.frequency > 0) & (curve.threshold < 1.0)
    frequency, margin = curve.frequency[known], (curve.value - curve.threshold)[known]
    below = np.flatnonzero(margin < 0)
    if frequency.size == 0 or below.size == 0:
        return (float(frequency[-1]) if frequency.size else float("nan")), False
    k = int(below[0])
    if k == 0:
        return float(frequency[0]), True
    share = margin[k - 1] / (margin[k - 1] - margin[k])
    return float(frequency[k - 1] + share * (frequency[k] - frequency[k - 1])), True


def cone(over: Shells, axis: int) -> NDArray[np.bool_]:
    """Return the voxels within 30° of an axis, either way."""
    along: NDArray[np.bool_] = np.abs(over.vector[..., axis]) >= _CONE * over.radius
    return along


def period(curve: Curve) -> float:
    """Return the full period at the crossing: nm, or voxels without geometry."""
    frequency, _ = crossing(curve)
    return 1.0 / frequency / (ANGSTROM_PER_NM if "Å" in curve.unit else 1.0)


def _cut(over: Shells, measured: NDArray[np.bool_], region: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Return the shells with too few measured voxels, or of whose part in a region the array's faces cut off much."""
    n = over.centres.size
    count = np.bincount(over.index[measured & region], minlength=n)
    inside = np.bincount(over.index[region], minlength=n)
    cut: NDArray[np.bool_] = (count < _MIN_VOXELS) | (inside < _WHOLE * share * over.per_radius * over.centres**2)
    return cut


def _sums(index: NDArray[np.int64], values: NDArray[np.floating], inside: NDArray[np.bool_]) -> Floats:
    counted = np.bincount(index[inside], values[inside].astype(np.float64), minlength=int(index.max()) + 1)
    return counted.astype(np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
