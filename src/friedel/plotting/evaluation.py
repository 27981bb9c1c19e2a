"""Figures of an evaluation: reliability, precision against recall, shares by name, and accuracy over depths."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.plotting.appearance import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    SMALL_POINTS,
    TEXT_POINTS,
    VERMILION,
    new_figure,
    plain_axes,
)

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
