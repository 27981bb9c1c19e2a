"""HDF5 files whose room is all reserved before anything is in them, filled in any order, safe against a kill.

Filling changes bytes of data and nothing of HDF5's own structure, so a file can be opened at every moment. Which part
is filled is for the caller to write into it, after `ReservedFile.sync`. Nothing here knows what the data mean.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError


class ReservedFile:
    """A laid-out file, open for filling by this process alone.

    Parameters
    ----------
    path : Path
        The file.
    names : sequence of str
        Its datasets made by `reserve` that will be filled.

    Raises
    ------
    InputError
        If the file is damaged, or another process is filling it.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._offsets, self._types = _places(path, names)
        self._descriptor = _locked(path)

    def close(self) -> None:
        """Let go of the file; what was put is kept."""
        os.close(self._descriptor)

    def sync(self) -> None:
        """Wait until all that was put is on the disk."""
        os.fsync(self._descriptor)

    def put(self, name: str, first: int, values: NDArray[Any]) -> None:
        """Write entries along a dataset's first axis, from ``first`` on.

        Raises
        ------
        OSError
            If the bytes can't be written.
        """
        row = self._types[name]
        data = np.ascontiguousarray(values, dtype=row.base)
        _pwrite(self._descriptor, data.tobytes(), self._offsets[name] + first * row.itemsize)

    def flags(self, name: str, count: int) -> NDArray[np.uint8]:
        """Return the ``count`` entries of a dataset of bytes, ``(count,)``."""
        return np.frombuffer(os.pread(self._descriptor, count, self._offsets[name]), np.uint8).copy()


def reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    """Make a dataset whose room lies in one stretch of the file and is there from the start.

    Parameters
    ----------
    file : h5py.File
        Open for writing.
    name : str
        The dataset's path.
    shape : tuple of int
        Its shape.
    dtype : dtype
        Of its entries.
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return file.create_dataset(name, shape=shape, dtype=dtype, dcpl=properties)


def lay_out_file(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """Write the whole structure, reserve all room, and only then give the file its name.

    Raises
    ------
    OSError
        If it can't be written or the disk hasn't that much room; nothing is left behind.
    """
    draft = path.with_suffix(".draft")
    try:
        with h5py.File(draft, "w") as file:
            fill(file)
        descriptor = os.open(draft, os.O_RDWR)
        try:
            if hasattr(os, "posix_fallocate"):  # macOS lacks it: a full disk then shows at the first chunk
                os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class PartsFile:
    """A file that is made part by part.

    Attributes
    ----------
    what : str
        What it is and what its parts are, for messages: ("store", "crystals").
    names : tuple of str
        Datasets made by `reserve` that the parts fill.
    marks : str
        Dataset of a byte a part: 0 to do, anything else done.
    n_parts : int
        Parts in all.
    process : str
        Group whose attribute ``fingerprint`` tells what the file is of.
    fingerprint : str
        Equal for two files that must hold the same.
    """

    what: tuple[str, str]
    names: tuple[str, ...]
    marks: str
    n_parts: int
    process: str
    fingerprint: str


class PartsWriter:
    """An unfinished file of parts, open; leaving its block closes it and keeps what is done.

    Parameters
    ----------
    path : Path
        Name of the finished file; the unfinished one lies hidden beside it.
    parts : PartsFile
        What is written.
    fill : callable
        Lays out a new file: ``fill(file)`` makes every dataset.
    fresh : bool
        Forget an unfinished file.

    Raises
    ------
    InputError
        If the folder is missing, the disk has no room, the unfinished file there is another one, or is being written.
    """

    def __init__(self, path: Path, parts: PartsFile, fill: Callable[[h5py.File], None], *, fresh: bool = False) -> None:
        self.target, self._parts = checked_folder(path), parts
        self._unfinished = unfinished_path(self.target)
        if fresh:
            self._unfinished.unlink(missing_ok=True)
        if not self._unfinished.exists():
            try:
                lay_out_file(self._unfinished, fill)
            except OSError as error:
                raise cant_write(self.target, error, "nothing was left behind") from error
        elif fingerprint_of(self._unfinished, parts.process) != parts.fingerprint:
            raise InputError(
                f"{self._unfinished}: an unfinished {parts.what[0]} of another plan, seed or version lies here; "
                "finish that one, start afresh (--fresh), or choose another name"
            )
        self._file = ReservedFile(self._unfinished, [*parts.names, parts.marks])
        self.status = self._file.flags(parts.marks, parts.n_parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def pending(self) -> list[int]:
        """Numbers of the parts that are still to be made."""
        return np.flatnonzero(self.status == 0).tolist()

    def put_part(self, number: int, values: Mapping[str, tuple[int, NDArray[Any]]], *, mark: int = 1) -> None:
        """Write a part's bytes, wait until they are on the disk, and mark it.

        Parameters
        ----------
        number : int
            The part's number.
        values : mapping of str to (int, array)
            By dataset: the first entry along its first axis, and the entries.
        mark : int
            What marks it, 1 to 255.

        Raises
        ------
        InputError
            If the bytes can't be written; the part then stays to be done.
        """
        try:
            for name, (first, entries) in values.items():
                self._file.put(name, first, entries)
            self._file.sync()
            self._file.put(self._parts.marks, number, np.array([mark], np.uint8))
        except OSError as error:
            kept = f"{self._parts.what[1]} done so far are kept; run it again to go on"
            raise cant_write(self.target, error, kept) from error
        self.status[number] = mark

    def finish(self) -> Path:
        """Give the complete file its name and return it."""
        self._file.sync()
        os.replace(self._unfinished, self.target)
        return self.target


def fingerprint_of(path: Path, process: str) -> str | None:
    """Return the fingerprint that a file keeps in the group ``process``, or None if the file isn't one of that kind."""
    try:
        with h5py.File(path, "r") as file:
            return str(file[process].attrs["fingerprint"])
    except (OSError, KeyError):
        return None


def unfinished_path(target: Path) -> Path:
    """Return where a file lies before it is complete: hidden, beside its place."""
    return target.with_name(f".{target.stem}-unfinished{target.suffix}")


def checked_folder(path: Path) -> Path:
    """Return the path, resolved.

    Raises
    ------
    InputError
        If its folder doesn't exist.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise InputError(f"{path}: the folder {target.parent} doesn't exist; create it or choose another one")
    return target


def cant_write(path: Path, error: OSError, kept: str) -> InputError:
    """Return the error for a file that can't be written; ``kept`` says what is left of the work."""
    reason = error.strerror or str(error)
    return InputError(f"{path}: can't be written ({reason}); {kept}. Check free space and permissions")


def _places(path: Path, names: Sequence[str]) -> tuple[dict[str, int], dict[str, np.dtype[Any]]]:
    """Return where each dataset's bytes begin, and the type of one entry along its first axis."""
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
