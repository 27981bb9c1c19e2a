"""The report of a classification: one HTML page that loads nothing. Gathers words, charts and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.report import render_page
from friedel.spi.classify.gallery import galleries, powders
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.sizes.modes import SizeMode, size_modes
from friedel.spi.records import FrameStatus, HitScores
from friedel.spi.scores.scored_run import ScoredRun

_REASONS = {
    FrameStatus.MASKED: "no pixel of them was measured",
    FrameStatus.CONSTANT: "all their pixels are equal",
    FrameStatus.UNREADABLE: "their bytes are missing or damaged",
}
_MOST_FILES_NAMED = 50  # on the page, which then gives the number of the others


def report_pictures(run: ScoredRun, plan: ClassifyPlan) -> dict[str, Any]:
    """Return the page's charts and pictures, under the names its template knows; the frames shown are read again."""
    scores = run.scores
    pictures = {} if plan.frames is None else _pictures(run, scores, plan.frames, plan.gallery)
    return _charts(run, scores) | pictures


def write_classify_report(
    path: Path,
    run: ScoredRun,
    plan: ClassifyPlan,
    *,
    pictures: Mapping[str, Any],
    figures: Mapping[str, Any],
    notes: Sequence[tuple[str, str]],
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        The file.
    run : ScoredRun
        The scores, and what was selected.
    plan : ClassifyPlan
        What was asked for.
    pictures : mapping
        From `report_pictures`.
    figures : mapping
        The summary.
    notes : sequence of (str, str)
        What was said along the way, (step, sentence).

    Raises
    ------
    OSError
        If the file can't be written.
    """
    words = _words(run, run.scores, plan, figures, notes)
    page = render_page("friedel.spi.classify", "classify.html.j2", words | dict(pictures))
    path.write_text(page, encoding="utf-8")


def skipped_frames(scores: HitScores) -> list[tuple[int, str]]:
    """Return, for each reason there is, how many frames have no score because of it."""
    counts = [(int((scores.status == status).sum()), reason) for status, reason in _REASONS.items()]
    return [(count, reason) for count, reason in counts if count]


def _words(
    run: ScoredRun,
    scores: HitScores,
    plan: ClassifyPlan,
    figures: Mapping[str, Any],
    notes: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    names = [str(file.path) for file in run.files]
    return {
        "name": Path(names[0]).name if len(names) == 1 else f"{Path(names[0]).name} and {len(names) - 1} more",
        "figures": figures,
        "skipped": skipped_frames(scores),
        "files": list(zip(names, [len(file.scores) for file in run.files], strict=True))[:_MOST_FILES_NAMED],
        "n_unnamed": max(len(names) - _MOST_FILES_NAMED, 0),
        "model": run.model,
        "notes": notes,
        "plan": plan.text(),
        "version": __version__,
    }


def _charts(run: ScoredRun, scores: HitScores) -> dict[str, Any]:
    scored = scores.status == FrameStatus.SCORED
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "bars": score_bars(scores.single[scored], run.selected[scored]) if scored.any() else [],
        "rate": rate_line(run.selected),
        "sizes": size_bars(scores.diameter[run.selected]),
        "size_unit": scores.length_unit,
    }


def _pictures(run: ScoredRun, scores: HitScores, files: FrameFiles, size: int) -> dict[str, Any]:
    scored = np.any(scores.status == FrameStatus.SCORED)
    return {
        "galleries": galleries(run, scores, files, size=size) if scored and size else [],
        "powders": powders(run, scores, files) if scored else [],
    }


WIDTH, HEIGHT = 640.0, 180.0
_BINS = 40  # of a histogram: 16 px of the chart each, steps of 2.5 % in a probability
_STRETCHES = 60  # of the hit rate along the run, at the most
_FEWEST_FRAMES = 20  # of a stretch: its rate is then known to ± 11 % at most (√(¼ / 20))


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


@dataclass(frozen=True, kw_only=True)
class SizeChart:
    """The histogram of sizes: bars over the logarithm of the diameter, the axis' ticks, and the modes in words."""

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    modes: tuple[SizeMode, ...]


def size_bars(diameters: NDArray[np.float32]) -> SizeChart | None:
    """Return the histogram of the selected frames' diameters, those of the main mode marked; None without sizes."""
    known = diameters[np.isfinite(diameters)]
    if not known.size:
        return None
    modes = size_modes(known)
    low, high = float(known.min()) * 0.95, float(known.max()) * 1.05
    edges = np.geomspace(low, high, _BINS + 1)
    everyone, _ = np.histogram(known, edges)
    main, _ = np.histogram(known[modes[0].holds(known)] if modes else known[:0], edges)
    scale, step = HEIGHT / everyone.max(), WIDTH / _BINS
    bars = [
        Bar(
            x=number * step + 0.5,
            width=step - 1,
            height=float(count * scale),
            chosen_height=float(inside * scale),
            text=f"{edges[number]:.3g} to {edges[number + 1]:.3g}: {count} frames, {inside} in the main mode",
        )
        for number, (count, inside) in enumerate(zip(everyone.tolist(), main.tolist(), strict=True))
    ]
    ticks = [(number / 4 * WIDTH, f"{low * (high / low) ** (number / 4):.3g}") for number in range(5)]
    return SizeChart(bars=bars, ticks=ticks, modes=modes)


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
