"""The folder of a classification and the files it leaves: scores, selected frames, plan and figures."""

import hashlib
import importlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from friedel.core.errors import InputError
from friedel.core.observer import Observer
from friedel.spi.classify.photons import write_photon_files
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.files import FrameFiles
from friedel.spi.scores.files import write_scores_csv, write_scores_hdf5
from friedel.spi.scores.frame_reader import read_chosen
from friedel.spi.scores.scored_run import ScoredRun
from friedel.spi.scores.selection_cxi import linkable, write_selection


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
        written |= write_photon_files(folder, run, files, adu_per_photon=plan.emc.adu_per_photon, observer=observer)
    return written


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
