"""Volumes for ParaView: VTK image data (``.vti``), nanometres. Writes; reads nothing.

VTK image data is a right-angled grid, so only such grids get real lengths. A reconstruction still on a skewed
measurement grid is written in voxels and the file says so; its laboratory image is the one to look at.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.records import CrystalErrors, CrystalImage, Reconstruction
from friedel.core.optional import load_optional
from friedel.core.units import ANGSTROM_PER_NM

# Cosine between two voxel steps below which they count as perpendicular: 0.06°.
RIGHT_ANGLE_COSINE = 1e-3
# A contour's cell reaches one voxel along each axis: √3, and no further.
_RIM = 1.8


def write_reconstruction_vti(path: Path, reconstruction: Reconstruction) -> None:
    """Write amplitude, phase (rad) and support on the measurement's own grid.

    Raises
    ------
    MissingDependencyError
        If PyVista isn't installed.
    OSError
        If the file can't be written.
    """
    spacing, frame = _right_angled_spacing_nm(reconstruction.voxel_basis_angstrom)
    volumes: dict[str, NDArray[Any]] = {
        "amplitude": reconstruction.amplitude,
        "phase": reconstruction.phase,
        "support": reconstruction.support.astype(np.uint8),
    }
    if reconstruction.uncertainty is not None:
        volumes["phase_error"] = reconstruction.uncertainty.phase_rad
        volumes["amplitude_error"] = reconstruction.uncertainty.amplitude
    _write(path, volumes, spacing, {"frame": frame})


def write_crystal_vti(path: Path, crystal: CrystalImage) -> None:
    """Write amplitude (bulk = 1), phase (rad), support and, where known, displacement (nm), strain and spacing (nm).

    Standard errors stand beside them, in the same units, under the same names with ``_error``.

    Raises
    ------
    MissingDependencyError
        If PyVista isn't installed.
    OSError
        If the file can't be written.
    """
    volumes: dict[str, NDArray[Any]] = {
        "amplitude": crystal.amplitude,
        "phase": crystal.phase,
        "support": crystal.support.astype(np.uint8),
    }
    if crystal.displacement_angstrom is not None:
        volumes["displacement_nm"] = crystal.displacement_angstrom / np.float32(ANGSTROM_PER_NM)
    if crystal.strain is not None:
        volumes["strain"] = crystal.strain
    if crystal.d_spacing_angstrom is not None:
        volumes["d_spacing_nm"] = crystal.d_spacing_angstrom / np.float32(ANGSTROM_PER_NM)
    if crystal.turns is not None:
        volumes["turns"] = crystal.turns.astype(np.uint8)
    if crystal.errors is not None:
        volumes |= _errors(crystal.errors)
    size, unit = crystal.voxel_size_angstrom, "voxels" if crystal.voxel_size_angstrom is None else "nanometres"
    spacing = 1.0 if size is None else size / ANGSTROM_PER_NM
    words = {"frame": f"lengths in {unit}; axes: {crystal.frame}"}
    if crystal.direction is not None:
        x, y, z = crystal.direction
        words["direction"] = f"displacement and strain along h: x {x:.6f}, y {y:.6f}, z {z:.6f}"
    _write(path, volumes, (spacing, spacing, spacing), words)


def _errors(errors: CrystalErrors) -> dict[str, NDArray[Any]]:
    volumes: dict[str, NDArray[Any]] = {"phase_error": errors.phase_rad}
    if errors.displacement_angstrom is not None:
        volumes["displacement_error_nm"] = errors.displacement_angstrom / np.float32(ANGSTROM_PER_NM)
    if errors.strain is not None:
        volumes["strain_error"] = errors.strain
    return volumes


def _right_angled_spacing_nm(basis: NDArray[np.float64] | None) -> tuple[tuple[float, float, float], str]:
    """Return the voxel's size along (z, y, x), and the sentence that says what it means."""
    if basis is None:
        return (1.0, 1.0, 1.0), "lengths in voxels: the geometry of the measurement is unknown"
    lengths = np.linalg.norm(basis, axis=1)
    cosines = (basis @ basis.T) / np.outer(lengths, lengths) - np.eye(3)
    if np.abs(cosines).max() > RIGHT_ANGLE_COSINE:
        return (1.0, 1.0, 1.0), "lengths in voxels: the axes of the measurement's grid are not perpendicular"
    z, y, x = (float(length) / ANGSTROM_PER_NM for length in lengths)
    return (z, y, x), "lengths in nanometres along the measurement's own axes"


def _with_rim(volume: NDArray[Any]) -> NDArray[Any]:
    """Return a volume whose known values reach one voxel further, each from the nearest.

    A contour runs between the last voxel inside and the first outside. Interpolated with NaN, all of it would have no
    value to be coloured by. ``support`` says which voxels were known.
    """
    unknown = np.isnan(volume) if volume.dtype.kind == "f" else np.zeros(volume.shape, dtype=bool)
    if not unknown.any() or unknown.all():
        return volume
    distance, nearest = ndimage.distance_transform_edt(unknown, return_indices=True)
    return np.where(distance < _RIM, volume[tuple(nearest)], volume)


def _write(
    path: Path, volumes: Mapping[str, NDArray[Any]], spacing: tuple[float, float, float], words: Mapping[str, str]
) -> None:
    """Write volumes ``(z, y, x)`` with the origin of space at index ``n // 2``; ``spacing`` is along (z, y, x)."""
    pyvista = load_optional("pyvista", package="pyvista", extra="view", purpose="write .vti files for ParaView")
    shape = next(iter(volumes.values())).shape
    origin = [-(n // 2) * step for n, step in zip(shape, spacing, strict=True)]
    grid = pyvista.ImageData(dimensions=shape[::-1], spacing=spacing[::-1], origin=origin[::-1])
    for name, volume in volumes.items():
        grid.point_data[name] = _with_rim(volume).ravel()  # C order of (z, y, x): x runs fastest, as VTK wants it
    for name, text in words.items():
        grid.field_data[name] = [text]
    grid.save(path)
    _check_complete(path)


def _check_complete(path: Path) -> None:
    # VTK reports a full disk on its own error stream only, so look at what it left.
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 32))
        if b"</VTKFile>" not in file.read():
            raise OSError("the VTK writer left an incomplete file: is the disk full?")
