"""The classification report's charts as numbers ready to stand in an SVG: bars, a line, ticks. Draws nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640.0, 180.0
_BINS = 40
_STRETCHES = 60
_FEWEST_FRAMES = 20


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar: left edge and width, height of all frames and of the selected ones among them, and what it stands for."""

    x: float
    width: float
    height: float
    chosen_height: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points, as SVG's ``points``; its greatest value for the axis; and the axis' last number."""

    points: str
    top: float
    last: int
    stretch: int


def score_bars(single: NDArray[np.float32], selected: NDArray[np.bool_]) -> list[Bar]:
    """Return the histogram of the probabilities; heights go with the logarithm of 1 + the number of frames.

    Parameters
    ----------
    single : (n,) float32
        Probability of a single particle, of the frames that have a score.
    selected : (n,) bool
        Which of them were selected.
    """
    edges = np.linspace(0, 1, _BINS + 1)
    everyone, _ = np.histogram(single, edges)
    chosen, _ = np.histogram(single[selected], edges)
    scale = HEIGHT / max(np.log1p(everyone.max(initial=0)), 1.0)
    step = WIDTH / _BINS
    return [
        Bar(
            x=number * step + 0.5,
            width=step - 1,
            height=float(np.log1p(count) * scale),
            chosen_height=float(np.log1p(kept) * scale),
            text=f"{edges[number]:.3f} to {edges[number + 1]:.3f}: {count} frames, {kept} selected",
        )
        for number, (count, kept) in enumerate(zip(everyone.tolist(), chosen.tolist(), strict=True))
    ]


def rate_line(selected: NDArray[np.bool_]) -> Line | None:
    """Return the fraction of selected frames along the run, in equal stretches; None if there are too few frames."""
    stretch = max(-(-len(selected) // _STRETCHES), _FEWEST_FRAMES)
    n_whole = len(selected) // stretch
    if n_whole < 2:
        return None
    rates = selected[: n_whole * stretch].reshape(n_whole, stretch).mean(axis=1)
    top = max(float(rates.max()) * 1.1, 1.0 / stretch)
    x = (np.arange(n_whole) + 0.5) / n_whole * WIDTH
    y = HEIGHT * (1 - rates / top)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return Line(points=points, top=top, last=n_whole * stretch, stretch=stretch)
