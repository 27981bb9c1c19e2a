"""Detector frames side by side, each with a word above it: to look at and to label."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.plotting.appearance import INK, INTENSITY_MAP, OUTSIDE, SMALL_POINTS, new_figure


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
