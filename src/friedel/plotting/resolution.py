"""Where the resolution ends: the phase-retrieval transfer function and the Fourier shell correlation."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.base.units import ANGSTROM_PER_NM
from friedel.plotting.appearance import BLUE, INK, ORANGE, SMALL_POINTS, TEXT_POINTS, VERMILION, new_figure, plain_axes
from friedel.records import Curve, Quality

NAMES = (
    ("prtf", "PRTF", "phase-retrieval transfer function", BLUE),
    ("fsc", "FSC", "Fourier shell correlation", ORANGE),
)


def resolution_figure(quality: Quality) -> Figure | None:
    """Draw PRTF and FSC with their criteria and mark where each falls below; None if neither was measured."""
    curves = [(getattr(quality, field), short, long, colour) for field, short, long, colour in NAMES]
    measured = [item for item in curves if item[0] is not None]
    if not measured:
        return None
    figure = new_figure(4.6 * len(measured), 3.2)
    row = figure.subplots(1, len(measured), squeeze=False)[0]
    for axes, (curve, short, long, colour) in zip(row, measured, strict=True):
        _draw_curve(axes, curve, short, colour)
        axes.set_title(long, fontsize=TEXT_POINTS, color=INK, loc="left")
    return figure


def crossing(curve: Curve) -> float | None:
    """Return the first frequency at which the curve falls below its criterion; None if it never does.

    Between two samples the difference is taken to be linear.
    """
    known = np.isfinite(curve.value) & np.isfinite(curve.threshold)
    frequency, above = curve.frequency[known], (curve.value - curve.threshold)[known]
    below = np.flatnonzero((above[1:] < 0) & (above[:-1] >= 0))
    if below.size == 0:
        return None
    first = int(below[0])
    share = above[first] / (above[first] - above[first + 1])
    return float(frequency[first] + share * (frequency[first + 1] - frequency[first]))


def _draw_curve(axes: Axes, curve: Curve, short: str, colour: str) -> None:
    frequency, scale, unit = _in_reader_units(curve)
    axes.plot(frequency, curve.value, color=colour, linewidth=1.6, marker="o", markersize=3, label=short)
    criterion = f"{curve.criterion} criterion"
    axes.plot(frequency, curve.threshold, color=INK, linewidth=1.0, linestyle="--", label=criterion)
    end = crossing(curve)
    if end is not None:
        _mark_end(axes, end * scale, "nm" if unit == "1/nm" else "voxels")
    axes.set_ylim(min(0.0, float(np.nanmin(curve.value, initial=0.0))), 1.05)
    axes.set_xlim(0.0, float(frequency.max()))
    plain_axes(axes, x=f"spatial frequency ({unit})", y=short)
    axes.legend(frameon=False, fontsize=SMALL_POINTS, labelcolor=INK, loc="lower left")


def _in_reader_units(curve: Curve) -> tuple[NDArray[np.float64], float, str]:
    if "Å" in curve.unit or "angstrom" in curve.unit.lower():
        return curve.frequency * ANGSTROM_PER_NM, ANGSTROM_PER_NM, "1/nm"
    return curve.frequency, 1.0, curve.unit


def _mark_end(axes: Axes, frequency: float, unit: str) -> None:
    axes.axvline(frequency, color=VERMILION, linewidth=1.0)
    axes.annotate(
        f"{1 / frequency:.3g} {unit}",
        (frequency, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 0),
        textcoords="offset points",
        fontsize=TEXT_POINTS,
        color=VERMILION,
        fontweight="bold",
        ha="right",
        va="top",
    )
