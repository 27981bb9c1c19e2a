"""Frames in NumPy files: ``.npy``, read stretch by stretch, and ``.npz``, unpacked stretch by stretch."""

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable
from friedel.core.files.masks import is_mask_name
from friedel.spi.frames.assembly import odd_shape, read_assembly, require_whole
from friedel.spi.frames.hdf5_layout import good_from, no_frames, require_sense, sense_of
from friedel.spi.frames.source import Beside, FrameOptions, OwnMask, plain_numbers

_PLAIN = FrameOptions()
_SMALLEST_IMAGE = 32  # pixels a side, as for HDF5: smaller arrays are no frames
_WANTED = "frames (n, y, x) of numbers were expected"


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

    block = 1
    linkable = False

    def __init__(
        self,
        path: Path,
        stream: Any,
        n_bytes: int,
        *,
        dataset: str = "",
        archive: zipfile.ZipFile | None = None,
        options: FrameOptions = _PLAIN,
    ) -> None:
        self.path, self.dataset = path, dataset
        self._stream, self._archive = stream, archive
        promised, stored = _header(path, stream)
        self._offset, self._stored, self._recorded = stream.tell(), stored, promised[1:]
        self._assembly = None if options.geometry is None else read_assembly(options.geometry, self._recorded)
        if self._assembly is None and len(self._recorded) != 2:
            raise InputError(f"{path}: the array is {stored} of shape {promised}; {_WANTED}")
        if self._assembly is None:
            require_whole(self._recorded, str(path) + (f": {dataset}" if dataset else ""))
        self.centre = None if self._assembly is None else self._assembly.centre
        self.dtype: np.dtype[Any] = stored.newbyteorder("=")
        self._frame_bytes = int(np.prod(self._recorded)) * stored.itemsize
        n_there = min(promised[0], max(n_bytes - self._offset, 0) // self._frame_bytes)
        rows, columns = self._recorded if self._assembly is None else self._assembly.shape
        self.shape, self.expected = (n_there, rows, columns), promised[0]
        note = f"the file was cut off: {n_there} of {promised[0]} frames are there"
        self.notes: tuple[str, ...] = () if n_there == promised[0] else (note,)
        self.notes += odd_shape(self._recorded) if self._assembly is None else ()
        self._each: NDArray[np.bool_] | None = None
        self.mask, self.beside = self._own_mask(options.own_mask)
        if self._each is not None:
            self.dtype = np.dtype(np.float32)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def _own_mask(self, meaning: OwnMask | None) -> tuple[NDArray[np.bool_] | None, Beside]:
        """Return the mask that stands beside the frames in an archive, joined with the modules' outline."""
        outline = None if self._assembly is None else self._assembly.measured
        names = [] if self._archive is None or meaning == "none" else [n[:-4] for n in self._archive.namelist()]
        for name in (name for name in names if is_mask_name(name)):
            values = _small_array(self._archive, name)
            if values is None or values.shape not in (self._recorded, (self.expected, *self._recorded)):
                continue
            good = good_from(values, name, meaning)
            if meaning is None:
                require_sense(good, name, self.path, "frames.own_mask")
            if good.ndim > len(self._recorded):
                self._each = good
                return outline, Beside(mask=f"{name} (of each frame)", sense=sense_of([name], meaning))
            good = good if self._assembly is None else self._assembly.put_together(good[None])[0]
            return (good if outline is None else good & outline), Beside(mask=name, sense=sense_of([name], meaning))
        return outline, Beside()

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
        values = np.empty((stop - start, *self._recorded), self._stored)
        there = self._stream.readinto(values.data.cast("B")) if values.size else 0
        if there != values.nbytes:
            raise OSError(f"{self.path}: ends within the frames {start} to {stop}")
        values = values if self._stored.isnative else values.astype(self._stored.newbyteorder("="))
        if self._each is not None:
            values = np.where(self._each[start:stop], values, np.nan).astype(np.float32)
        return values if self._assembly is None else self._assembly.put_together(values)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        if self._archive is not None:
            self._archive.close()


def open_npy_frames(path: Path, options: FrameOptions) -> NpyFrames:
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
            return _from_archive(path, options)
        stream = path.open("rb")
        try:
            return NpyFrames(path, stream, n_bytes, options=options)
        except BaseException:
            stream.close()
            raise


def _from_archive(path: Path, options: FrameOptions) -> NpyFrames:
    archive = zipfile.ZipFile(path)
    try:
        name = _member(path, archive, options)
        stream = archive.open(f"{name}.npy")
        n_bytes, sound = archive.getinfo(f"{name}.npy").file_size, _is_sound(archive, f"{name}.npy")
        frames = NpyFrames(path, stream, n_bytes, dataset=name, archive=archive, options=options)
        if not sound:
            frames.notes = (*frames.notes, "the archive's checksum doesn't fit: some of its frames are damaged")
        return frames
    except BaseException:
        archive.close()
        raise


def _is_sound(archive: zipfile.ZipFile, name: str) -> bool:
    """Say whether a member's checksum fits; frames are read from its middle, where nothing would notice."""
    try:
        with archive.open(name) as stream:
            while stream.read(1 << 22):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        return False
    return True


def _member(path: Path, archive: zipfile.ZipFile, options: FrameOptions) -> str:
    shapes = {name.removesuffix(".npy"): _shape(archive, name) for name in archive.namelist() if name.endswith(".npy")}
    wanted = (3,) if options.geometry is None else (3, 4)
    frames = [name for name, shape in shapes.items() if len(shape) in wanted and not no_frames(name)]
    if options.dataset is not None and options.dataset in shapes:
        return options.dataset
    if options.dataset is None and len(frames) == 1:
        return frames[0]
    listing = "; ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
    if options.dataset is not None:
        raise InputError(f"{path}: no array {options.dataset!r}; it holds {listing}")
    what = "several 3D arrays; choose one with --dataset" if frames else "no 3D array of frames (n, y, x)"
    raise InputError(f"{path}: holds {what}: {listing}")


def _small_array(archive: Any, name: str) -> NDArray[Any] | None:
    with archive.open(f"{name}.npy") as stream:
        values = npy.read_array(stream, allow_pickle=False)
    return values if values.dtype.kind in "buif" else None


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as stream:
        return _array_header(stream)[0]


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    return tuple(shape), bool(by_columns), np.dtype(dtype)


def _header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape, by_columns, dtype = _array_header(stream)
    image = len(shape) == 2 and min(shape) >= _SMALLEST_IMAGE
    if not (image or len(shape) in (3, 4)) or not plain_numbers(dtype) or 0 in shape[1:]:
        raise InputError(f"{path}: the array is {dtype} of shape {shape}; {_WANTED}")
    if by_columns:
        raise InputError(f"{path}: the array is in Fortran order, frame after frame can't be read; save it in C order")
    return ((1, *shape) if image else shape), dtype
