"""One writer for a simulated run: chunk by chunk, in any order, safe against a kill at any moment.

A chunk is marked as done only after its bytes are on the disk, and the run takes its final name when all are there.
Until then the file lies hidden beside it, sound at every moment, and the same plan goes on where it stopped.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.reserved import ReservedFile, cant_write, checked_folder, unfinished_path
from friedel.spi.simulation.layout import DATA, DONE, SAMPLE, TRUTH, RunDescription, lay_out


class RunWriter:
    """An open, unfinished run; use `open_run`. Leaving its block closes it and keeps what is done."""

    def __init__(self, target: Path, unfinished: Path, run: RunDescription) -> None:
        self.target, self.run = target, run
        self._unfinished = unfinished
        self._file = ReservedFile(unfinished, [DATA, DONE, *(f"{SAMPLE}/{name}" for name in TRUTH)])
        self._done = self._file.flags(DONE, run.n_chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def pending(self) -> list[int]:
        """Numbers of the chunks that are still to be made."""
        return np.flatnonzero(self._done == 0).tolist()

    def write(self, chunk: int, frames: NDArray[Any], truth: Mapping[str, NDArray[Any]]) -> None:
        """Write a chunk and mark it as done.

        Parameters
        ----------
        chunk : int
            Its number.
        frames : (n, y, x) array
            Its frames; surplus ones of the run's last chunk are dropped.
        truth : mapping of str to array
            An array, an entry a frame, for each name in `TRUTH`.

        Raises
        ------
        InputError
            If the bytes can't be written; the chunk then stays to be done.
        """
        first, last = self.run.span(chunk)
        try:
            self._file.put(DATA, first, frames[: last - first])
            for name in TRUTH:
                self._file.put(f"{SAMPLE}/{name}", first, truth[name][: last - first])
            self._file.sync()
            self._file.put(DONE, chunk, np.ones(1, np.uint8))
        except OSError as error:
            raise cant_write(self.target, error, "chunks done so far are kept; run it again to go on") from error
        self._done[chunk] = 1

    def finish(self) -> Path:
        """Give the complete run its name and return it."""
        self._file.sync()
        os.replace(self._unfinished, self.target)
        return self.target


def open_run(path: Path, run: RunDescription, *, fresh: bool = False) -> RunWriter:
    """Open a run's unfinished file, or lay out a new one.

    Parameters
    ----------
    path : Path
        Name of the finished file; the unfinished one lies hidden beside it.
    run : RunDescription
        What is written.
    fresh : bool
        Forget an unfinished run.

    Raises
    ------
    InputError
        If the folder is missing, the disk has no room, the unfinished run there is another one, or is being written.
    """
    target = checked_folder(path)
    unfinished = unfinished_path(target)
    if fresh:
        unfinished.unlink(missing_ok=True)
    if unfinished.exists():
        _check_same(unfinished, run)
    else:
        try:
            lay_out(unfinished, run)
        except OSError as error:
            raise cant_write(target, error, "nothing was left behind") from error
    return RunWriter(target, unfinished, run)


def fingerprint_of(path: Path) -> str | None:
    """Return the fingerprint of a run's file, or None if it isn't one."""
    try:
        with h5py.File(path, "r") as file:
            return str(file["entry_1/process_1"].attrs["fingerprint"])
    except (OSError, KeyError):
        return None


def _check_same(unfinished: Path, run: RunDescription) -> None:
    if fingerprint_of(unfinished) != run.fingerprint:
        raise InputError(
            f"{unfinished}: an unfinished run of another plan, seed or version lies here; "
            "finish that one, start afresh (--fresh), or choose another name"
        )
