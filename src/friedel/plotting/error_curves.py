"""How every independent start converged."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from friedel.plotting.appearance import BLUE, FAINT, INK, SMALL_POINTS, TEXT_POINTS, new_figure, plain_axes
from friedel.records import Start


def error_curves_figure(starts: Sequence[Start]) -> Figure:
    """Draw χ over the iterations: starts that went into the result in blue, the others in grey behind them.

    A start of a single record, or none, is shown as a dot.
    """
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    for chosen in (False, True):
        _draw_group(axes, [start for start in starts if start.chosen is chosen], chosen)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
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
