"""A numbered series of TIFF frames into one array: which are there, which are missing, whether they fit together."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.arrays import TIFF_SUFFIXES
from friedel.core.files.damage import readable
from friedel.core.files.placement import Region
from friedel.core.observer import Observer, Progress, Warned, silent

MISSING_ALLOWED = 0.05


def find_frames(folder: Path, pattern: str) -> dict[int, Path]:
    """Return the TIFF frames of a scan by number, in order.

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
    first = min(frames)
    # Counting starts at 0 or 1; any other first number means that earlier frames are missing.
    first = first if first <= 1 else 0
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


def frame_shape(frames: dict[int, Path]) -> tuple[int, int]:
    """Return rows and columns of the first frame."""
    rows, columns = _read(frames[min(frames)]).shape
    return rows, columns


def _numbered(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = re.search(r"(\d+)$", path.stem)
        if match and path.suffix.lower() in TIFF_SUFFIXES:
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
    with readable(path):
        frame = np.asarray(tifffile.imread(path))
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
