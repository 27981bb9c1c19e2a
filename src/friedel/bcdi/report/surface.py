"""The surface that report and page show, as a mesh, and one picture of a result for a logbook."""

import base64
import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from friedel.bcdi.figures.slices import amplitude_panel, crystal_slices, signed_panel, slices_figure
from friedel.bcdi.figures.surface import (
    Colouring,
    Placing,
    SurfaceMesh,
    phase_mesh,
    scalar_mesh,
    surface_figure,
    vertex_colours,
)
from friedel.bcdi.records import CrystalImage, Reconstruction
from friedel.core.errors import InputError
from friedel.core.figures import SIGNED_MAP
from friedel.core.files.atomic import replacing
from friedel.core.units import ANGSTROM_PER_NM

# The rows of a basis are the steps along z, y and x; their components are x, y and z.
ALONG_AXES: NDArray[np.float64] = np.eye(3)[::-1]
ARRAY_AXES = ("column", "row", "rocking")
LABORATORY_AXES = ("x", "y (up)", "z (beam)")


def surface_mesh(reconstruction: Reconstruction, crystal: CrystalImage | None, bulk: float) -> SurfaceMesh | None:
    """Return the crystal's surface coloured by strain, or by phase where strain isn't known; None if it has none.

    Parameters
    ----------
    reconstruction : Reconstruction
        Drawn if there is no crystal image.
    crystal : CrystalImage or None
        Drawn if given.
    bulk : float
        Amplitude of the reconstruction's inside.
    """
    try:
        if crystal is not None:
            return _crystal_mesh(crystal)
        level = reconstruction.quality.isosurface_level * bulk
        return phase_mesh(reconstruction.object, level=level, placing=_measured_placing(reconstruction))
    except InputError:  # the report of an object without a surface is written without one
        return None


def turnable(mesh: SurfaceMesh) -> dict[str, Any]:
    """Return what the page's viewer needs: quantised corners in base64, and the scale's colours and numbers."""
    middle = (mesh.vertices.max(axis=0) + mesh.vertices.min(axis=0)) / 2
    reach = float(np.linalg.norm(mesh.vertices - middle, axis=1).max())
    arrays = {
        "places": np.rint((mesh.vertices - middle) * (32767 / reach)).astype("<i2"),
        "normals": np.rint(mesh.normals * 127).astype("i1"),
        "colours": np.rint(vertex_colours(mesh)[:, :3] * 255).astype("u1"),
        "triangles": mesh.triangles.astype("<u4"),
    }
    payload = {name: base64.b64encode(array.tobytes()).decode("ascii") for name, array in arrays.items()}
    low, high = mesh.colouring.limits
    stops = (colormaps[mesh.colouring.colour_map](np.linspace(0, 1, 13))[:, :3] * 255).round().astype(int)
    return {
        "payload": {**payload, "corners": int(mesh.triangles.size)},
        "gradient": [f"rgb({red} {green} {blue})" for red, green, blue in stops],
        "ends": [_end(low), _end((low + high) / 2), _end(high)],
        "title": mesh.colouring.title,
        "axes": mesh.axes,
    }


def _crystal_mesh(crystal: CrystalImage) -> SurfaceMesh:
    # Other regions above the level, which the analysis left out, are no part of this surface.
    near = binary_dilation(crystal.support, iterations=2)
    placing = _crystal_placing(crystal)
    if crystal.strain is None:
        return phase_mesh(
            crystal.object * near, level=crystal.isosurface_level * crystal.bulk_amplitude, placing=placing
        )
    panel = signed_panel("strain (10⁻³)", crystal.strain * 1e3, crystal.support)
    colouring = Colouring(title=panel.title, colour_map=SIGNED_MAP, limits=panel.limits)
    return scalar_mesh(
        crystal.amplitude * near, panel.values, level=crystal.isosurface_level, placing=placing, colouring=colouring
    )


def _crystal_placing(crystal: CrystalImage) -> Placing:
    if crystal.voxel_size_angstrom is None:
        return Placing(basis=ALONG_AXES, unit="voxels", axes=ARRAY_AXES)
    axes = LABORATORY_AXES if crystal.frame == "laboratory" else ("x", "y", "z")
    return Placing(basis=ALONG_AXES * crystal.voxel_size_angstrom / ANGSTROM_PER_NM, axes=axes)


def _measured_placing(reconstruction: Reconstruction) -> Placing:
    basis = reconstruction.voxel_basis_angstrom
    if basis is None:
        return Placing(basis=ALONG_AXES, unit="voxels", axes=ARRAY_AXES)
    return Placing(basis=basis / ANGSTROM_PER_NM, axes=LABORATORY_AXES)


def _end(value: float) -> str:
    named = {math.pi: "π", -math.pi: "−π"}
    return named.get(value, f"{value:.3g}".replace("-", "−"))


DOTS_PER_INCH = 110
WHITE = 1.0


def save_picture(path: Path, reconstruction: Reconstruction, crystal: CrystalImage) -> Path:
    """Draw the crystal's surface above its slices into a PNG file.

    A crystal without a surface is shown by its slices alone.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    mesh = surface_mesh(reconstruction, crystal, crystal.bulk_amplitude)
    figures = [_middle(crystal)] if mesh is None else [surface_figure(mesh), _middle(crystal)]
    with replacing(path) as unfinished:
        imsave(unfinished, _stacked([_drawn(figure) for figure in figures]))
    return path


def _middle(crystal: CrystalImage) -> Figure:
    """Draw amplitude and strain; without geometry amplitude and phase, which is all there is."""
    size, strain = crystal.voxel_size_angstrom, crystal.strain
    if size is None or strain is None:
        return crystal_slices(crystal)
    panels = [amplitude_panel(crystal.amplitude), signed_panel("strain (10⁻³)", 1e3 * strain, crystal.support)]
    edge = size / ANGSTROM_PER_NM
    return slices_figure(panels, support=crystal.support, voxel_size=(edge, edge, edge))


def _drawn(figure: Figure) -> NDArray[np.float32]:
    """Return the figure's pixels, ``(rows, columns, 4)``, 0–1."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    buffer.seek(0)
    return np.asarray(imread(buffer), dtype=np.float32)


def _stacked(pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the pictures under one another, the narrower ones in the middle of white."""
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([_widened(picture, width) for picture in pictures])


def _widened(picture: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    missing = width - picture.shape[1]
    sides = (missing // 2, missing - missing // 2)
    return np.pad(picture, ((0, 0), sides, (0, 0)), constant_values=WHITE)
