"""One writer for a simulated run: chunk by chunk, in any order, safe against a kill at any moment.

A chunk is marked as done only after its bytes are on the disk, and the run takes its final name when all are there.
Until then the file lies hidden beside it, sound at every moment, and the same plan goes on where it stopped.
"""

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.io.run_layout import DATA, DONE, SAMPLE, TRUTH, RunDescription, lay_out


class RunWriter:
    """An open, unfinished run; use `open_run`. Leaving its block closes it and keeps what is done."""

    def __init__(self, target: Path, unfinished: Path, run: RunDescription) -> None:
        self.target, self.run = target, run
        self._offsets, self._types = _places(unfinished)
        self._unfinished, self._descriptor = unfinished, _locked(unfinished)
        done = os.pread(self._descriptor, run.n_chunks, self._offsets[DONE])
        self._done = np.frombuffer(done, np.uint8).copy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

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
            self._put(DATA, first, frames[: last - first])
            for name in TRUTH:
                self._put(f"{SAMPLE}/{name}", first, truth[name][: last - first])
            os.fsync(self._descriptor)
            _pwrite(self._descriptor, b"\x01", self._offsets[DONE] + chunk)
        except OSError as error:
            raise _cant_write(self.target, error, "chunks done so far are kept; run it again to go on") from error
        self._done[chunk] = 1

    def _put(self, name: str, first: int, values: NDArray[Any]) -> None:
        row = self._types[name]
        data = np.ascontiguousarray(values, dtype=row.base)
        _pwrite(self._descriptor, data.tobytes(), self._offsets[name] + first * row.itemsize)

    def finish(self) -> Path:
        """Give the complete run its name and return it."""
        os.fsync(self._descriptor)
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
    target = path.resolve()
    if not target.parent.is_dir():
        raise InputError(f"{path}: the folder {target.parent} doesn't exist; create it or choose another one")
    unfinished = unfinished_path(target)
    if fresh:
        unfinished.unlink(missing_ok=True)
    if unfinished.exists():
        _check_same(unfinished, run)
    else:
        try:
            lay_out(unfinished, run)
        except OSError as error:
            raise _cant_write(target, error, "nothing was left behind") from error
    return RunWriter(target, unfinished, run)


def unfinished_path(target: Path) -> Path:
    """Return where a run lies before it is complete."""
    return target.with_name(f".{target.stem}-unfinished{target.suffix}")


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


def _places(path: Path) -> tuple[dict[str, int], dict[str, np.dtype[Any]]]:
    """Return where each dataset's bytes begin, and the type of one entry along its first axis."""
    names = [DATA, DONE, *(f"{SAMPLE}/{name}" for name in TRUTH)]
    try:
        with h5py.File(path, "r") as file:
            offsets = {name: int(file[name].id.get_offset()) for name in names}
            types = {name: np.dtype((file[name].dtype, file[name].shape[1:])) for name in names}
    except (OSError, KeyError, TypeError) as error:
        raise InputError(f"{path}: the unfinished run is damaged ({error}); start afresh (--fresh)") from None
    return offsets, types


def _locked(path: Path) -> int:
    """Open the file for this process alone; the lock goes with the process, however it ends."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        # A record lock: HDF5 locks whole files in another way, which would keep it from reading this one.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(f"{path}: another process is writing this run; wait for it, or choose another name") from None
    return descriptor


def _pwrite(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view, offset = view[written:], offset + written


def _cant_write(path: Path, error: OSError, kept: str) -> InputError:
    reason = error.strerror or str(error)
    return InputError(f"{path}: can't be written ({reason}); {kept}. Check free space and permissions")
