"""Frames in NumPy files: ``.npy``, read stretch by stretch, and ``.npz``, unpacked stretch by stretch."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable
from friedel.spi.frames.source import plain_numbers


class NpyFrames:
    """A `friedel.spi.frames.source.FrameSource` over one array in NumPy's format.

    Parameters
    ----------
    path : Path
        The file, for messages.
    stream : binary file
        Positioned at the array's header; closed by `close`.
    n_bytes : int
        Length of the stream; a shorter array than its header promises is read as far as it goes.
    archive : ZipFile, optional
        The archive the stream comes from.
    """

    mask: NDArray[np.bool_] | None = None
    block = 1
    linkable = False

    def __init__(
        self, path: Path, stream: Any, n_bytes: int, *, dataset: str = "", archive: zipfile.ZipFile | None = None
    ) -> None:
        self.path, self.dataset = path, dataset
        self._stream, self._archive = stream, archive
        promised, stored = _header(path, stream)
        self._offset, self._stored = stream.tell(), stored
        self.dtype: np.dtype[Any] = stored.newbyteorder("=")
        self._frame_bytes = promised[1] * promised[2] * stored.itemsize
        n_there = min(promised[0], max(n_bytes - self._offset, 0) // self._frame_bytes)
        self.shape = (n_there, promised[1], promised[2])
        note = f"the file was cut off: {n_there} of {promised[0]} frames are there"
        self.notes: tuple[str, ...] = () if n_there == promised[0] else (note,)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``.

        Raises
        ------
        OSError
            If the bytes aren't there any more.
        zlib.error or BadZipFile
            If they can't be unpacked.
        """
        self._stream.seek(self._offset + start * self._frame_bytes)
        values = np.empty((stop - start, *self.shape[1:]), self._stored)
        there = self._stream.readinto(values.data.cast("B")) if values.size else 0
        if there != values.nbytes:
            raise OSError(f"{self.path}: ends within the frames {start} to {stop}")
        return values if self._stored.isnative else values.astype(self.dtype)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        if self._archive is not None:
            self._archive.close()


def open_npy_frames(path: Path, *, dataset: str | None = None) -> NpyFrames:
    """Open the frames of a ``.npy`` file, or of the only 3D array of an ``.npz`` file (or the one named).

    Raises
    ------
    InputError
        If the file is empty, damaged, or holds no or several 3D arrays of numbers.
    """
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); nothing was written to it yet, or the copy failed")
    with readable(path):
        if path.suffix.lower() == ".npz":
            return _from_archive(path, dataset)
        stream = path.open("rb")
        try:
            return NpyFrames(path, stream, n_bytes)
        except BaseException:
            stream.close()
            raise


def _from_archive(path: Path, dataset: str | None) -> NpyFrames:
    archive = zipfile.ZipFile(path)
    try:
        name = _member(path, archive, dataset)
        stream = archive.open(f"{name}.npy")
        return NpyFrames(path, stream, archive.getinfo(f"{name}.npy").file_size, dataset=name, archive=archive)
    except BaseException:
        archive.close()
        raise


def _member(path: Path, archive: zipfile.ZipFile, dataset: str | None) -> str:
    shapes = {name.removesuffix(".npy"): _shape(archive, name) for name in archive.namelist() if name.endswith(".npy")}
    frames = [name for name, shape in shapes.items() if len(shape) == 3]
    if dataset is not None and dataset in shapes:
        return dataset
    if dataset is None and len(frames) == 1:
        return frames[0]
    listing = "; ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
    if dataset is not None:
        raise InputError(f"{path}: no array {dataset!r}; it holds {listing}")
    what = "several 3D arrays; choose one with --dataset" if frames else "no 3D array of frames (n, y, x)"
    raise InputError(f"{path}: holds {what}: {listing}")


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as stream:
        return _array_header(stream)[0]


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    return tuple(shape), bool(by_columns), np.dtype(dtype)


def _header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    shape, by_columns, dtype = _array_header(stream)
    if len(shape) != 3 or not plain_numbers(dtype) or 0 in shape[1:]:
        raise InputError(f"{path}: the array is {dtype} of shape {shape}; frames (n, y, x) of numbers were expected")
    if by_columns:
        raise InputError(f"{path}: the array is in Fortran order, frame after frame can't be read; save it in C order")
    return (shape[0], shape[1], shape[2]), dtype
