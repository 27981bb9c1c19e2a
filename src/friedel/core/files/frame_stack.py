"""Frames ``(n, y, x)`` in HDF5 files, wherever they lie: one dataset, an EIGER's many, behind links; masks beside.

Voxels that were never written are reported beside the values: HDF5 itself would return them as zeros.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the bitshuffle, LZ4 and other filters that detectors write with)
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.masks import is_mask_name
from friedel.core.files.placement import Region
from friedel.core.files.written import Box, SoundChunks, unwritten
from friedel.core.observer import Observer, Progress, silent

# Names of 3D arrays that are no measured frames.
NOT_FRAMES = ("support", "error", "errors", "flat", "flatfield", "dark", "background", "amplitude", "phase")
# Where CXI and NeXus keep frames; among several candidates the first of these counts.
CONVENTIONAL = (
    "entry_1/data_1/data", "entry_1/instrument_1/detector_1/data", "entry_1/image_1/data", "entry/data/data", "data",
)  # fmt: skip
# Levels of groups that are searched: NeXus and CXI keep frames at the second to fifth. Links in a ring end the search
# on their own account (`seen` in `_walk`); a larger number only costs time on files with very many groups.
DEEPEST = 10
_EIGER_PART = re.compile(r"data_(\d+)$")
_CXI_ENTRY = re.compile(r"entry_?\d+/")


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameStack:
    """Frames in one or several datasets of an open file.

    Attributes
    ----------
    name : str
        Path of the dataset, or of an EIGER's group of them.
    parts : tuple of h5py.Dataset
        In order; each ``(n, y, x)`` or ``(n, 1, y, x)``.
    path : Path
        The file.
    missing : tuple of str
        Parts of an EIGER's group whose file isn't there.
    """

    name: str
    parts: tuple[h5py.Dataset, ...]
    path: Path
    missing: tuple[str, ...] = ()
    starts: tuple[int, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n, y, x)``, missing parts counted as long as the first."""
        rows, columns = self.parts[0].shape[-2:]
        n = self.starts[-1] + self.parts[-1].shape[0] if self.starts else sum(part.shape[0] for part in self.parts)
        return n, rows, columns

    def read(
        self, window: Region | None = None, *, observer: Observer = silent
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the frames' window in the files' dtype, and which voxels were never written (None: all were)."""
        n, rows, columns = self.shape
        y0, y1, x0, x1 = window or (0, rows, 0, columns)
        dtype = np.result_type(*(part.dtype for part in self.parts))
        out = np.zeros((n, y1 - y0, x1 - x0), dtype)
        lost = np.zeros((n, rows, columns), bool) if self.missing else None
        if lost is not None:
            lost[:] = True
        for part, first in zip(self.parts, self._first(), strict=True):
            if lost is not None:
                lost[first : first + part.shape[0]] = False
            for hole in unwritten(part, self.path):
                lost = np.zeros((n, rows, columns), bool) if lost is None else lost
                lost[_shifted(hole, first)] = True
            empty = np.zeros(n, bool) if lost is None else np.asarray(lost.all(axis=(1, 2)))
            inside = (slice(y0, y1), slice(x0, x1))
            chunks = SoundChunks(part)
            for index in np.flatnonzero(~empty[first : first + part.shape[0]]):
                chunks.require(int(index), int(index) + 1)
                place = (index, *((0,) * (part.ndim - 3)), *inside)
                out[first + index] = part[place]
                observer(Progress("reading frames", first + int(index) + 1, n))
        if lost is None or not lost.any():
            return out, None
        return out, lost[:, y0:y1, x0:x1]

    def _first(self) -> tuple[int, ...]:
        if self.starts:
            return self.starts
        sizes = [0, *(part.shape[0] for part in self.parts)]
        return tuple(int(n) for n in np.cumsum(sizes)[:-1])


def find_stack(group: h5py.Group, path: Path, dataset: str | None = None, *, hint: str = "") -> FrameStack:
    """Return the frames of a file or entry.

    Parameters
    ----------
    group : h5py.Group
        The file or one entry.
    path : Path
        The file, for messages.
    dataset : str or None
        The frames' dataset, or an EIGER's group of them; None: the only ones there are.
    hint : str
        More to say where there are none.

    Raises
    ------
    InputError
        If there are none, or several and none is where CXI or NeXus keep frames.
    """
    if dataset is not None:
        return stack_at(group, dataset, path)
    groups = sorted({name.rpartition("/")[0] for name, _ in _walk(group) if _EIGER_PART.search(name)})
    dangling = sorted({name.rpartition("/")[0] for name in _dangling(group) if _EIGER_PART.search(name)})
    found = {name: item for name, item in _walk(group) if _is_frames(item)}
    single = [name for name in found if not _EIGER_PART.search(name) and not no_frames(name)]
    candidates = [*sorted(set(groups) | set(dangling)), *single]
    entries = sorted({name.split("/")[0] for name in candidates if _CXI_ENTRY.match(name)})
    if len(entries) > 1:
        raise InputError(
            f"{path}: holds frames in {len(entries)} entries; choose one of their datasets with the option 'dataset': "
            f"{', '.join(candidates[:8])}{hint}"
        )
    chosen = next((name for name in CONVENTIONAL if name in candidates), None)
    if len(candidates) != 1 and chosen is None:
        if not candidates and any(item.dtype.kind == "c" and item.ndim == 3 for _, item in _walk(group)):
            raise InputError(
                f"{path}: the array is complex: a reconstruction, where measured intensities were expected"
            )
        kind = "no 3D array" if not candidates else f"several 3D arrays ({', '.join(candidates)})"
        raise InputError(f"{path}: holds {kind}; choose one with the option 'dataset'{hint}")
    return stack_at(group, chosen or candidates[0], path)


def frames_in(group: h5py.Group) -> list[str]:
    """Return the paths of all datasets that may be frames."""
    return [name for name, item in _walk(group) if _is_frames(item) and not no_frames(name)]


def stack_at(group: h5py.Group, name: str, path: Path) -> FrameStack:
    """Return the frames under one name: a dataset, or a group of an EIGER's ``data_000001`` and so on.

    Raises
    ------
    InputError
        If there is nothing of that name, or it isn't frames.
    """
    item = _get(group, name)
    if isinstance(item, h5py.Dataset):
        if not _is_frames(item) or 0 in item.shape:
            raise InputError(f"{path}: {name} is {item.dtype} of shape {item.shape}, not frames (n, y, x)")
        return FrameStack(name=name, parts=(item,), path=path)
    if isinstance(item, h5py.Group):
        parts = _eiger_parts(item)
        there = {number: part for number, part in parts.items() if part is not None and _is_frames(part)}
        if there:
            return _eiger_stack(name, parts, there, path)
        if parts:
            raise InputError(f"{path}: none of the files that {name} links to is there; copy them beside the master")
        named = item.get("data")
        if isinstance(named, h5py.Dataset):
            return stack_at(group, f"{name}/data", path)
    listed = ", ".join(found for found, _ in _walk(group)) or "none"
    raise InputError(f"{path}: no dataset {name!r}; it holds {listed[:400]}")


def _eiger_stack(
    name: str, parts: dict[int, h5py.Dataset | None], there: dict[int, h5py.Dataset], path: Path
) -> FrameStack:
    ordered = [there[number] for number in sorted(there)]
    if len({part.shape[-2:] for part in ordered}) > 1:
        raise InputError(f"{path}: the parts of {name} have frames of different shapes; they belong to other scans")
    absent = [number for number in range(min(parts), max(parts) + 1) if number not in there]
    if not absent:
        return FrameStack(name=f"{name}/data_*", parts=tuple(ordered), path=path)
    # Every part but the last has as many frames as the first: that is how the writer splits them.
    size = max(part.shape[0] for part in ordered)
    starts = tuple((number - min(parts)) * size for number in sorted(there))
    return FrameStack(
        name=f"{name}/data_*",
        parts=tuple(ordered),
        path=path,
        missing=tuple(f"data_{number:06d}" for number in absent),
        starts=starts,
    )


def masks_beside(group: h5py.Group, stack: FrameStack) -> dict[str, NDArray[Any]]:
    """Return the masks that lie beside frames and fit them, by path: those closest to the frames in the tree."""
    n, rows, columns = stack.shape
    fitting: dict[str, h5py.Dataset] = {}
    for name, item in _walk(group):
        shape = item.shape[1:] if item.ndim == 3 and item.shape[0] == 1 else item.shape
        if is_mask_name(name) and shape in ((n, rows, columns), (rows, columns)):
            fitting[name] = item
    if not fitting:
        return {}
    nearest = max(_common(name, stack.name) for name in fitting)
    return {
        name: np.asarray(item[()]).reshape(item.shape[-2:] if item.size == rows * columns else item.shape)
        for name, item in fitting.items()
        if _common(name, stack.name) == nearest
    }


def misfits_beside(stack: FrameStack) -> list[str]:
    """Return the masks beside frames, or of their detector, that don't fit them, with their shapes."""
    n, rows, columns = stack.shape
    fitting = ((n, rows, columns), (rows, columns), (1, rows, columns))
    beside, detector = stack.parts[0].parent, stack.name.rstrip("/*").rpartition("/")[2]
    found = {f"{beside.name}/{name}": item for name, item in _walk(beside) if "/" not in name}
    found |= {name: item for name, item in _walk(beside.parent) if name.split("/")[-2:-1] == [detector]}
    return [
        f"{name} {item.shape}"
        for name, item in found.items()
        if is_mask_name(name) and item.shape not in fitting and item.ndim > 1
    ]


def _common(name: str, other: str) -> int:
    pairs = list(zip(name.split("/")[:-1], other.split("/")[:-1], strict=False))
    return next((k for k, (a, b) in enumerate(pairs) if a != b), len(pairs))


def no_frames(name: str) -> bool:
    """Tell whether a 3D array's name says that it is no measured frames: a mask, a support, errors, a dark."""
    return name.rpartition("/")[2].lower() in NOT_FRAMES or is_mask_name(name)


def _is_frames(item: h5py.Dataset) -> bool:
    real = item.dtype.kind in "iuf"
    return bool(real and (item.ndim == 3 or (item.ndim == 4 and item.shape[1] == 1)) and item.shape[-1] > 1)


def _eiger_parts(group: h5py.Group) -> dict[int, h5py.Dataset | None]:
    parts = {}
    for name in group:
        match = _EIGER_PART.match(name)
        if match:
            item = _get(group, name)
            parts[int(match[1])] = item if isinstance(item, h5py.Dataset) else None
    return parts


def _get(group: h5py.Group, name: str) -> Any:
    """Return what is under a name; None if nothing is, or a link leads nowhere."""
    try:
        return group.get(name)
    except (KeyError, OSError):
        return None


def _walk(group: h5py.Group, prefix: str = "", depth: int = 0, seen: frozenset[Any] = frozenset()) -> Iterator[Any]:
    """Yield path and dataset of all below a group, through soft and external links, each place once on a way."""
    for name in group:
        item = _get(group, name)
        path = f"{prefix}{name}"
        if isinstance(item, h5py.Dataset):
            yield path, item
        elif isinstance(item, h5py.Group) and depth < DEEPEST:
            key = (item.file.filename, item.name)
            if key not in seen:
                yield from _walk(item, f"{path}/", depth + 1, seen | {key})


def _dangling(group: h5py.Group) -> list[str]:
    """Return the paths of links that lead nowhere."""
    lost: list[str] = []
    for name in group:
        item = _get(group, name)
        if item is None:
            lost.append(name)
        elif isinstance(item, h5py.Group) and item.file == group.file:
            lost += [f"{name}/{inner}" for inner in item if _get(item, inner) is None]
            lost += [f"{name}/{sub}/{inner}" for sub in item if isinstance(_get(item, sub), h5py.Group)
                     for inner in item[sub] if _get(item[sub], inner) is None]  # fmt: skip
    return lost


def _shifted(hole: Box, first: int) -> Box:
    """Return a hole of one part in the stack's indices; the middle one of four axes is dropped."""
    frames = slice(hole[0].start + first, hole[0].stop + first)
    return (frames, *hole[-2:])
