"""Curves and histograms of a reconstruction: convergence, amplitudes, resolution; strain of a store of crystals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from friedel.bcdi.records import Curve, Quality, Start
from friedel.core.figures import BLUE, FAINT, INK, ORANGE, SMALL_POINTS, TEXT_POINTS, VERMILION, new_figure, plain_axes
from friedel.core.units import ANGSTROM_PER_NM


def error_curves_figure(starts: Sequence[Start]) -> Figure:
    """Draw χ over the iterations: starts that went into the result in blue, the others in grey behind them.

    A start of a single record, or none, is shown as a dot.
    """
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    for chosen in (False, True):
        _draw_group(axes, [start for start in starts if start.chosen is chosen], chosen)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(MaxNLocator(5) if high < 10 * low else LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    plain_axes(axes, x="iteration", y="χ over measured voxels")
    if starts:
        axes.legend(frameon=False, fontsize=SMALL_POINTS, labelcolor=INK)
    else:
        axes.text(0.5, 0.5, "no curves were recorded", transform=axes.transAxes, ha="center", fontsize=TEXT_POINTS)
    return figure


def _draw_group(axes: Axes, starts: list[Start], chosen: bool) -> None:
    colour, width, words = (BLUE, 1.3, "in the result") if chosen else (FAINT, 0.9, "set aside")
    for index, start in enumerate(starts):
        label = f"{len(starts)} {'start' if len(starts) == 1 else 'starts'} {words}" if index == 0 else None
        axes.plot(start.iterations, start.chi_curve, color=colour, linewidth=width, alpha=0.85, label=label)
        if len(start.iterations):
            axes.plot(start.iterations[-1], start.chi_curve[-1], marker="o", markersize=3.5, color=colour)


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
    seen = np.flatnonzero(np.isfinite(curve.value))  # beyond, shells were hardly measured, and a criterion says nothing
    axes.set_xlim(0.0, float(frequency[seen[-1]] * 1.05 if seen.size else frequency.max()))
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
    _histogram(left, np.asarray(strain_rms) * 1e3, unit="× 10⁻³")
    plain_axes(left, x="rms strain along ⟨111⟩ (10⁻³)", y="crystals")
    _histogram(right, np.asarray(phase_range_rad) / np.pi, unit="π")
    plain_axes(right, x="phase range of 111 (π rad)", y="crystals")
    return figure


def _histogram(axes: Axes, values: NDArray[np.floating], *, unit: str) -> None:
    median, top = float(np.median(values)), max(float(values.max()), 1e-9)
    axes.hist(values, bins=max(8, min(40, int(np.sqrt(len(values))))), range=(0.0, top), color=BLUE)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(median, color=VERMILION, linewidth=1.4)
    axes.set_title(f"median {median:.3g} {unit}", fontsize=SMALL_POINTS, color=INK, loc="right")
