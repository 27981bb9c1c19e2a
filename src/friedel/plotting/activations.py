"""What a network makes of a frame: maps of a layer's channels, and the regions that decided its score."""

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.plotting.appearance import INK, INTENSITY_MAP, SMALL_POINTS, TEXT_POINTS, new_figure

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
        `friedel.hits.explain.grad_cam` of them; the stronger the colour, the more a region counted.
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
