"""Sort the selected frames of a classification into classes, show their averages, and keep or drop whole classes."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.errors import InputError
from friedel.core.files.atomic import appearing
from friedel.core.observer import Note, Observer, Progress, silent
from friedel.core.report import render_page
from friedel.spi.classify.gallery import picture_uri
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.classify.score import sample_frames
from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.source import open_source
from friedel.spi.hits.classes import SECTORS, Classes, find_classes
from friedel.spi.hits.features.polar import Polar, polar_sums
from friedel.spi.hits.preparation.prepare import checked_mask, prepare
from friedel.spi.hits.preparation.run_calibration import measure_run
from friedel.spi.scores.files import read_scored_run
from friedel.spi.scores.frame_reader import read_chosen
from friedel.spi.scores.scored_run import ScoredRun
from friedel.spi.scores.selection_cxi import linkable, write_selection

_MOST_FRAMES = 20_000  # of 64 × 64 polar cells in float32: 330 MB


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassesResult:
    """What sorting into classes leaves.

    Attributes
    ----------
    classes : Classes
        Averages and members, of the selected frames in order.
    numbers : (n,) int64
        The frames' numbers over the whole run.
    files : mapping of str to Path
        What was written, by what it is for.
    kept : int
        Frames in the classes kept.
    """

    classes: Classes
    numbers: NDArray[np.int64]
    files: dict[str, Path]
    kept: int


def run_classes(
    folder: Path,
    output: Path,
    *,
    classes: int = 12,
    keep: Sequence[int] = (),
    drop: Sequence[int] = (),
    seed: int = 0,
    observer: Observer = silent,
) -> ClassesResult:
    """Sort the frames that a classification selected.

    Parameters
    ----------
    folder : Path
        Left by `friedel classify`; the source files must lie where they were.
    output : Path
        Folder for report, table, averages and the frames kept.
    classes : int
        How many at most.
    keep, drop : sequence of int
        Classes to keep, by their numbers in the report (from 1); none given: all but those to drop.
    seed : int
        The same seed finds the same classes, so that numbers read off a report hold.
    observer : Observer
        Hears progress.

    Raises
    ------
    InputError
        If the folder holds no classification, too few frames were selected, or a class doesn't exist.
    """
    plan = ClassifyPlan.load(folder / "plan.yaml")
    if plan.frames is None:
        raise InputError(f"{folder}: its plan names no frames; classify the run again")
    run = read_scored_run(folder / "scores.h5", plan.frames)
    numbers = np.flatnonzero(run.selected)
    if len(numbers) > _MOST_FRAMES:
        raise InputError(f"{len(numbers)} frames are selected, more than {_MOST_FRAMES}; select fewer first")
    observer(Progress("reading hits", 0, len(numbers)))
    found = find_classes(_polar(run, plan.frames, observer), classes=classes, seed=seed)
    kept = _kept(len(found.averages), keep, drop)
    chosen = np.zeros(run.n_frames, bool)
    chosen[numbers[np.isin(found.member, kept)]] = True
    observer(Note("classes", f"{len(found.averages)} classes of {len(numbers)} frames; {int(chosen.sum())} kept"))
    with appearing(output) as unfinished:
        written = _write(unfinished, found, replace(run, selected=chosen), numbers, plan.frames, kept, target=output)
    files = {name: output / path.name for name, path in written.items()}
    return ClassesResult(classes=found, numbers=numbers, files=files, kept=int(chosen.sum()))


def _kept(n_classes: int, keep: Sequence[int], drop: Sequence[int]) -> list[int]:
    wrong = [number for number in (*keep, *drop) if not 1 <= number <= n_classes]
    if wrong:
        raise InputError(f"there is no class {wrong[0]}: they are numbered from 1 to {n_classes}")
    return [k - 1 for k in (keep or range(1, n_classes + 1)) if k not in drop]


def _polar(run: ScoredRun, files: FrameFiles, observer: Observer) -> Polar:
    """Return the selected frames in polar cells, each file by its own constants."""
    parts: list[Polar] = []
    for index, frames in run.chosen(run.selected):
        file = run.files[index]
        with closing(open_source(file.path, replace(files.options, dataset=file.dataset or files.dataset))) as source:
            sample = sample_frames(source, source.shape[0])
        mask = checked_mask(sample, file.mask)
        constants = measure_run(sample, mask)
        for _, _, block in read_chosen(run, files, [(index, frames)]):
            parts.append(polar_sums(prepare(block, mask, constants), sectors=SECTORS))
            observer(Progress("reading hits", sum(map(len, parts)), int(run.selected.sum())))
    if not parts:
        raise InputError("no frame is selected, so there is nothing to sort; classify with a wider selection")
    return Polar.joined(parts)


def _write(
    folder: Path,
    found: Classes,
    run: ScoredRun,
    numbers: NDArray[np.int64],
    files: FrameFiles,
    kept: Sequence[int],
    *,
    target: Path,
) -> dict[str, Path]:
    written = {name: folder / file for name, file in _FILES.items()}
    written["table"].write_text(_table(found, run, numbers), encoding="utf-8")
    with h5py.File(written["averages"], "w") as file:
        file["averages"], file["counts"] = found.averages, found.counts
        file["averages"].attrs["long_name"] = "mean patterns (class, y, x), photons a pixel; class 1 is the first"
    written["report"].write_text(_page(found, run, numbers, kept), encoding="utf-8")
    if run.selected.any():
        written["selection"] = folder / "selection.cxi"
        copy = None if linkable(run) else lambda picked: (block for _, _, block in read_chosen(run, files, picked))
        write_selection(written["selection"], run, beside=target, copy=copy)
    return written


_FILES = {"report": "report.html", "table": "classes.csv", "averages": "classes.h5"}


def _table(found: Classes, run: ScoredRun, numbers: NDArray[np.int64]) -> str:
    files = np.searchsorted(run.starts, numbers, side="right") - 1
    rows = [
        f"{run.files[file].path},{number - run.starts[file]},{member + 1},{probability:.4f},{turn:.1f},"
        f"{run.selected[number]:d}"
        for file, number, member, probability, turn in zip(
            files, numbers, found.member, found.probability, found.turn_deg, strict=True
        )
    ]
    return "\n".join(["file,frame,class,probability,turn_deg,kept", *rows]) + "\n"


def _page(found: Classes, run: ScoredRun, numbers: NDArray[np.int64], kept: Sequence[int]) -> str:
    scores = run.scores
    tiles: list[dict[str, Any]] = []
    for k, average in enumerate(found.averages):
        members = numbers[found.member == k]
        sizes = scores.diameter[members]
        known = sizes[np.isfinite(sizes)]
        tiles.append(
            {
                "number": k + 1,
                "uri": picture_uri(average, None, pixels=128),
                "count": len(members),
                "single": f"{scores.single[members].mean():.0%}",
                "size": f"{np.median(known):.3g} {scores.length_unit}" if known.size else "",
                "kept": k in kept,
            }
        )
    values = {"name": run.files[0].path.name, "tiles": tiles, "version": __version__, "frames": len(numbers)}
    values["kept"] = int(run.selected.sum())
    return render_page("friedel.spi.classify", "classes.html.j2", values)
