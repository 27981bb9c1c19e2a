"""Three orthogonal slices of a volume, a row for each quantity. Strain is computed elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from friedel.bcdi.records import CrystalImage, Reconstruction
from friedel.core.figures import (
    AMPLITUDE_MAP,
    INK,
    OUTSIDE,
    PHASE_MAP,
    SIGNED_MAP,
    SMALL_POINTS,
    TEXT_POINTS,
    add_scale_bar,
    new_figure,
)
from friedel.core.units import ANGSTROM_PER_NM

# Percentile at which a signed map's colours end, so that single surface voxels with extreme values don't set the scale.
ROBUST_PERCENTILE = 99.0
# The axis a slice is cut across, and the two it shows: (up, right).
PLANES = ((0, 1, 2), (1, 0, 2), (2, 1, 0))


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """A volume and how it is coloured.

    Attributes
    ----------
    title : str
        The quantity, with its unit.
    values : (z, y, x) float
        What is shown.
    colour_map : str
        Name of the matplotlib map.
    limits : (float, float)
        Values at the two ends of the map.
    """

    title: str
    values: NDArray[np.floating]
    colour_map: str
    limits: tuple[float, float]


def amplitude_panel(amplitude: NDArray[np.floating]) -> Panel:
    """Show an amplitude relative to its maximum."""
    top = float(np.max(amplitude))
    relative = amplitude / top if top > 0 else amplitude
    return Panel(title="amplitude", values=relative, colour_map=AMPLITUDE_MAP, limits=(0.0, 1.0))


def phase_panel(phase: NDArray[np.floating]) -> Panel:
    """Show a phase, radians, on a cyclic map from −π to π."""
    return Panel(title="phase (rad)", values=phase, colour_map=PHASE_MAP, limits=(-math.pi, math.pi))


def signed_panel(title: str, values: NDArray[np.floating], support: NDArray[np.bool_]) -> Panel:
    """Show a signed quantity on limits that are symmetric about zero and leave out the most extreme percent."""
    inside = values[support & np.isfinite(values)]
    limit = float(np.percentile(np.abs(inside), ROBUST_PERCENTILE)) if inside.size else 0.0
    limit = limit or 1.0
    return Panel(title=title, values=values, colour_map=SIGNED_MAP, limits=(-limit, limit))


def reconstruction_slices(reconstruction: Reconstruction) -> Figure:
    """Draw amplitude and phase along the measurement's own axes, which need not be perpendicular."""
    basis = reconstruction.voxel_basis_angstrom
    size = np.ones(3) if basis is None else np.linalg.norm(basis, axis=1) / ANGSTROM_PER_NM
    return slices_figure(
        [amplitude_panel(reconstruction.amplitude), phase_panel(reconstruction.phase)],
        support=reconstruction.support,
        voxel_size=(float(size[0]), float(size[1]), float(size[2])),
        unit="voxels" if basis is None else "nm",
        axis_names=("rocking", "row", "column"),
    )


def crystal_slices(crystal: CrystalImage) -> Figure:
    """Draw amplitude, phase and, where known, displacement and strain on the crystal's regular grid."""
    panels = [amplitude_panel(crystal.amplitude), phase_panel(crystal.phase)]
    if crystal.displacement_angstrom is not None:
        panels.append(signed_panel("displacement (Å)", crystal.displacement_angstrom, crystal.support))
    if crystal.strain is not None:
        panels.append(signed_panel("strain (10⁻³)", crystal.strain * 1e3, crystal.support))
    edge = crystal.voxel_size_angstrom
    size = 1.0 if edge is None else edge / ANGSTROM_PER_NM
    names = ("rocking", "row", "column") if edge is None else ("z", "y", "x")
    return slices_figure(
        panels,
        support=crystal.support,
        voxel_size=(size, size, size),
        unit="voxels" if edge is None else "nm",
        axis_names=names,
    )


def slices_figure(
    panels: Sequence[Panel],
    *,
    support: NDArray[np.bool_],
    voxel_size: tuple[float, float, float],
    unit: str = "nm",
    axis_names: tuple[str, str, str] = ("z", "y", "x"),
) -> Figure:
    """Draw slices through the middle of the support across each axis: one row a panel, one column a plane.

    Parameters
    ----------
    panels : sequence of Panel
        The quantities, top to bottom.
    support : (z, y, x) bool
        Outlined, and grey outside. The slices meet in its centre of mass.
    voxel_size : (float, float, float)
        Size of a voxel along ``(z, y, x)``, in ``unit``.
    unit : str
        "nm" or "voxels".
    axis_names : (str, str, str)
        Names of the axes ``(z, y, x)``.
    """
    window, centre = _window(support)
    cut = support[window]
    sizes = np.array(voxel_size) * cut.shape
    widths = [float(sizes[right]) for _, _, right in PLANES]
    tallest = max(float(sizes[up]) for _, up, _ in PLANES)
    figure = new_figure(9.0, 0.45 + len(panels) * (0.15 + 7.6 * tallest / sum(widths)))
    grid = figure.subplots(len(panels), 3, squeeze=False, width_ratios=widths)
    for row, panel in zip(grid, panels, strict=True):
        for axes, plane in zip(row, PLANES, strict=True):
            image = _draw_slice(axes, panel, panel.values[window], cut, plane, centre, sizes)
        _draw_colour_bar(figure, image, list(row), panel)
        row[0].set_ylabel(panel.title, fontsize=TEXT_POINTS + 1, color=INK, fontweight="bold")
    for axes, (across, up, right) in zip(grid[0], PLANES, strict=True):
        title = f"{axis_names[up]} ↑  {axis_names[right]} →   (across {axis_names[across]})"
        axes.set_title(title, fontsize=SMALL_POINTS, color=INK)
    for axes in grid[:, 0]:
        add_scale_bar(axes, unit)
    return figure


def _window(support: NDArray[np.bool_]) -> tuple[tuple[slice, ...], NDArray[np.int64]]:
    """Return the box around the support with a margin, and the support's centre of mass inside that box."""
    where = np.argwhere(support) if support.any() else np.argwhere(np.ones_like(support))
    margin = 2 + np.ptp(where, axis=0) // 7
    low = np.maximum(where.min(axis=0) - margin, 0)
    high = np.minimum(where.max(axis=0) + margin + 1, support.shape)
    window = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return window, np.rint(where.mean(axis=0)).astype(np.int64) - low


def _draw_slice(
    axes: Axes,
    panel: Panel,
    values: NDArray[np.floating],
    support: NDArray[np.bool_],
    plane: tuple[int, int, int],
    centre: NDArray[np.int64],
    sizes: NDArray[np.float64],
) -> AxesImage:
    _, up, right = plane
    inside = _cut(support, plane, centre)
    picture = _cut(values, plane, centre)
    extent = (0.0, float(sizes[right]), 0.0, float(sizes[up]))
    image = axes.imshow(
        np.ma.masked_array(picture, ~(inside & np.isfinite(picture))),
        cmap=panel.colour_map,
        vmin=panel.limits[0],
        vmax=panel.limits[1],
        origin="lower",
        extent=extent,
        interpolation="nearest",
    )
    axes.set_facecolor(OUTSIDE)
    if inside.any() and not inside.all():
        axes.contour(inside, levels=[0.5], colors=[INK], linewidths=0.7, origin="lower", extent=extent)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return image


def _cut(volume: NDArray[np.generic], plane: tuple[int, int, int], centre: NDArray[np.int64]) -> NDArray[np.generic]:
    """Return the slice, its "up" axis first and its "right" axis second."""
    across, up, right = plane
    picture = np.take(volume, int(centre[across]), axis=across)
    return picture if up < right else picture.T


def _draw_colour_bar(figure: Figure, image: AxesImage, row: list[Axes], panel: Panel) -> Colorbar:
    shown = panel.values[np.isfinite(panel.values)]
    below = bool(shown.size) and bool(shown.min() < panel.limits[0])
    above = bool(shown.size) and bool(shown.max() > panel.limits[1])
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
    bar = figure.colorbar(image, ax=row, location="right", shrink=0.85, aspect=18, pad=0.01, extend=extend)
    if panel.limits == (-math.pi, math.pi):
        bar.set_ticks([-math.pi, -math.pi / 2, 0.0, math.pi / 2, math.pi], labels=["−π", "−π/2", "0", "π/2", "π"])
    bar.ax.tick_params(labelsize=SMALL_POINTS, colors=INK, length=2)
    bar.outline.set_visible(False)
    return bar
