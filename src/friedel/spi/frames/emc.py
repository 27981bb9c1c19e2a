"""Frames as sparse photon counts in Dragonfly's ``.emc`` format, written and, through `dragonfly`, read.

All numbers are little-endian int32. A header of 1024 bytes begins with the numbers of frames and of pixels;
then, for each frame, how many pixels hold one photon, and how many hold more; then the places of all single photons,
the places of all pixels with more, and their counts. A place is y·n_x + x. The format is K. Ayyer et al., J. Appl.
Cryst. 49, 1320 (2016), in the words of the program's wiki (github.com/duaneloh/Dragonfly).
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable
from friedel.core.files.marks import LARGEST
from friedel.spi.frames.source import Beside

_HEADER_NUMBERS = 256  # int32 in the header of 1024 bytes
_KEPT_IN_MEMORY = 64 << 20  # bytes of places and counts before they go to a file beside the result
_INT = np.dtype("<i4")
# The largest int32 that a float32 holds exactly.
_MOST_PHOTONS = 2**31 - 128
COMMON_MARKS = tuple(sorted({float(np.float32(value)) for value in LARGEST}))
"""Values that detectors and programs write where there is no count, as they come out of float32."""


class SparseFrame(NamedTuple):
    """A frame's photons: places of single ones; places of several, and how many there."""

    single: NDArray[np.int32]
    several: NDArray[np.int32]
    counts: NDArray[np.int32]


def write_emc(path: Path, frames: Iterable[SparseFrame], *, n_frames: int, n_pixels: int) -> None:
    """Write frames of whole photons; memory doesn't grow with their number.

    Parameters
    ----------
    path : Path
        The file.
    frames : iterable of SparseFrame
        The frames in order.
    n_frames, n_pixels : int
        How many frames will come in all, and y·x.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    ones, multi = np.zeros(n_frames, _INT), np.zeros(n_frames, _INT)
    with path.open("wb") as file, _scratch(path) as places, _scratch(path) as counts:
        file.write(_head(n_frames, n_pixels, ones, multi))
        for number, frame in enumerate(frames):
            ones[number], multi[number] = len(frame.single), len(frame.several)
            file.write(frame.single.data)
            places.write(frame.several.data)
            counts.write(frame.counts.data)
        for part in (places, counts):
            part.seek(0)
            shutil.copyfileobj(part, file, 1 << 20)
        file.seek(0)
        file.write(_head(n_frames, n_pixels, ones, multi))


def _scratch(path: Path) -> Any:
    # In memory while small, then on the same disk as the result: the system's own folder may be too small for a run.
    return SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY, dir=str(path.parent))


def _head(n_frames: int, n_pixels: int, ones: NDArray[Any], multi: NDArray[Any]) -> bytes:
    header = np.zeros(_HEADER_NUMBERS, _INT)
    header[:2] = n_frames, n_pixels
    return header.tobytes() + ones.tobytes() + multi.tobytes()


def sparse(frame: NDArray[Any]) -> SparseFrame:
    """Return a frame ``(y, x)`` of whole photons, from `to_photons`, as the places and numbers of its photons."""
    flat = frame.reshape(-1)
    places = np.flatnonzero(flat > 0).astype(_INT)
    counts = flat.take(places)
    several = np.flatnonzero(counts > 1)
    return SparseFrame(places.compress(counts == 1), places.take(several), counts.take(several).astype(_INT))


def to_photons(
    frame: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    *,
    adu_per_photon: float = 1.0,
    pedestal: float = 0.0,
    marks: Sequence[float] = (),
) -> NDArray[Any]:
    """Return whole photons, ``(y, x)`` integers: the nearest number, none where nothing was measured.

    Parameters
    ----------
    frame : (y, x)
        Photons or detector units; NaN where unknown.
    mask : (y, x) bool or None
        True where the detector measures.
    adu_per_photon : float
        Detector units that one photon makes, above 0.
    pedestal : float
        Detector units without light.
    marks : sequence of float
        Values that stand for "no count", beside those that always do.
    """
    unknown = None
    if frame.size and (marks or frame.max() >= min(COMMON_MARKS)):
        unknown = np.isin(frame.astype(np.float32), np.array([*COMMON_MARKS, *marks], np.float32))
    photons = np.maximum(frame, 0) if frame.dtype.kind == "i" else frame
    if frame.dtype.kind == "f" or adu_per_photon != 1.0 or pedestal:
        scaled = (frame - np.float32(pedestal)) / np.float32(adu_per_photon)
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
        photons = np.rint(np.clip(scaled, 0, _MOST_PHOTONS)).astype(np.int32)
    if unknown is not None:
        photons = np.where(unknown, 0, photons)
    return photons if mask is None else photons * mask


class EmcFrames:
    """A `friedel.spi.frames.source.FrameSource` over the photons of a Dragonfly file, as whole frames."""

    centre: tuple[float, float] | None = None
    dataset, block, linkable = "", 1, False
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, photons: Any, shape: tuple[int, int], mask: NDArray[np.bool_] | None) -> None:
        self.path, self._photons, self.mask = path, photons, mask
        self.shape, self.expected = (int(photons.shape[0]), *shape), int(photons.shape[0])
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if np.any(photons.data % 1) else np.int32)
        self.beside = Beside() if mask is None else Beside(mask="detector file", sense="0 is good")

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``."""
        return np.asarray(self._photons[start:stop].toarray(), self.dtype).reshape(stop - start, *self.shape[1:])

    def close(self) -> None:
        """Let go of the photons."""


def open_emc_frames(path: Path) -> EmcFrames:
    """Open a file of Dragonfly's photons as frames: square ones, or as wide as the detector file beside it says.

    Raises
    ------
    InputError
        If it is damaged, or its pixels make no frame.
    """
    from friedel.spi.frames.dragonfly import read_photons  # it loads SciPy, which most runs don't need

    with readable(path):
        photons = read_photons(path)
    beside = path.with_name(f"{path.stem}_detector.h5")
    if beside.is_file():
        with readable(beside), h5py.File(beside, "r") as file:
            mask = np.asarray(file["mask"][()]).ravel()
            shape = tuple(int(n) for n in file.attrs.get("frame_shape", ()))
        if len(shape) == 2 and shape[0] * shape[1] == photons.shape[1] == len(mask):
            return EmcFrames(path, photons, (shape[0], shape[1]), (mask < 2).reshape(shape))
    side = round(photons.shape[1] ** 0.5)
    if side * side != photons.shape[1]:
        raise InputError(
            f"{path}: its {photons.shape[1]} pixels make no square frame; give the frames it was made from"
        )
    return EmcFrames(path, photons, (side, side), None)
