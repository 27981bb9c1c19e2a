"""How near a phased object is to the simulated crystal that gave the pattern: in correlation, phase and strain."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from friedel.bcdi.forward.scan import SimulatedScan
from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.records import CrystalImage, Reconstruction
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.gradient import phase_gradient, smoothed
from friedel.bcdi.strain.options import StrainOptions
from friedel.core.errors import InputError

Object = NDArray[np.complex64]

INSIDE = 0.5
"""Phases are compared where the truth's amplitude exceeds this fraction of its maximum: surface voxels are partly empty
and their phases mean little."""
FILLED = 0.1
"""Share of the truth's maximum from which a voxel belongs to the crystal's support."""
SUCCESS = 0.9
"""Correlation from which an object counts as the crystal."""
BULK_DEPTH = 2
"""Voxels below the surface from which strain is compared."""
_ROUGHLY_NONE = 1e-6  # of the largest amplitude: weaker voxels are rounding errors, without a phase


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """What turns a phase into strain.

    Attributes
    ----------
    h : (float, float, float)
        Scattering vector along the array's axes ``(z, y, x)``, Å⁻¹.
    voxel_angstrom : (float, float, float)
        Edges of a voxel along ``(z, y, x)``, which are perpendicular.
    """

    h: tuple[float, float, float]
    voxel_angstrom: tuple[float, float, float]


def gold_111(shape: tuple[int, int, int], *, box_angstrom: float = 3200.0) -> Lattice:
    """Return the lattice by which crystals without a laboratory are read: gold, 111 along y, a box of 320 nm."""
    z, y, x = (box_angstrom / n for n in shape)
    return Lattice(h=(0.0, 2 * np.pi * 3**0.5 / 4.0782, 0.0), voxel_angstrom=(z, y, x))


@dataclass(frozen=True, eq=False, kw_only=True)
class AgainstTruth:
    """An object beside the true one.

    Attributes
    ----------
    aligned : (z, y, x) complex64
        The object in the truth's frame: twin, shift and global phase set aside.
    correlation : float
        With the truth, 0 to 1.
    phase_error_rad : float
        RMS inside.
    strain_error : float
        RMS in the bulk.
    """

    aligned: Object
    correlation: float
    phase_error_rad: float
    strain_error: float


def against_truth(obj: Object, truth: Object, lattice: Lattice | None = None) -> AgainstTruth:
    """Compare an object with the true one.

    Parameters
    ----------
    obj, truth : (z, y, x) complex64
        The object found, in any of its equivalent forms, and the one to find.
    lattice : Lattice, optional
        For the strain; None takes `gold_111`.
    """
    lattice = lattice or gold_111((truth.shape[0], truth.shape[1], truth.shape[2]))
    aligned, correlation = align_to(obj, truth)
    inside = crystal_of(truth)
    bulk = binary_erosion(inside, iterations=BULK_DEPTH)
    if not bulk.any():
        bulk = inside
    difference = strain_of(aligned, inside, lattice)[bulk] - strain_of(truth, inside, lattice)[bulk]
    # The mean strain is left out: it depends on where the pattern is centred, which is known to a voxel only.
    return AgainstTruth(
        aligned=aligned,
        correlation=correlation,
        phase_error_rad=phase_difference_rad(aligned, truth, inside),
        strain_error=float(np.nanstd(difference)),
    )


def crystal_of(truth: Object) -> NDArray[np.bool_]:
    """Return the true crystal's inside, ``(z, y, x)``."""
    return np.asarray(np.abs(truth) > INSIDE * np.abs(truth).max())


def filled(truth: Object) -> NDArray[np.bool_]:
    """Return where the true crystal fills at least a tenth of a voxel, ``(z, y, x)``: what a good support holds."""
    return np.asarray(np.abs(truth) > FILLED * np.abs(truth).max())


def strain_of(obj: Object, inside: NDArray[np.bool_], lattice: Lattice) -> NDArray[np.float64]:
    """Return the strain along h, ∂u/∂n with u = −φ/|h|, ``(z, y, x)``; NaN where a neighbour isn't inside.

    It is read as `friedel.bcdi.strain.analyse` reads it, exp(iφ) smoothed by the default width and phases from links,
    but without continuing the phase beyond the surface, which falsifies the outermost two voxels.
    """
    amplitude = np.abs(obj)
    bright = inside & (amplitude > _ROUGHLY_NONE * amplitude.max())
    factor = np.where(bright, obj / np.where(bright, amplitude, 1.0), 0)
    gradient = phase_gradient(smoothed(factor, StrainOptions().smoothing_voxels), bright)
    h, edges = np.asarray(lattice.h), np.asarray(lattice.voxel_angstrom)
    along = h / (h @ h)
    weights = along / edges
    used = [axis for axis in range(3) if weights[axis] != 0]
    return np.asarray(-sum(weights[axis] * gradient[axis] for axis in used))


# Surface voxels hold a share of the crystal; figures are taken where the truth is at least this much of its maximum.


def truth_figures(
    simulated: SimulatedScan, reconstruction: Reconstruction, crystal: CrystalImage, options: StrainOptions
) -> dict[str, float]:
    """Compare a reconstruction with the crystal whose scan it was made from.

    Shift, global phase and twin, which intensities can't tell, are taken from the reconstruction first.

    Parameters
    ----------
    simulated : SimulatedScan
        The truth.
    reconstruction : Reconstruction
        With its grid.
    crystal : CrystalImage
        Its analysis.
    options : StrainOptions
        As used for ``crystal``: the truth is analysed alike.

    Returns
    -------
    dict of str to float
        Named figures, for the report.

    Raises
    ------
    InputError
        If the reconstruction has no geometry.
    """
    if reconstruction.grid is None:
        raise InputError("the truth lies in the laboratory, but the reconstruction has no geometry to compare it by")
    shape = reconstruction.object.shape
    truth = simulated.object(reconstruction.grid, (shape[0], shape[1], shape[2]))
    truth, correlation = align_to(truth, reconstruction.object)
    inside = np.abs(truth) > INSIDE * np.abs(truth).max()
    error = phase_difference_rad(reconstruction.object, truth, inside)
    figures = {"correlation with the truth": correlation, "phase error inside (rad rms)": error}
    true_crystal = analyse(replace(reconstruction, object=truth), options)
    return figures | _strain_figures(crystal, true_crystal)


def _strain_figures(crystal: CrystalImage, truth: CrystalImage) -> dict[str, float]:
    if crystal.strain is None or truth.strain is None or crystal.strain.shape != truth.strain.shape:
        return {}
    both = crystal.support & truth.support
    true_strain, difference = truth.strain[both], crystal.strain[both] - truth.strain[both]
    return {"true strain (10⁻³ rms)": 1e3 * _rms(true_strain), "strain error (10⁻³ rms)": 1e3 * _rms(difference)}


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.nanmean(values**2))) if values.size else float("nan")
