"""One picture of a result, for a logbook or a slide: the crystal's surface above slices through its middle."""

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave
from numpy.typing import NDArray

from friedel.base.units import ANGSTROM_PER_NM
from friedel.io.atomic_write import replacing
from friedel.plotting import crystal_slices, slices_figure, surface_figure
from friedel.plotting.slices import amplitude_panel, signed_panel
from friedel.records import CrystalImage, Reconstruction
from friedel.workflows.report_surface import surface_mesh

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
