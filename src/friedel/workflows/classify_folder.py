"""The folder a classification works in: one process at a time, and nothing left of those that were killed."""

import hashlib
import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from friedel.base.errors import InputError

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
