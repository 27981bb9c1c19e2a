"""Pictures of records as PNG bytes, for notebooks. Opens no window and keeps no pyplot state."""

from io import BytesIO

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from friedel.bcdi.figures.intensities import FAINTEST_PHOTONS, PLANES
from friedel.bcdi.figures.slices import crystal_slices, reconstruction_slices
from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.core.figures import INK, INTENSITY_MAP, SMALL_POINTS, new_figure

_DOTS_PER_INCH = 90


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=_DOTS_PER_INCH)
    return content.getvalue()


def reconstruction_png(reconstruction: Reconstruction) -> bytes:
    """Return amplitude and phase on three slices through the middle."""
    return png(reconstruction_slices(reconstruction))


def crystal_png(crystal: CrystalImage) -> bytes:
    """Return amplitude, and strain where it is known, on three slices through the middle."""
    return png(crystal_slices(crystal))


def diffraction_png(pattern: Diffraction) -> bytes:
    """Return the intensities, photons on a logarithmic scale, across each axis; unknown voxels stay empty."""
    figure = new_figure(9.0, 3.2)
    brightness = LogNorm(FAINTEST_PHOTONS, max(float(pattern.intensities.max(initial=1.0)), 1.0), clip=True)
    for axis, (axes, title) in enumerate(zip(figure.subplots(1, 3), PLANES, strict=True)):
        middle = pattern.intensities.shape[axis] // 2
        seen = pattern.mask.take(middle, axis)
        axes.imshow(np.where(seen, pattern.intensities.take(middle, axis), np.nan), norm=brightness, cmap=INTENSITY_MAP)
        axes.set_title(title, fontsize=SMALL_POINTS, color=INK)
        axes.set_axis_off()
    return png(figure)
