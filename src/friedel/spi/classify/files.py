"""The files a classification leaves: scores, selected frames, plan and figures. The report is `classify_report`."""

import hashlib
import importlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.machine.threads import in_threads
from friedel.core.observer import Observer, Warned
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.emc import SparseFrame, sparse, to_photons, write_emc
from friedel.spi.frames.files import FrameFiles
from friedel.spi.scores.files import write_scores_csv, write_scores_hdf5
from friedel.spi.scores.frame_reader import read_chosen
from friedel.spi.scores.scored_run import ScoredRun
from friedel.spi.scores.selection_cxi import linkable, write_selection

_SAMPLE = 64
_WHOLE = 1e-3


def write_files(
    folder: Path, run: ScoredRun, plan: ClassifyPlan, *, target: Path, figures: Mapping[str, Any], observer: Observer
) -> dict[str, Path]:
    """Write every file but the report into an existing folder; return them by what they are for.

    Parameters
    ----------
    folder : Path
        Where they are written.
    run : ScoredRun
        What was found.
    plan : ClassifyPlan
        What was asked for.
    target : Path
        Folder in which they will lie in the end.
    figures : mapping
        The summary, kept as JSON.
    observer : Observer
        Hears which file can't be written from such frames, and why.

    Raises
    ------
    OSError
        If a file can't be written.
    """
    text = plan.text()
    written = {
        "scores": folder / "scores.h5",
        "table": folder / "scores.csv",
        "summary": folder / "summary.json",
        "plan": folder / "plan.yaml",
    }
    write_scores_hdf5(written["scores"], run, about={"plan": text})
    write_scores_csv(written["table"], run)
    written["summary"].write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    written["plan"].write_text(text, encoding="utf-8")
    if plan.frames is not None and run.selected.any():
        written |= _write_frames(folder, run, plan, plan.frames, target, observer)
    return written


def _write_frames(
    folder: Path, run: ScoredRun, plan: ClassifyPlan, files: FrameFiles, target: Path, observer: Observer
) -> dict[str, Path]:
    written = {}
    if plan.selection != "none":
        copied = plan.selection == "copy" or not linkable(run)
        written["selection"] = folder / "selection.cxi"
        copy = (lambda picked: (frames for _, _, frames in read_chosen(run, files, picked))) if copied else None
        write_selection(written["selection"], run, beside=target, copy=copy)
    if plan.emc.write:
        written |= _write_emc_files(folder, run, plan.emc.adu_per_photon, files, observer)
    return written


def _write_emc_files(
    folder: Path, run: ScoredRun, adu_per_photon: float | None, files: FrameFiles, observer: Observer
) -> dict[str, Path]:
    """Write one ``.emc`` file for each number of pixels, because the format knows but one."""
    shapes: dict[tuple[int, int], list[tuple[int, NDArray[np.intp]]]] = {}
    for index, frames in run.chosen(run.selected):
        shapes.setdefault(run.files[index].shape[1:], []).append((index, frames))
    written = {}
    for number, (shape, picked) in enumerate(shapes.items(), start=1):
        if adu_per_photon is None and not _holds_photons(run, files, picked):
            text = "not written: the frames are not whole photons; say how many detector units a photon makes, with "
            observer(Warned("selection.emc", text + "--set emc.adu_per_photon=…"))
            continue
        name = "photons" if number == 1 else f"photons {number}"
        written[name] = folder / ("selection.emc" if number == 1 else f"selection_{number}.emc")
        n_frames = sum(len(frames) for _, frames in picked)
        photons = _photons(run, files, picked, adu_per_photon or 1.0)
        write_emc(written[name], photons, n_frames=n_frames, n_pixels=shape[0] * shape[1])
    return written


def _photons(
    run: ScoredRun, files: FrameFiles, picked: list[tuple[int, NDArray[np.intp]]], adu_per_photon: float
) -> Iterator[SparseFrame]:
    def photons(block: tuple[int, NDArray[np.intp], NDArray[Any]]) -> list[SparseFrame]:
        index, _, frames = block
        mask = run.files[index].mask
        hiding = None if mask is None or mask.all() else mask
        return [sparse(to_photons(frame, hiding, adu_per_photon=adu_per_photon)) for frame in frames]

    for block in in_threads(photons, read_chosen(run, files, picked)):
        yield from block


def _holds_photons(run: ScoredRun, files: FrameFiles, picked: list[tuple[int, NDArray[np.intp]]]) -> bool:
    """Say whether the frames are counts already: integers, or floats of which a sample is whole and not negative."""
    if all(np.dtype(run.files[index].dtype).kind in "iu" for index, _ in picked):
        return True
    index, frames = picked[0]
    _, _, sample = next(read_chosen(run, files, [(index, frames[:_SAMPLE])]))
    measured = sample[np.isfinite(sample)]
    return bool((np.abs(measured - np.rint(measured)) < _WHOLE).all() and (measured > -_WHOLE).all())


JOURNALS = "journal"


@contextmanager
def journal_folder(folder: Path) -> Iterator[Path]:
    """Yield ``folder/journal``, made if need be, for this process alone.

    Leftovers of a killed process are removed. If the block fails before anything was kept, so are the folders made.

    Raises
    ------
    InputError
        If ``folder`` is a file, can't be written, or another process is classifying into it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: this is a file; name a folder for the results")
    journals, new = folder / JOURNALS, not folder.exists()
    try:
        journals.mkdir(parents=True, exist_ok=True)
        lock = (journals / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: can't write there ({error.strerror or error}); choose another folder") from error
    with lock:
        _lock(lock, folder)
        for leftover in folder.resolve().parent.glob(f".{folder.name}-unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            yield journals
        finally:
            if not any(journals.glob("*.scores")):
                shutil.rmtree(folder if new else journals, ignore_errors=True)


def _lock(file: IO[str], folder: Path) -> None:
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:  # Windows has none; there the user keeps two runs apart
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{folder}: another process is classifying into it; wait, or name another") from None


def journal_name(path: Path, dataset: str | None) -> str:
    """Return a file name for the scores of one source: readable, and different for different sources."""
    digest = hashlib.sha256(f"{path.resolve()}\n{dataset or ''}".encode()).hexdigest()
    return f"{path.stem}-{digest[:10]}.scores"
