"""The report of a classification: one HTML page that loads nothing. Gathers words, charts and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from friedel._version import __version__
from friedel.io.frame_files import FrameFiles
from friedel.io.scored_run import ScoredRun
from friedel.records.hits import FrameStatus, HitScores
from friedel.workflows.classify_charts import HEIGHT, WIDTH, rate_line, score_bars
from friedel.workflows.classify_gallery import galleries, powders
from friedel.workflows.classify_plan import ClassifyPlan, classify_plan_text

_REASONS = {
    FrameStatus.MASKED: "no pixel of them was measured",
    FrameStatus.CONSTANT: "all their pixels are equal",
    FrameStatus.UNREADABLE: "their bytes are missing or damaged",
}
_MOST_FILES_NAMED = 50


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
    loader = PackageLoader("friedel.workflows", "templates")
    # Autoescape holds for every name: the template's is ".j2", which the usual choice by suffix would leave raw.
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.get_template("classify.html.j2").render(words | dict(pictures))
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
        "plan": classify_plan_text(plan),
        "version": __version__,
    }


def _charts(run: ScoredRun, scores: HitScores) -> dict[str, Any]:
    scored = scores.status == FrameStatus.SCORED
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "bars": score_bars(scores.single[scored], run.selected[scored]) if scored.any() else [],
        "rate": rate_line(run.selected),
    }


def _pictures(run: ScoredRun, scores: HitScores, files: FrameFiles, size: int) -> dict[str, Any]:
    scored = np.any(scores.status == FrameStatus.SCORED)
    return {
        "galleries": galleries(run, scores, files, size=size) if scored and size else [],
        "powders": powders(run, scores, files) if scored else [],
    }
