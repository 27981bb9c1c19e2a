"""Objects beside each other on the same slices and the same colours, and how methods fare as a condition changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.core.figures import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    OUTSIDE,
    SMALL_POINTS,
    TEXT_POINTS,
    VERMILION,
    new_figure,
    plain_axes,
)

Volume = NDArray[np.floating]
_COLOURS = (BLUE, VERMILION, ORANGE, "#009e73", "#cc79a7", "#56b4e9", INK, FAINT)
_MARKERS = "osD^vPXd"


@dataclass(frozen=True, eq=False)
class Row:
    """One quantity of every object.

    Attributes
    ----------
    title : str
        The quantity, with its unit.
    volumes : sequence of (z, y, x) float
        One an object, in the order of the columns; NaN isn't drawn.
    colour_map : str
        Name of the matplotlib map.
    limits : (float, float)
        Values at the two ends of the map, for all.
    """

    title: str
    volumes: Sequence[Volume]
    colour_map: str
    limits: tuple[float, float]


def comparison_figure(
    columns: Sequence[str], rows: Sequence[Row], *, axis: int = 0, index: int | None = None
) -> Figure:
    """Draw one slice of every object: one column an object, one row a quantity, one colour scale a row.

    Parameters
    ----------
    columns : sequence of str
        Names of the objects.
    rows : sequence of Row
        The quantities, top to bottom.
    axis : int
        Array axis the slice is cut across.
    index : int or None
        Where; None cuts at index ``n // 2``.
    """
    tall, wide = np.take(rows[0].volumes[0], 0, axis=axis).shape
    width = 1.55 * len(columns) + 0.9
    figure = new_figure(width, 0.4 + len(rows) * (1.5 * tall / wide + 0.08))
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes, volume in zip(line, row.volumes, strict=True):
            cut = volume.shape[axis] // 2 if index is None else index
            image = axes.imshow(
                np.ma.masked_invalid(np.take(volume, cut, axis=axis)),
                cmap=row.colour_map,
                vmin=row.limits[0],
                vmax=row.limits[1],
                origin="lower",
                interpolation="nearest",
            )
            _bare(axes)
        bar = figure.colorbar(image, ax=list(line), location="right", shrink=0.85, aspect=16, pad=0.01)
        bar.ax.tick_params(labelsize=SMALL_POINTS, colors=INK, length=2)
        bar.outline.set_visible(False)
        line[0].set_ylabel(row.title, fontsize=TEXT_POINTS, color=INK)
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title(name, fontsize=SMALL_POINTS, color=INK)
    return figure


def _bare(axes: Axes) -> None:
    axes.set_facecolor(OUTSIDE)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def methods_figure(
    labels: Sequence[str], correlation: Mapping[str, Sequence[float]], success: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw each method's median correlation and its successes over the conditions; NaN leaves a point out.

    Parameters
    ----------
    labels : sequence of str
        The conditions.
    correlation, success : mapping of str to sequence of float
        By method, one value a condition, 0 to 1.
    """
    figure = new_figure(8.6, 3.4)
    left, right = figure.subplots(1, 2)
    for axes, values, title, scale in (
        (left, correlation, "correlation with the truth, median", 1.0),
        (right, success, "success, %", 100.0),
    ):
        for number, (name, points) in enumerate(values.items()):
            axes.plot(
                range(len(labels)),
                scale * np.asarray(points, dtype=float),
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4,
                linewidth=1.3,
                label=name,
            )
        axes.set_xticks(range(len(labels)), labels, fontsize=SMALL_POINTS, rotation=30, ha="right")
        axes.set_ylim(0, 1.03 * scale)
        plain_axes(axes, x="", y=title)
    right.legend(frameon=False, fontsize=SMALL_POINTS, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
