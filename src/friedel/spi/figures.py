"""Figures of frames and classifiers: contact sheets, activation maps, reliability, precision and recall."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.core.figures import (
    BLUE,
    FAINT,
    INK,
    INTENSITY_MAP,
    ORANGE,
    OUTSIDE,
    SMALL_POINTS,
    TEXT_POINTS,
    VERMILION,
    new_figure,
    plain_axes,
)

ATTENTION_MAP = "magma"


def activations_figure(maps: NDArray[np.floating], *, title: str, columns: int = 8, most: int = 32) -> Figure:
    """Draw a layer's channels side by side, each in its own range.

    Parameters
    ----------
    maps : (channels, y, x) float
        One frame's activations.
    title : str
        The layer's name, for the reader.
    columns : int
        Maps in a row.
    most : int
        Maps drawn: those that vary most, in the layer's order.
    """
    chosen = np.sort(np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:most])
    rows = math.ceil(len(chosen) / columns)
    figure = new_figure(1.1 * columns, 1.1 * rows + 0.4)
    figure.suptitle(title, fontsize=TEXT_POINTS + 1, color=INK)
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.set_axis_off()
    for axes, channel in zip(figure.axes, chosen, strict=False):
        axes.imshow(maps[channel], cmap=INTENSITY_MAP, interpolation="nearest")
        axes.set_title(str(channel), fontsize=SMALL_POINTS - 1, color=INK, pad=1)
    return figure


def attention_figure(
    frames: NDArray[np.floating], attention: NDArray[np.floating], *, titles: tuple[str, ...] = ()
) -> Figure:
    """Draw frames, and under each the same frame with what decided its score.

    Parameters
    ----------
    frames : (n, y, x) float
        As the network sees them, or photons on a scale that shows the fringes; NaN where unknown.
    attention : (n, y, x) float in [0, 1]
        `friedel.spi.hits.explain.grad_cam` of them; the stronger the colour, the more a region counted.
    titles : tuple of str
        A word over each frame.
    """
    figure = new_figure(1.7 * len(frames), 3.8)
    grid = figure.subplots(2, len(frames), squeeze=False)
    for column, (frame, weight) in enumerate(zip(frames, attention, strict=True)):
        low, high = np.nanpercentile(frame, (1, 99)) if np.isfinite(frame).any() else (0.0, 1.0)
        for axes in grid[:, column]:
            axes.imshow(frame, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            axes.set_axis_off()
        grid[1, column].imshow(weight, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=0.55 * np.clip(weight, 0, 1) + 0.1)
        if column < len(titles):
            grid[0, column].set_title(titles[column], fontsize=SMALL_POINTS, color=INK)
    return figure


_COLOURS = (BLUE, VERMILION, ORANGE, FAINT)
Curve = tuple[NDArray[np.floating], NDArray[np.floating]]


def reliability_figure(curves: Mapping[str, tuple[Curve, NDArray[np.int64]]]) -> Figure:
    """Draw what was foretold against what came, one curve a set of frames, with the frames in each bin below.

    Parameters
    ----------
    curves : mapping
        By name: ((foretold, observed), counts), each ``(bins,)``; NaN where a bin is empty.
    """
    figure = new_figure(6.0, 4.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--", label="honest")
    edges = np.linspace(0, 1, len(next(iter(curves.values()))[1]) + 1) if curves else np.linspace(0, 1, 2)
    for colour, (name, ((foretold, observed), counts)) in zip(_COLOURS, curves.items(), strict=False):
        known = np.isfinite(foretold)
        axes.plot(foretold[known], observed[known], marker="o", markersize=4, color=colour, label=name)
        below.stairs(np.maximum(counts, 0.5), edges, color=colour)
    plain_axes(axes, x="", y="share of single hits")
    plain_axes(below, x="probability foretold", y="frames")
    below.set_yscale("log")
    axes.legend(frameon=False, fontsize=SMALL_POINTS, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def precision_recall_figure(curves: Mapping[str, Curve]) -> Figure:
    """Draw precision against recall, one curve a hit rate; each is (precision, recall), ``(k,)``."""
    figure = new_figure(6.6, 3.6)
    axes = figure.subplots()
    for colour, (name, (precision, recall)) in zip(_COLOURS, curves.items(), strict=False):
        axes.plot(recall, precision, color=colour, linewidth=1.6, label=name)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
    plain_axes(axes, x="recall: single hits that are found", y="precision: selected frames that are single hits")
    axes.legend(frameon=False, fontsize=SMALL_POINTS, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def shares_figure(names: Sequence[str], shares: Mapping[str, Sequence[float]], *, x: str) -> Figure:
    """Draw shares, 0 to 1, as bars: one group a name, one colour a kind; NaN leaves a bar out."""
    figure = new_figure(6.4, 0.9 + 0.2 * len(names) * max(len(shares), 1) + 0.15 * len(names))
    axes = figure.subplots()
    places, height = np.arange(len(names), dtype=float), 0.8 / max(len(shares), 1)
    for index, (colour, (kind, values)) in enumerate(zip(_COLOURS, shares.items(), strict=False)):
        lengths = 100 * np.nan_to_num(np.asarray(values, dtype=float))
        at = places + (index - (len(shares) - 1) / 2) * height
        axes.barh(at, lengths, height=0.9 * height, color=colour, label=kind)
        for place, length, value in zip(at, lengths, values, strict=True):
            word = "–" if np.isnan(value) else f"{length:.1f}"
            axes.text(length + 0.6, place, word, va="center", fontsize=SMALL_POINTS - 1, color=INK)
    axes.set_yticks(places, names, fontsize=SMALL_POINTS)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    plain_axes(axes, x=f"{x}, %", y="")
    axes.legend(
        frameon=False, fontsize=SMALL_POINTS, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(shares)
    )
    return figure


def depths_figure(depths: Sequence[tuple[int, int]], training: Sequence[float], validation: Sequence[float]) -> Figure:
    """Draw training and validation accuracy of networks of growing depth, 2 + 2n + 2m layers."""
    order = sorted(range(len(depths)), key=lambda index: (sum(depths[index]), depths[index]))
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    for colour, marker, name, values in (
        (BLUE, "o", "training", training),
        (VERMILION, "s", "validation", validation),
    ):
        axes.plot(range(len(order)), [100 * values[index] for index in order], color=colour, marker=marker, label=name)
    axes.set_xticks(range(len(order)), [f"{depths[index][0]}, {depths[index][1]}" for index in order])
    plain_axes(axes, x="n, m", y="accuracy, %")
    axes.legend(frameon=False, fontsize=TEXT_POINTS, labelcolor=INK)
    return figure


def frame_sheet_figure(
    frames: NDArray[np.generic], titles: Sequence[str], *, mask: NDArray[np.bool_] | None = None, columns: int = 8
) -> Figure:
    """Draw frames on a grid, each on a logarithmic scale of its own.

    Parameters
    ----------
    frames : (n, y, x)
        Photons or ADU; unknown pixels are grey.
    titles : sequence of str
        A line or two over each frame.
    mask : (y, x) bool, optional
        True where the detector measures.
    columns : int
        Frames in a row.
    """
    columns = max(1, min(columns, len(frames)))
    rows = max(1, math.ceil(len(frames) / columns))
    figure = new_figure(1.5 * columns, 1.85 * rows)
    colours = colormaps[INTENSITY_MAP].with_extremes(bad=OUTSIDE)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places:
        axes.set_axis_off()
    for axes, frame, title in zip(places, frames, titles, strict=False):
        axes.imshow(_shown(frame, mask), cmap=colours, interpolation="nearest")
        axes.set_title(title, fontsize=SMALL_POINTS - 1, color=INK, pad=2)
    return figure


def frames_png(frames: NDArray[np.generic], mask: NDArray[np.bool_], *, first: int = 0) -> bytes:
    """Return frames ``(n, y, x)`` in a row as PNG, each under its number, for notebooks."""
    content = BytesIO()
    titles = [f"{first + k}" for k in range(len(frames))]
    frame_sheet_figure(frames, titles, mask=mask).savefig(content, format="png", dpi=90)
    return content.getvalue()


def _shown(frame: NDArray[np.generic], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Return log(1 + excess over the dark level), NaN where unknown, binned to at most 128 pixels an edge."""
    values = np.array(frame, dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    if mask is not None:
        values[~mask] = np.nan
    step = max(1, min(values.shape) // 128)
    values = values[::step, ::step]
    if not np.isfinite(values).any():
        return values
    low, high = np.nanpercentile(values, (20, 99.7))
    unit = max(float(high - low) / 200, 1e-12)
    return np.log1p(np.clip(values - low, 0, max(high - low, 1e-12)) / unit)
