"""Classify a run: a plan in, a folder of scores, selected frames and a report out. The arrows, and little else."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from friedel._version import __version__
from friedel.core.errors import InputError, PlanError
from friedel.core.files.atomic import appearing
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.observer import Observer, Progress, Recorder, Warned, silent, tee
from friedel.spi.classify.files import JOURNALS, journal_folder, journal_name, write_files
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.classify.report import report_pictures, write_classify_report
from friedel.spi.classify.score import FileTask, Outcome, Scorer, joined_mask, open_source, score_file
from friedel.spi.frames.files import FrameFiles, list_files
from friedel.spi.frames.mask import read_mask
from friedel.spi.hits.selection import select
from friedel.spi.records import FrameStatus
from friedel.spi.scores.scored_run import ScoredRun

# A file written to within this time is looked at again for new frames.
_STILL_GROWING_S = 60.0


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassifyResult:
    """What a classification leaves behind.

    Attributes
    ----------
    run : ScoredRun
        The scores of every frame, and which were selected.
    figures : mapping
        The summary: numbers of frames, by status too, and the hit rate.
    files : mapping of str to Path
        The files written, by what they are for.
    n_new : int
        Frames scored now; the others' scores were kept from an earlier, interrupted run.
    seconds : float
        From the first read to the last write.
    """

    run: ScoredRun
    figures: Mapping[str, Any]
    files: Mapping[str, Path]
    n_new: int
    seconds: float


def run_classification(
    plan: ClassifyPlan,
    output: Path | None = None,
    *,
    model: Scorer | None = None,
    device: str | None = None,
    observer: Observer = silent,
) -> ClassifyResult:
    """Score every frame of a run and leave scores, selected frames and a report in a folder.

    What is scored is kept at once in ``journal`` inside the folder: stopped or killed at any moment, the same call goes
    on where it was, and a file that has grown since is scored from its first new frame.

    Parameters
    ----------
    plan : ClassifyPlan
        What to read, how to score it, what to keep.
    output : Path, optional
        Folder for the results; None takes the plan's. Earlier results are replaced once the new ones are complete.
    model : Scorer, optional
        A loaded model, instead of the one the plan names.
    device : str, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : Observer
        Hears progress, and what is odd about the files.

    Raises
    ------
    PlanError
        If the plan names no frames or no folder is given.
    InputError
        If a file can't be read, the mask doesn't fit, there are no frames, or the results can't be written.
    """
    if plan.frames is None or not plan.frames.paths:
        raise PlanError("no frames are named; give a file, or 'frames' with its 'paths' in the plan")
    folder = plan.folder_for(output)
    keep_freed_memory()
    recorder = Recorder()
    tell = tee(recorder, observer)
    tasks, n_frames = _survey(plan, plan.frames, folder)
    scorer = partial(_loaded, model, plan.model, device)
    with journal_folder(folder):
        if plan.cluster is None:
            loaded = scorer()
            began = time.perf_counter()
            outcomes = _score_here(tasks, n_frames, loaded, tell)
        else:
            from friedel.spi.classify.cluster import score_on_cluster

            began = time.perf_counter()
            outcomes = score_on_cluster(tasks, scorer, plan.cluster, observer=tell)
        run = _selected_run(outcomes, plan)
        figures = _figures(run)
        _tell_growth(run, plan.frames, tell)
        with appearing(folder) as unfinished:
            written = _write(unfinished, run, plan, folder, figures, recorder, tell)
    seconds, n_new = time.perf_counter() - began, sum(outcome.n_new for outcome in outcomes)
    files = {name: folder / path.name for name, path in written.items()}
    return ClassifyResult(run=run, figures=figures, files=files, n_new=n_new, seconds=seconds)


def _loaded(model: Scorer | None, name: str, device: str | None) -> Scorer:
    if model is not None:
        return model
    from friedel.spi.hits.model import load_model  # torch takes a second: wrong paths are told before

    return load_model(name, device=device)


def _survey(plan: ClassifyPlan, files: FrameFiles, folder: Path) -> tuple[list[FileTask], int]:
    """Open every file once, so that whatever is wrong with one is said before any work is done.

    Raises
    ------
    InputError
        If a file can't be read, a mask doesn't fit, or there is no frame in any.
    """
    mask = None if files.mask is None else read_mask(files.mask, dataset=files.mask_dataset, marks=files.mask_marks)
    tasks, n_frames = [], 0
    for path in list_files(files.paths):
        journal = folder / JOURNALS / journal_name(path, files.dataset)
        task = FileTask(path=path, files=files, mask=mask, journal=journal, fresh=plan.fresh)
        with open_source(path, files) as source:
            joined_mask(source, task)
            n_frames += source.shape[0]
        tasks.append(task)
    if n_frames == 0:
        names = ", ".join(str(task.path) for task in tasks[:5])
        raise InputError(f"no frames in {names}: the arrays are empty; check that the run was recorded")
    return tasks, n_frames


def _score_here(tasks: list[FileTask], n_frames: int, model: Scorer, observer: Observer) -> list[Outcome]:
    outcomes: list[Outcome] = []
    done = good = 0

    def tell(n_scored: int, n_good: int) -> None:
        rate = (good + n_good) / max(done + n_scored, 1)
        observer(Progress("scoring frames", done + n_scored, n_frames, {"hit rate": rate}))

    for task in tasks:
        try:
            outcomes.append(score_file(task, model, observer=observer, tell=tell))
        except KeyboardInterrupt:
            observer(Warned("stopped", "what is scored so far is kept; the same command goes on from there"))
            raise
        done += len(outcomes[-1].file.scores)
        good += int(outcomes[-1].file.scores["good"].sum())
    return outcomes


def _selected_run(outcomes: list[Outcome], plan: ClassifyPlan) -> ScoredRun:
    files = tuple(outcome.file for outcome in outcomes)
    n_frames = sum(len(file.scores) for file in files)
    whole = ScoredRun(files=files, selected=np.zeros(n_frames, bool), model=outcomes[0].model)
    return replace(whole, selected=select(whole.scores, plan.select))


def _figures(run: ScoredRun) -> dict[str, Any]:
    scores = run.scores
    counts = {status.name.lower(): int((scores.status == status).sum()) for status in FrameStatus}
    return {
        "frames": run.n_frames,
        "selected": int(run.selected.sum()),
        "hit_rate": float(run.selected.mean()),
        "unsure": int(scores.unsure.sum()),
        "odd": int((scores.strange > 1).sum()),
        "skipped": run.n_frames - counts["scored"],
        "status": counts,
        "model": run.model,
        "classified": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }


def _tell_growth(run: ScoredRun, files: FrameFiles, observer: Observer) -> None:
    """Say which files have got more frames while they were being scored."""
    for file in run.files:
        if time.time() - file.path.stat().st_mtime > _STILL_GROWING_S:
            continue
        with open_source(file.path, files) as source:
            more = source.shape[0] - len(file.scores)
        if more > 0:
            text = (
                f"has grown by {more} frames meanwhile; the same command scores them and leaves the others as they are"
            )
            observer(Warned(file.path.name, text))


def _write(
    unfinished: Path,
    run: ScoredRun,
    plan: ClassifyPlan,
    folder: Path,
    figures: dict[str, Any],
    recorder: Recorder,
    observer: Observer,
) -> dict[str, Path]:
    """Write all files; a full disk, wherever it is met, is one clear error.

    Raises
    ------
    InputError
        If a file can't be written.
    """
    observer(Progress("writing results", 0, 2))
    try:
        report = unfinished / "report.html"
        with ThreadPoolExecutor(1, thread_name_prefix="report") as aside:
            drawing = aside.submit(report_pictures, run, plan)
            written = write_files(unfinished, run, plan, target=folder, figures=figures, observer=observer)
            observer(Progress("writing results", 1, 2))
            pictures = drawing.result()
        write_classify_report(report, run, plan, pictures=pictures, figures=figures, notes=recorder.notes)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise InputError(
            f"{folder}: can't write the results ({reason}); earlier ones are unchanged and all scores are kept. "
            "Make room and run the same command again: nothing is scored twice"
        ) from error
    observer(Progress("writing results", 2, 2))
    return {"report": report, **written}
