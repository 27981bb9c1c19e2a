"""Where single-particle frames come from: one small interface, whatever the file. Reads; judges nothing.

Each kind of file has its own module (`hdf5`, `npy`, `xfel`, `emc`, `images`), imported when such a file is met.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import DAMAGED

HDF5_SUFFIXES = (".h5", ".hdf5", ".nxs", ".cxi")
NUMPY_SUFFIXES = (".npy", ".npz")
EMC_SUFFIXES = (".emc",)
IMAGE_SUFFIXES = (".tif", ".tiff", ".cbf", ".edf")
SUFFIXES = (*HDF5_SUFFIXES, *NUMPY_SUFFIXES, *EMC_SUFFIXES, *IMAGE_SUFFIXES)
# Frames read at once. 112 of 128² pixels in float32, 7 MB, stay near a CPU's cache while they are prepared and scored;
# 32 MiB is the largest array whose memory `friedel.core.machine.memory` keeps for the next one.
BATCH_BYTES = 32 << 20
BATCH_FRAMES = 112


class DifferentFramesError(InputError):
    """A file's entries hold frames of different shapes, which can't be read as one run."""


OwnMask: TypeAlias = Literal["bad", "good", "none"]


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """How to read a file of frames.

    Attributes
    ----------
    dataset : str or None
        Where the frames are in it; None: the only candidate.
    geometry : Path or None
        CrystFEL geometry file, for modules that aren't put together.
    own_mask : {"bad", "good", "none"} or None
        What anything but 0 means in the file's own mask, or that it isn't used; None: bad, unless that leaves so
        little that it must be asked.
    dark : Path or None
        Image of each pixel's value without light, taken off every frame.
    """

    dataset: str | None = None
    geometry: Path | None = None
    own_mask: OwnMask | None = None
    dark: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What was found beside the frames.

    Attributes
    ----------
    mask : str
        Where the file's own mask lies; empty without one.
    sense : str
        What its values were taken to mean.
    """

    mask: str = ""
    sense: str = ""


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
    expected : int
        Frames that the file says it has, or has room for.
    centre : (float, float) or None
        Pixel (y, x) that the direct beam hits, where a geometry tells.
    beside : Beside
        What was found beside the frames.
    files : tuple of Path
        Every file the frames lie in.
    """

    path: Path
    dataset: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    mask: NDArray[np.bool_] | None
    block: int
    linkable: bool
    notes: tuple[str, ...]
    expected: int
    centre: tuple[float, float] | None
    beside: Beside

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file the frames lie in."""

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
def open_frames(
    path: Path, *, dataset: str | None = None, geometry: Path | None = None, own_mask: OwnMask | None = None
) -> Iterator[FrameSource]:
    """Open a file of frames, or a folder that is a European XFEL run, for as long as the block runs.

    Parameters
    ----------
    path : Path
        ``.cxi .h5 .hdf5 .nxs .npy .npz .emc .tif .cbf .edf``, or the folder of a run.
    dataset : str, optional
        Path of the frames inside HDF5, name of the array in ``.npz``, "source key" in a run; None: the only candidate.
    geometry : Path, optional
        CrystFEL geometry file, for modules that aren't put together.
    own_mask : {"bad", "good", "none"}, optional
        What anything but 0 means in the file's own mask, or that it isn't to be used.

    Raises
    ------
    InputError
        If there is no such file, it is damaged or of unknown kind, or holds no or several candidates (it lists them),
        or a geometry is given that can't be used.
    """
    source = open_source(path, FrameOptions(dataset=dataset, geometry=geometry, own_mask=own_mask))
    try:
        yield source
    finally:
        source.close()


def open_source(path: Path, options: FrameOptions) -> FrameSource:
    """Open a file of frames; the caller closes it. See `open_frames`."""
    source = _open_recorded(path, options)
    if options.dark is None:
        return source
    from friedel.spi.frames.detector_images import WithoutDark, read_dark

    try:
        return WithoutDark(source, read_dark(options.dark))
    except BaseException:
        source.close()
        raise


def _open_recorded(path: Path, options: FrameOptions) -> FrameSource:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    suffix = path.suffix.lower()
    if options.geometry is not None and not options.geometry.is_file():
        raise InputError(f"{options.geometry}: no such geometry file; check the path")
    if path.is_dir():
        _refuse_images(path)
        from friedel.spi.frames.xfel import open_xfel_frames

        return open_xfel_frames(path, options)
    if suffix in HDF5_SUFFIXES:
        from friedel.spi.frames.hdf5 import open_hdf5_frames

        return open_hdf5_frames(path, options)
    if suffix in NUMPY_SUFFIXES:
        from friedel.spi.frames.npy import open_npy_frames

        return open_npy_frames(path, options)
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: unknown kind of file {suffix!r}; frames are read from {', '.join(SUFFIXES)} or a run"
        )
    if options.geometry is not None:
        raise InputError(f"{path}: its frames are whole images; a geometry has no use: leave --geometry out")
    if suffix in EMC_SUFFIXES:
        from friedel.spi.frames.emc import open_emc_frames

        return open_emc_frames(path)
    from friedel.spi.frames.images import open_image_frames

    return open_image_frames(path)


def _refuse_images(folder: Path) -> None:
    """Raise InputError if a folder holds images, and so is no run of European XFEL."""
    images = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.suffix not in HDF5_SUFFIXES]
    if images and not any(folder.glob("*.h5")):
        raise InputError(
            f"{folder}: a folder of {len(images)} files such as {images[0].name}, not one run: 'friedel classify' "
            "takes the whole folder; here open one file, or stack the images to an array (n, y, x)"
        )


def natural(name: str) -> list[Any]:
    """Return what orders names by the numbers in them."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]


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
