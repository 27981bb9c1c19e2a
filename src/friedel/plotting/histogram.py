"""Which amplitudes the object has, and where the surface is cut."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.plotting.appearance import BLUE, FAINT, INK, SMALL_POINTS, TEXT_POINTS, VERMILION, new_figure, plain_axes


def histogram_figure(
    amplitude: NDArray[np.floating], support: NDArray[np.bool_], *, level: float, bulk: float
) -> Figure:
    """Draw the amplitudes inside the support, with the level at which the surface is drawn.

    Parameters
    ----------
    amplitude : (z, y, x) float
        |ψ|, any unit.
    support : (z, y, x) bool
        Which voxels count.
    level : float
        The isosurface's level, as a fraction of ``bulk``.
    bulk : float
        Amplitude of the crystal's inside, in the unit of ``amplitude``; 1 on the figure's axis.
    """
    figure = new_figure(6.4, 3.0)
    axes = figure.subplots()
    relative = amplitude[support] / bulk
    counts, edges = np.histogram(relative, bins=60, range=(0.0, max(1.6, level * 1.2)))
    colours = [FAINT if left < level else BLUE for left in edges[:-1]]
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colours)
    axes.axvline(level, color=VERMILION, linewidth=1.4)
    label = axes.text(level, 1.0, f" surface at {level:.2f}", transform=axes.get_xaxis_transform(), va="top")
    label.set(color=VERMILION, fontsize=TEXT_POINTS, fontweight="bold")
    plain_axes(axes, x="amplitude, relative to the crystal's inside", y="voxels in the support")
    kept = float(np.mean(relative >= level)) if relative.size else 0.0
    axes.set_title(f"{kept:.0%} of the support lies inside the surface", fontsize=SMALL_POINTS, color=INK, loc="right")
    return figure
