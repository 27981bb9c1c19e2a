"""Standard errors on the laboratory grid: the strain analysis is repeated for the object changed by each deviation.

The variance of a result is Σ (result of the changed object − result of the object)² over the deviations (see
`Uncertainty`). Surface and grid stay; interpolation, ramp and smoothing are redone, so that the correlations between
neighbouring voxels' errors are taken into account. The rms strain counts the outermost layer, which strains most: what
the surface's level is worth to it is added.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.records import CrystalErrors, Reconstruction, Uncertainty
from friedel.bcdi.strain.gradient import smoothed
from friedel.bcdi.strain.placed import Placed, strain_along_h, without_ramp
from friedel.bcdi.strain.regrid import phase_factor
from friedel.bcdi.strain.surface import Isosurface, inside_of

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A variance from some fifteen deviations is averaged over neighbours; no further than the strain itself is, because at
# the surface errors are several times larger than just below it.
_SMOOTHING = 0.75
# Levels of the surface that are tried lie between these: of its own level, below half of which phases aren't used
# (`friedel.bcdi.strain.analysis.TRUSTED`), and of the bulk's amplitude, where voxels deep inside begin to drop out; a
# level that was asked for may be higher.
_LEAST, _MOST = 0.5, 0.8


@dataclass(frozen=True, eq=False)
class _Read:
    """What is read from a placed crystal: its phase factor, the smoothed one, the strain and the mean spacing."""

    factor: NDArray[np.complex128]
    smooth: NDArray[np.complex128]
    strain: Floats
    spacing: float


def crystal_errors(
    reconstruction: Reconstruction,
    placed: Placed,
    *,
    smoothing_voxels: float,
    ramp_removed: bool,
    surface: Isosurface,
) -> CrystalErrors | None:
    """Return the standard errors of a crystal image; None if the reconstruction has none.

    Parameters
    ----------
    reconstruction : Reconstruction
        With its uncertainty.
    placed : Placed
        The crystal as the image shows it.
    smoothing_voxels : float
        As in `StrainOptions`.
    ramp_removed : bool
        Whether the mean phase gradient was moved into h.
    surface : Isosurface
        Its level is known as well as the bulk's amplitude is even.
    """
    uncertainty = reconstruction.uncertainty
    if uncertainty is None:
        return None
    found = _read(placed, smoothing_voxels)
    inside, length = placed.inside, float(np.linalg.norm(placed.h))
    phase, displacement, strain = (np.zeros(inside.shape) for _ in range(3))
    spacing, spread = 0.0, 0.0
    for changed in _changed(reconstruction, uncertainty, placed):
        other = _read(without_ramp(changed) if ramp_removed else changed, smoothing_voxels)
        phase += _turned(other.factor, found.factor, inside) ** 2
        displacement += (_turned(other.smooth, found.smooth, inside) / length) ** 2
        strain += np.nan_to_num(other.strain - found.strain) ** 2
        spacing += (other.spacing - found.spacing) ** 2
        spread += (float(np.nanstd(other.strain)) - float(np.nanstd(found.strain))) ** 2
    diameter, diameter_error = size_of(uncertainty, abs(float(np.linalg.det(placed.basis))))
    return CrystalErrors(
        phase_rad=_error(phase, inside),
        displacement_angstrom=_error(displacement, inside),
        strain=_error(strain, inside),
        d0_angstrom=float(np.sqrt(spacing)),
        strain_rms=float(np.hypot(np.sqrt(spread), _change_with_level(placed, surface, smoothing_voxels))),
        diameter=diameter,
        diameter_error=diameter_error,
    )


def _change_with_level(placed: Placed, surface: Isosurface, smoothing_voxels: float) -> float:
    """Return by how much the rms strain changes as the surface's level does by the scatter of the bulk's amplitude."""
    amplitude, found = placed.amplitude * np.abs(placed.factor), []
    least, most = _LEAST * surface.level, max(_MOST, surface.level)
    for level in (surface.level - surface.spread, surface.level + surface.spread):
        inside, _ = inside_of(amplitude, surface.bulk * float(np.clip(level, least, most)))
        found.append(float(np.nanstd(_read(replace(placed, inside=inside), smoothing_voxels).strain)))
    return abs(found[1] - found[0]) / 2


def size_of(uncertainty: Uncertainty, voxel_volume: float) -> tuple[float, float]:
    """Return the crystal's equivalent diameter and its standard error in units of the voxel volume's cube root."""
    edge = voxel_volume ** (1 / 3)
    return edge * uncertainty.diameter_voxels, edge * uncertainty.diameter_error_voxels


def _read(placed: Placed, smoothing_voxels: float) -> _Read:
    smooth = smoothed(placed.factor, smoothing_voxels)
    return _Read(placed.factor, smooth, strain_along_h(smooth, placed), placed.spacing)


def _changed(reconstruction: Reconstruction, uncertainty: Uncertainty, placed: Placed) -> Iterator[Placed]:
    """Yield the crystal as each deviation changes it."""
    obj, support = reconstruction.object, reconstruction.support
    before = phase_factor(obj, placed.basis, placed.grid, trusted=placed.trusted)
    for deviation in uncertainty.deviations:
        changed = obj.copy()
        changed[support] += deviation
        after = phase_factor(changed, placed.basis, placed.grid, trusted=placed.trusted)
        yield replace(placed, factor=placed.factor * after * np.conj(before))


def _turned(factor: NDArray[np.complex128], before: NDArray[np.complex128], inside: Mask) -> Floats:
    turn = np.angle(factor * np.conj(before))
    return np.where(inside, turn - turn[inside].mean(), 0.0)


def _error(variance: Floats, inside: Mask) -> NDArray[np.float32]:
    weight = inside.astype(np.float64)
    total = ndimage.gaussian_filter(variance * weight, _SMOOTHING, mode="constant")
    mean = total / np.maximum(ndimage.gaussian_filter(weight, _SMOOTHING, mode="constant"), 1e-30)
    return np.where(inside, np.sqrt(np.maximum(mean, 0.0)), np.nan).astype(np.float32)
