"""Where single-particle frames come from: one small interface, whatever the file. Reads; judges nothing.

Each kind of file has its own module (`frames_hdf5`, `frames_npy`, `frames_xfel`), imported when such a file is met.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import DAMAGED

HDF5_SUFFIXES = (".h5", ".hdf5", ".nxs", ".cxi")
NUMPY_SUFFIXES = (".npy", ".npz")
SUFFIXES = (*HDF5_SUFFIXES, *NUMPY_SUFFIXES)
BATCH_BYTES = 32 << 20
BATCH_FRAMES = 112


class FrameSource(Protocol):
    """The open frames of one file or facility run, read stretch by stretch.

    Attributes
    ----------
    path : Path
        The file or the run's folder.
    dataset : str
        Where in it the frames are; empty where there is no choice.
    shape : (int, int, int)
        ``(n, y, x)`` of the frames that are there now.
    dtype : dtype
        Of the frames that `read` returns.
    mask : (y, x) bool or None
        The file's own mask, True where the detector measures.
    block : int
        Frames stored together: reading whole blocks is quickest.
    linkable : bool
        HDF5 can refer to the frames where they are, just as `read` returns them.
    notes : tuple of str
        What is odd about the file, one sentence each.
    """

    path: Path
    dataset: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    mask: NDArray[np.bool_] | None
    block: int
    linkable: bool
    notes: tuple[str, ...]

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``, ``(stop - start, y, x)``; raises what the format's parser raises."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Consecutive frames of one source.

    Attributes
    ----------
    first : int
        Number of the first frame within its source.
    frames : (n, y, x)
        As stored; zeros where a frame couldn't be read.
    unreadable : (n,) bool
        Frames whose bytes are damaged or missing.
    """

    first: int
    frames: NDArray[Any]
    unreadable: NDArray[np.bool_]


@contextmanager
def open_frames(path: Path, *, dataset: str | None = None, geometry: Path | None = None) -> Iterator[FrameSource]:
    """Open a file of frames, or a folder that is a European XFEL run, for as long as the block runs.

    Parameters
    ----------
    path : Path
        ``.cxi .h5 .hdf5 .nxs .npy .npz``, or the folder of a run.
    dataset : str, optional
        Path of the frames inside HDF5, name of the array in ``.npz``, "source key" in a run; None: the only candidate.
    geometry : Path, optional
        CrystFEL geometry file, for a run's detector of many modules.

    Raises
    ------
    InputError
        If there is no such file, it is damaged or of unknown kind, or holds no or several candidates (it lists them).
    """
    source = open_source(path, dataset=dataset, geometry=geometry)
    try:
        yield source
    finally:
        source.close()


def open_source(path: Path, *, dataset: str | None = None, geometry: Path | None = None) -> FrameSource:
    """Open a file of frames, or a run, until its `close`; parameters and errors as `open_frames`."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    suffix = path.suffix.lower()
    if path.is_dir():
        from friedel.spi.frames.xfel import open_xfel_frames

        return open_xfel_frames(path, dataset=dataset, geometry=geometry)
    if suffix in HDF5_SUFFIXES:
        from friedel.spi.frames.hdf5 import open_hdf5_frames

        return open_hdf5_frames(path, dataset=dataset)
    if suffix in NUMPY_SUFFIXES:
        from friedel.spi.frames.npy import open_npy_frames

        return open_npy_frames(path, dataset=dataset)
    raise InputError(f"{path}: unknown kind of file {suffix!r}; frames are read from {', '.join(SUFFIXES)} or a run")


def batch_length(source: FrameSource) -> int:
    """Return how many frames to read at once: whole blocks, bounded in memory and number."""
    frame_bytes = max(int(source.shape[1] * source.shape[2] * source.dtype.itemsize), 1)
    wanted = min(max(BATCH_BYTES // frame_bytes, 1), BATCH_FRAMES)
    return wanted if source.block > wanted else wanted // source.block * source.block


def read_batch(source: FrameSource, start: int, stop: int) -> Batch:
    """Read frames; those that can't be read are zeros and say so, instead of stopping the run."""
    try:
        frames = source.read(start, stop)
        return Batch(first=start, frames=frames, unreadable=np.zeros(stop - start, bool))
    except MemoryError:  # no fault of the frames
        raise
    except DAMAGED:
        return _one_by_one(source, start, stop)


def _one_by_one(source: FrameSource, start: int, stop: int) -> Batch:
    frames = np.zeros((stop - start, *source.shape[1:]), source.dtype)
    unreadable = np.zeros(stop - start, bool)
    for index in range(start, stop):
        try:
            frames[index - start] = source.read(index, index + 1)[0]
        except DAMAGED:
            unreadable[index - start] = True
    return Batch(first=start, frames=frames, unreadable=unreadable)


def plain_numbers(dtype: np.dtype[Any]) -> bool:
    """Say whether an array of this dtype can be frames: real numbers, not texts, records or complex values."""
    return dtype.kind in "iuf"
