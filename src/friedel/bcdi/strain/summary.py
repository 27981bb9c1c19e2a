"""A crystal in numbers: its size, its strain and its lattice spacing, for tables and series."""

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import CrystalImage
from friedel.core.units import ANGSTROM_PER_NM


def crystal_numbers(crystal: CrystalImage) -> dict[str, float]:
    """Return what a table of crystals shows.

    Parameters
    ----------
    crystal : CrystalImage
        On its regular grid.

    Returns
    -------
    dict of str to float
        "voxels" inside the surface, "dislocation_voxels"; with geometry also "size_x_nm", "size_y_nm", "size_z_nm"
        (extent along the frame's axes), "diameter_nm" (of the sphere of equal volume), "volume_nm3",
        "strain_rms" (about the crystal's mean lattice), "strain_range" (1st to 99th percentile),
        "displacement_range_angstrom" (likewise) and "d_spacing_angstrom" (mean).
    """
    numbers = {"voxels": float(crystal.support.sum())}
    if crystal.turns is not None:
        numbers["dislocation_voxels"] = float(crystal.turns.sum())
    if crystal.voxel_size_angstrom is not None:
        numbers |= _lengths(crystal.support, crystal.voxel_size_angstrom / ANGSTROM_PER_NM)
        if crystal.errors is not None:  # the one whose standard error is known: outer voxels count by their share
            numbers["diameter_nm"] = crystal.errors.diameter / ANGSTROM_PER_NM
    if crystal.strain is not None:
        strain = crystal.strain[np.isfinite(crystal.strain)].astype(np.float64)
        numbers |= {"strain_rms": float(np.sqrt(np.mean(strain**2))), "strain_range": _spread(strain)}
    if crystal.displacement_angstrom is not None:
        u = crystal.displacement_angstrom[np.isfinite(crystal.displacement_angstrom)]
        numbers["displacement_range_angstrom"] = _spread(u)
    if crystal.d0_angstrom is not None:
        numbers["d_spacing_angstrom"] = crystal.d0_angstrom
    return numbers


def _lengths(inside: NDArray[np.bool_], step: float) -> dict[str, float]:
    where = np.nonzero(inside)
    extents = {
        f"size_{name}_nm": (np.ptp(values) + 1) * step for name, values in zip("zyx", where, strict=True) if values.size
    }
    volume = float(inside.sum()) * step**3
    return {**extents, "volume_nm3": volume, "diameter_nm": float(np.cbrt(6 * volume / np.pi))}


def _spread(values: NDArray[np.floating]) -> float:
    return float(np.subtract(*np.percentile(values, (99, 1)))) if values.size else 0.0


def crystal_errors(crystal: CrystalImage) -> dict[str, float]:
    """Return standard errors of `crystal_numbers`, by the same names; empty where the crystal carries none."""
    errors = getattr(crystal, "errors", None)
    if errors is None:
        return {}
    known = {"strain_rms": errors.strain_rms, "d_spacing_angstrom": errors.d0_angstrom}
    if crystal.voxel_size_angstrom is not None:
        known["diameter_nm"] = errors.diameter_error / ANGSTROM_PER_NM
    return {name: float(value) for name, value in known.items() if value is not None}
