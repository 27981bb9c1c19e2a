"""Frames as sparse photon counts in Dragonfly's ``.emc`` format.

All numbers are little-endian int32. A header of 1024 bytes begins with the numbers of frames and of pixels; then, for
each frame, how many pixels hold one photon, and how many hold more; then the places of all single photons, the places
of all pixels with more, and their counts. A place is y·n_x + x. The format is K. Ayyer et al., J. Appl. Cryst. 49,
1320 (2016), in the words of the program's wiki (github.com/duaneloh/Dragonfly).
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HEADER_NUMBERS = 256
_KEPT_IN_MEMORY = 64 << 20
_INT = np.dtype("<i4")
# The largest int32 that a float32 holds exactly.
_MOST_PHOTONS = 2**31 - 128


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


def to_photons(frame: NDArray[Any], mask: NDArray[np.bool_] | None, *, adu_per_photon: float = 1.0) -> NDArray[Any]:
    """Return whole photons, ``(y, x)`` integers: the nearest number, none where nothing was measured.

    Parameters
    ----------
    frame : (y, x)
        Photons or detector units; NaN where unknown.
    mask : (y, x) bool or None
        True where the detector measures.
    adu_per_photon : float
        Detector units that one photon makes, above 0.
    """
    photons = frame
    if frame.dtype.kind == "f" or adu_per_photon != 1.0:
        scaled = np.nan_to_num(frame / np.float32(adu_per_photon), nan=0.0, posinf=0.0, neginf=0.0)
        photons = np.rint(np.clip(scaled, 0, _MOST_PHOTONS)).astype(np.int32)
    return photons if mask is None else photons * mask
