"""How strained a set of simulated crystals is: the distributions of strain and of phase range."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.plotting.appearance import BLUE, INK, SMALL_POINTS, VERMILION, new_figure, plain_axes


def distribution_figure(strain_rms: NDArray[np.floating], phase_range_rad: NDArray[np.floating]) -> Figure:
    """Draw how many crystals have which strain and which phase range, each with its median.

    Parameters
    ----------
    strain_rms : (n,) float
        Root mean square strain inside each crystal.
    phase_range_rad : (n,) float
        Range of a reflection's phase inside each crystal, radians.
    """
    figure = new_figure(7.2, 2.9)
    left, right = figure.subplots(1, 2)
    _histogram(left, np.asarray(strain_rms) * 1e3, unit="10⁻³")
    plain_axes(left, x="rms strain along ⟨111⟩ (10⁻³)", y="crystals")
    _histogram(right, np.asarray(phase_range_rad) / np.pi, unit="π")
    plain_axes(right, x="phase range of 111 (π rad)", y="crystals")
    return figure


def _histogram(axes: Axes, values: NDArray[np.floating], *, unit: str) -> None:
    median, top = float(np.median(values)), max(float(values.max()), 1e-9)
    axes.hist(values, bins=max(8, min(40, int(np.sqrt(len(values))))), range=(0.0, top), color=BLUE)
    axes.axvline(median, color=VERMILION, linewidth=1.4)
    axes.set_title(f"median {median:.3g} {unit}", fontsize=SMALL_POINTS, color=INK, loc="right")
