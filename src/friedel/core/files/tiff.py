"""A numbered series of TIFF, EDF or CBF frames into one array: what is there, what is missing, whether it fits."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.arrays import FABIO_SUFFIXES, TIFF_SUFFIXES, read_array, suffix_of, tiff_damage
from friedel.core.files.damage import readable
from friedel.core.files.placement import Region
from friedel.core.observer import Observer, Progress, Warned, silent

# Share of frames missing inside a series that is filled with NaN and warned of; beyond it the series is refused. A
# choice, not a measurement: phasing takes a few frames as unmeasured, while a larger share usually means a wrong folder
# or an interrupted copy.
MISSING_ALLOWED = 0.05


def find_pages(path: Path, pattern: str) -> Path | None:
    """Return the one file that holds all frames of a scan as its pages; None if there is none such.

    Parameters
    ----------
    path : Path
        The file itself, its folder, or one above it.
    pattern : str
        Name pattern of the frames' folder, or of the file, sought below ``path``.
    """
    if path.is_file():
        return path if _n_pages(path) > 1 else None
    if not path.is_dir():
        return None
    below = [path, *sorted(found for found in path.rglob(pattern) if found.is_dir())]
    files = [found for folder in below for found in folder.iterdir() if found.is_file() and _is_frame(found)]
    named = [file for file in files if file.match(f"{pattern}.*")] or files
    several = [file for file in named if _n_pages(file) > 1] if len(named) <= 3 else []
    return several[0] if len(several) == 1 else None


def _is_frame(path: Path) -> bool:
    return suffix_of(path) in (*TIFF_SUFFIXES, *FABIO_SUFFIXES)


def _n_pages(path: Path) -> int:
    with readable(path):
        if path.suffix.lower() in TIFF_SUFFIXES:
            with tiff_damage(), tifffile.TiffFile(path) as file:
                return max(len(file.pages), file.series[0].shape[0] if file.series[0].ndim == 3 else 1)
        values = read_array(path)
        return values.shape[0] if values.ndim == 3 else 1


def find_frames(folder: Path, pattern: str) -> dict[int, Path]:
    """Return the frames of a scan by number, in order.

    Parameters
    ----------
    folder : Path
        The folder of frames itself, or one above it.
    pattern : str
        Name pattern of the frames' folder, sought below ``folder`` when no TIFF lies in it directly.

    Raises
    ------
    InputError
        If there is no folder, no frame, or several folders match.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder of frames; give the folder that holds the TIFF files, or one above it"
        )
    frames = _numbered(folder)
    if frames:
        return frames
    below = sorted(path for path in folder.rglob(pattern) if path.is_dir() and _numbered(path))
    if len(below) != 1:
        found = ", ".join(str(path) for path in below[:5]) or "none"
        raise InputError(
            f"{folder}: holds no numbered TIFF frames, and folders {pattern!r} below it with some: {found}"
        )
    return _numbered(below[0])


def read_frames(
    frames: dict[int, Path], n_points: int | None, *, window: Region | None = None, observer: Observer = silent
) -> NDArray[Any]:
    """Read a series of frames, one at a time, into one array.

    Parameters
    ----------
    frames : dict of int to Path
        Files by frame number, from `find_frames`.
    n_points : int or None
        Points that the scan recorded; None: as many as there are frames.
    window : (int, int, int, int) or None
        Rows and columns ``(y0, y1, x0, x1)`` to keep; None: all.

    Returns
    -------
    (n, y, x), the files' dtype
        float32 with NaN frames where a few frames inside the series are missing; both repairs are warned of.

    Raises
    ------
    InputError
        If a frame is damaged or of another shape, or more than 5 % of those inside the series are missing.
    """
    first = _first_number(frames, n_points)
    numbers = _expected(first, max(frames), n_points, frames, observer)
    missing = [number for number in numbers if number not in frames]
    _check_missing(missing, len(numbers), frames, observer)
    template = _read(next(frames[number] for number in numbers if number in frames))
    dtype = np.dtype(np.float32) if missing else template.dtype
    y0, y1, x0, x1 = window or (0, template.shape[0], 0, template.shape[1])
    out = np.empty((len(numbers), y1 - y0, x1 - x0), dtype)
    for index, number in enumerate(numbers):
        out[index] = _read_like(frames[number], template)[y0:y1, x0:x1] if number in frames else np.nan
        observer(Progress("reading frames", index + 1, len(numbers)))
    return out


def _first_number(frames: dict[int, Path], n_points: int | None) -> int:
    """Return where the counting began: at the first file, unless the last says that earlier ones are missing."""
    first, last = min(frames), max(frames)
    if n_points is None or last - first + 1 >= n_points:
        return first
    # The whole series ends where it should if it began at 0 or 1.
    return next((begun for begun in (0, 1) if begun < first and begun + n_points - 1 == last), first)


def frame_shape(frames: dict[int, Path]) -> tuple[int, int]:
    """Return rows and columns of the first frame."""
    rows, columns = _read(frames[min(frames)]).shape
    return rows, columns


def _numbered(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = suffix_of(path)
        match = re.search(r"(\d+)$", path.name[: len(path.name) - len(suffix)])
        if match and _is_frame(path):
            if int(match[1]) in found:
                raise InputError(
                    f"{folder}: two frames numbered {int(match[1])} ({found[int(match[1])].name}, {path.name})"
                )
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def _expected(first: int, last: int, n_points: int | None, frames: dict[int, Path], observer: Observer) -> range:
    n_frames = last - first + 1
    if n_points is None or n_frames == n_points:
        return range(first, last + 1)
    used, folder = min(n_frames, n_points), next(iter(frames.values())).parent
    if used < 0.5 * max(n_frames, n_points):
        raise InputError(
            f"{folder}: {n_frames} frames but {n_points} points in the SPEC file: they belong to different scans, "
            "or the copy is incomplete; check 'path', 'spec' and 'scan'"
        )
    observer(
        Warned("frames", f"{folder}: {n_frames} frames but {n_points} SPEC points; the first {used} of each are used")
    )
    return range(first, first + used)


def _check_missing(missing: Sequence[int], n_expected: int, frames: dict[int, Path], observer: Observer) -> None:
    if not missing:
        return
    folder = next(iter(frames.values())).parent
    listed = ", ".join(map(str, missing[:8])) + (" …" if len(missing) > 8 else "")
    if len(missing) > MISSING_ALLOWED * n_expected:
        raise InputError(
            f"{folder}: {len(missing)} of {n_expected} frames are missing (numbers {listed}); copy them again"
        )
    observer(Warned("frames", f"{folder}: frames {listed} are missing; their voxels are taken as unknown"))


def _read(path: Path) -> NDArray[Any]:
    frame = read_array(path)
    if frame.ndim != 2 or frame.dtype.kind not in "iuf":
        raise InputError(f"{path}: one real 2D frame was expected, got {frame.dtype} of shape {frame.shape}")
    return frame


def _read_like(path: Path, template: NDArray[Any]) -> NDArray[Any]:
    frame = _read(path)
    if frame.shape != template.shape or frame.dtype != template.dtype:
        raise InputError(
            f"{path}: {frame.dtype} of shape {frame.shape}, but the scan's first frame is {template.dtype} of "
            f"{template.shape}; one of them doesn't belong to this scan"
        )
    return frame
