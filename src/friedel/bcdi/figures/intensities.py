"""What was measured beside what the reconstruction would diffract, and how far apart they are."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from friedel.core.figures import FAINT, INK, INTENSITY_MAP, OUTSIDE, SIGNED_MAP, SMALL_POINTS, TEXT_POINTS, new_figure

# Where the colours of the residual end, in standard deviations.
RESIDUAL_LIMIT = 4.0
FAINTEST_PHOTONS = 0.1  # lower end of the colours: expected counts below it are dark
PLANES = ("across rocking", "across rows", "across columns")
ROWS = ("measured", "reconstructed", "difference (σ)")


def intensities_figure(
    measured: NDArray[np.floating], modelled: NDArray[np.floating], mask: NDArray[np.bool_]
) -> Figure:
    """Draw central slices of both patterns, photons on one logarithmic scale, and of their difference.

    The difference is √n + √(n + 1) − √(4λ + 1) for n photons measured and λ expected: zero on average and in standard
    deviations of Poisson noise, for few photons too (Freeman and Tukey, Ann. Math. Stat. 21, 607 (1950)).

    Parameters
    ----------
    measured, modelled : (z, y, x) float, photons
        The measurement and the reconstruction's |F|².
    mask : (z, y, x) bool
        True where measured; elsewhere nothing is known, and the figure is hatched.
    """
    photons = np.where(mask, np.maximum(measured, 0), 0)
    difference = np.sqrt(photons) + np.sqrt(photons + 1) - np.sqrt(4 * np.maximum(modelled, 0) + 1)
    brightness = LogNorm(FAINTEST_PHOTONS, max(float(photons.max()), 1.0), clip=True)
    sigmas = Normalize(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)
    figure = new_figure(9.0, 8.0)
    grid = figure.subplots(3, 3)
    known = (mask, np.ones_like(mask), mask)
    for row, volume, seen, name in zip(grid, (measured, modelled, difference), known, ROWS, strict=True):
        norm, colour_map = (sigmas, SIGNED_MAP) if volume is difference else (brightness, INTENSITY_MAP)
        for axis, axes in enumerate(row):
            image = _draw_slice(axes, volume, seen, axis, norm, colour_map)
        row[0].set_ylabel(name, fontsize=TEXT_POINTS + 1, color=INK, fontweight="bold")
        _draw_colour_bar(figure, image, list(row), "σ" if volume is difference else "photons")
    for axes, title in zip(grid[0], PLANES, strict=True):
        axes.set_title(title, fontsize=SMALL_POINTS, color=INK)
    return figure


def _draw_slice(
    axes: Axes, volume: NDArray[np.floating], known: NDArray[np.bool_], axis: int, norm: Normalize, colour_map: str
) -> AxesImage:
    middle = volume.shape[axis] // 2
    values, seen = np.take(volume, middle, axis=axis), np.take(known, middle, axis=axis)
    everything = Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=OUTSIDE, edgecolor=FAINT, hatch="////")
    everything.set(zorder=-1, linewidth=0)  # shows through wherever nothing was measured
    axes.add_patch(everything)
    image = axes.imshow(
        np.ma.masked_array(values, ~seen),
        norm=norm,
        cmap=colour_map,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return image


def _draw_colour_bar(figure: Figure, image: AxesImage, row: list[Axes], label: str) -> None:
    bar = figure.colorbar(image, ax=row, location="right", shrink=0.85, aspect=18, pad=0.01)
    bar.set_label(label, fontsize=SMALL_POINTS, color=INK)
    bar.ax.tick_params(labelsize=SMALL_POINTS, colors=INK, length=2)
    bar.outline.set_visible(False)
