"""Classify a run: a plan in; a folder of scores, selected frames and a report out. Calls the steps in their order."""

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
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
from friedel.spi.classify.score import FileTask, Outcome, Scorer, joined_mask, score_file
from friedel.spi.frames.beam import read_beam
from friedel.spi.frames.detector_images import read_mask
from friedel.spi.frames.files import FrameFiles, list_files
from friedel.spi.frames.series import find_series
from friedel.spi.hits.selection import OF_SIZE, precision_estimate, select
from friedel.spi.hits.sizes.droplets import are_droplets
from friedel.spi.hits.sizes.modes import size_modes
from friedel.spi.records import Beam, FrameStatus
from friedel.spi.scores.scored_run import ScoredRun

# A file written to within this time is looked at again for new frames.
_STILL_GROWING_S = 60.0
# Records of what was read that the summary holds; the notes have a sentence of each.
_MOST_READ = 200


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
    failed : mapping of str to str
        Files of several that are not in the results, by path, and why.
    seconds : float
        From the first read to the last write.
    """

    run: ScoredRun
    figures: Mapping[str, Any]
    files: Mapping[str, Path]
    n_new: int
    seconds: float
    failed: Mapping[str, str] = field(default_factory=dict)


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
    failed: dict[Path, str] = {}
    tasks, n_frames = _survey(plan, plan.frames, folder, failed, tell)
    scorer = partial(_loaded, model, plan.model, device)
    with journal_folder(folder):
        if plan.cluster is None:
            loaded = scorer()
            began = time.perf_counter()
            outcomes = _score_here(tasks, n_frames, loaded, failed, tell)
        else:
            from friedel.spi.classify.distributed import score_on_cluster

            began = time.perf_counter()
            outcomes = score_on_cluster(tasks, scorer, plan.cluster, failed=failed, observer=tell)
        _tell_growth(tasks, outcomes, tell)
        _tell_other_shapes(outcomes, tell)
        run, written, figures = _leave_behind(tasks, outcomes, plan, folder, failed, recorder, tell)
    return ClassifyResult(
        run=run,
        figures=figures,
        files={name: folder / path.name for name, path in written.items()},
        n_new=sum(outcome.n_new for outcome in outcomes),
        seconds=time.perf_counter() - began,
        failed={str(path): why for path, why in failed.items()},
    )


def _leave_behind(
    tasks: list[FileTask],
    outcomes: list[Outcome],
    plan: ClassifyPlan,
    folder: Path,
    failed: dict[Path, str],
    recorder: Recorder,
    observer: Observer,
) -> tuple[ScoredRun, dict[str, Path], dict[str, Any]]:
    """Write the results of the files that are still there; return the run, the files and the summary.

    Raises
    ------
    InputError
        If no file is left, or nothing can be written.
    """
    while True:
        gone = _drop_vanished(tasks, outcomes, failed, observer)
        if not outcomes:
            raise InputError(next(iter(failed.values())))
        run = _selected_run(outcomes, plan)
        figures = _figures(run) | {"failed": {str(path): why for path, why in failed.items()}}
        try:
            with appearing(folder) as unfinished:
                return run, _write(unfinished, run, plan, folder, figures, recorder, observer), figures
        except InputError:
            # Frames are read once more for pictures and selection: a file that has just vanished is left out.
            if len(outcomes) == 1 or not any(_why_gone(task) for task in tasks if task.path not in gone):
                raise


def _drop_vanished(
    tasks: list[FileTask], outcomes: list[Outcome], failed: dict[Path, str], observer: Observer
) -> set[Path]:
    """Leave out what was scored and can't be opened any more, if there is more; return what is gone."""
    by_path = {task.path: task for task in tasks}
    for outcome in list(outcomes) if len(outcomes) > 1 or failed else ():
        path = outcome.files[0].path
        why = _why_gone(by_path[path]) if path in by_path else ""
        if why:
            outcomes.remove(outcome)
            _fail(path, f"{why}; its {outcome.n_frames} scores are kept", failed, observer)
    return set(failed)


def _why_gone(task: FileTask) -> str:
    """Return why a series that was scored can't be opened any more; empty if it can."""
    try:
        task.series.open().close()
    except (InputError, OSError) as error:
        return str(error)
    return ""


def _fail(path: Path, why: str, failed: dict[Path, str], observer: Observer) -> None:
    failed[path] = why
    observer(Warned(path.name, f"is not in the results: {why.removeprefix(f'{path}: ')}"))


def _loaded(model: Scorer | None, name: str, device: str | None) -> Scorer:
    if model is not None:
        return model
    from friedel.spi.hits.model import load_model  # torch takes a second: wrong paths are told before

    return load_model(name, device=device)


def _survey(
    plan: ClassifyPlan, files: FrameFiles, folder: Path, failed: dict[Path, str], observer: Observer
) -> tuple[list[FileTask], int]:
    """Open every file once, so that whatever is wrong with one is said before any work is done.

    Of a folder or of several files, those that can't be read are named and left out.

    Raises
    ------
    InputError
        If the only file, or every file, can't be read, a mask doesn't fit, or there is no frame in any.
    """
    if files.mask is None and files.mask_dataset is not None:
        raise InputError(
            f"frames.mask_dataset names {files.mask_dataset!r}, but no file for it: name the mask's file with "
            "frames.mask (the frames' own, if it lies there)"
        )
    mask = None if files.mask is None else read_mask(files.mask, dataset=files.mask_dataset, marks=files.mask_marks)

    def broken(path: Path, error: InputError) -> None:
        _fail(path, str(error), failed, observer)

    tasks, n_frames = [], 0
    for series in find_series(list_files(files.paths), files.options, broken=broken):
        journal = folder / JOURNALS / journal_name(series.path, series.parts[0].dataset)
        task = FileTask(series=series, files=files, mask=mask, journal=journal, fresh=plan.fresh)
        if mask is not None:
            _require_mask_fits(task)
        n_frames += sum(part.n_frames for part in series.parts)
        tasks.append(task)
    if n_frames == 0:
        names = ", ".join(str(task.path) for task in tasks[:5])
        raise InputError(f"no frames in {names}: the arrays are empty; check that the run was recorded")
    return tasks, n_frames


def _require_mask_fits(task: FileTask) -> None:
    source = task.series.open()
    try:
        joined_mask(source, task)
    finally:
        source.close()


def _score_here(
    tasks: list[FileTask], n_frames: int, model: Scorer, failed: dict[Path, str], observer: Observer
) -> list[Outcome]:
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
        except (InputError, OSError) as error:
            if len(tasks) == 1:
                raise
            _fail(task.path, str(error), failed, observer)
            continue
        done += outcomes[-1].n_frames
        good += outcomes[-1].n_good
    return outcomes


def _selected_run(outcomes: list[Outcome], plan: ClassifyPlan) -> ScoredRun:
    files = tuple(file for outcome in outcomes for file in outcome.files)
    n_frames = sum(len(file.scores) for file in files)
    beam = read_beam(files[0].path) if plan.beam is None else Beam(**plan.beam.model_dump())
    whole = ScoredRun(files=files, selected=np.zeros(n_frames, bool), model=outcomes[0].model, beam=beam)
    return replace(whole, selected=select(whole.scores, plan.select))


def _figures(run: ScoredRun) -> dict[str, Any]:
    scores = run.scores
    diameter, asphericity, unround = (getattr(scores, name)[run.selected] for name in OF_SIZE)
    modes = size_modes(diameter)
    precision = precision_estimate(scores.single[run.selected], diameter, modes)
    counts = {status.name.lower(): int((scores.status == status).sum()) for status in FrameStatus}
    return {
        "frames": run.n_frames,
        "selected": int(run.selected.sum()),
        "hit_rate": float(run.selected.mean()),
        "precision": precision and precision.value,
        "precision_interval": precision and [precision.low, precision.high],
        "blank": int((scores.blank >= 0.5).sum()),
        "reject_band": int(scores.reject_band.sum()),
        "out_of_distribution": int((scores.out_of_distribution > 1).sum()),
        "skipped": run.n_frames - counts["scored"],
        "sizes": {
            "unit": scores.length_unit,
            "measured": int(np.isfinite(diameter).sum()),
            "modes": [asdict(mode) for mode in modes],
        },
        "droplets": int(are_droplets(diameter, asphericity, unround).sum()),
        "status": counts,
        "read": [dict(file.read) for file in run.files if file.read][:_MOST_READ],
        "model": run.model,
        "classified": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }


def _tell_growth(tasks: list[FileTask], outcomes: list[Outcome], observer: Observer) -> None:
    """Say which files have got more frames while they were being scored."""
    by_path = {task.path: task for task in tasks}
    for outcome in outcomes:
        task = by_path.get(outcome.files[0].path)
        if task is None:
            continue
        try:
            if time.time() - task.path.stat().st_mtime > _STILL_GROWING_S or len(task.series.parts) > 1:
                continue
            source = task.series.open()
        except (InputError, OSError):  # it is being written to, and can't be read at this moment, or has gone
            continue
        more = source.shape[0] - outcome.n_frames
        source.close()
        if more > 0:
            text = (
                f"has grown by {more} frames meanwhile; the same command scores them and leaves the others as they are"
            )
            observer(Warned(task.path.name, text))


def _tell_other_shapes(outcomes: list[Outcome], observer: Observer) -> None:
    """Say which files have frames of another shape than most: a dark or another detector's file in the same folder."""
    shapes = {file.path: file.shape[1:] for outcome in outcomes for file in outcome.files}
    (usual, _), *others = Counter(shapes.values()).most_common()
    for path, shape in shapes.items() if others else ():
        if shape != usual:
            text = f"its frames are {shape[0]} × {shape[1]}, those of most files {usual[0]} × {usual[1]}: are they"
            observer(Warned(path.name, text + " of this run?"))


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
