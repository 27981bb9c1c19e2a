"""The selected frames as a CXI 1.6 file: by default a view of the source files, or a copy that stands alone.

One entry for each shape of frame. In each, ``data_1/data`` are the frames ``(n, y, x)``, ``data_1/mask`` the CXI mask,
``data_1/frame`` and ``data_1/file`` the places they come from, and ``result_1`` their scores. A view is HDF5's virtual
dataset: it takes no room, and needs the source files where they are.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.files.cxi_mask import CXI_VERSION, INVALID
from friedel.spi.scores.scored_run import SCORE, ScoredRun

Picked: TypeAlias = list[tuple[int, NDArray[np.intp]]]
# More than all but the frames takes.
_MARGIN_BYTES = 1 << 20
ReadSelected: TypeAlias = Callable[[Picked], Iterator[NDArray[Any]]]


def linkable(run: ScoredRun) -> bool:
    """Say whether HDF5 can refer to every file with a selected frame, so that a view can be written."""
    return all(run.files[index].linkable for index, _ in run.chosen(run.selected))


def write_selection(path: Path, run: ScoredRun, *, beside: Path, copy: ReadSelected | None = None) -> None:
    """Write the selected frames.

    Parameters
    ----------
    path : Path
        The file.
    run : ScoredRun
        The run, its scores and what was selected.
    beside : Path
        Folder in which the file will lie in the end: the view's file names are relative to it where that is shorter.
    copy : function, optional
        Returns the frames of ``[(file, frames), …]`` in blocks; given, frames are copied instead of referred to.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    groups = _by_shape(run)
    if copy is None:
        with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
            _fill(file, run, groups, lambda entry, picked: _link(entry, run, picked, beside))
            file.flush()
            image = file.id.get_file_image()
        path.write_bytes(image)  # assembled in memory: HDF5 can't bear a full disk
        return
    _require_room(path, sum(_n_bytes(run, picked) for picked in groups))
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        _fill(file, run, groups, lambda entry, picked: _reserve(entry, run, picked))
        names = [f"entry_{number}/data_1/data" for number in range(1, len(groups) + 1)]
        offsets = [file[name].id.get_offset() for name in names]
    for offset, picked in zip(offsets, groups, strict=True):
        _copy(path, offset, copy(picked))


def _by_shape(run: ScoredRun) -> list[Picked]:
    """Return the selected frames grouped by what can stand in one dataset: rows, columns and number type."""
    groups: dict[tuple[Any, ...], Picked] = {}
    for index, frames in run.chosen(run.selected):
        file = run.files[index]
        groups.setdefault((*file.shape[1:], file.dtype), []).append((index, frames))
    return list(groups.values())


def _fill(
    file: h5py.File, run: ScoredRun, groups: list[Picked], put_frames: Callable[[h5py.Group, Picked], None]
) -> None:
    file["cxi_version"] = CXI_VERSION
    file["number_of_entries"] = len(groups)
    file["files"] = [str(item.path) for item in run.files]
    for number, picked in enumerate(groups, start=1):
        entry = file.create_group(f"entry_{number}")
        entry["program_name"] = "friedel"
        entry["title"] = f"Frames selected by {run.model}"
        data = entry.create_group("data_1")
        put_frames(data, picked)
        mask = run.files[picked[0][0]].mask
        if mask is not None:
            data["mask"] = np.where(mask, 0, INVALID).astype(np.uint32)
        data["file"] = np.concatenate([np.full(len(frames), index, np.uint32) for index, frames in picked])
        data["frame"] = np.concatenate([frames.astype(np.int64) for _, frames in picked])
        scores = np.concatenate([run.files[index].scores[frames] for index, frames in picked])
        for name in SCORE.names or ():
            entry[f"result_1/{name}"] = scores[name]


def _shape(run: ScoredRun, picked: Picked) -> tuple[int, int, int]:
    _, rows, columns = run.files[picked[0][0]].shape
    return sum(len(frames) for _, frames in picked), rows, columns


def _link(data: h5py.Group, run: ScoredRun, picked: Picked, beside: Path) -> None:
    # By HDF5's own calls: h5py's layout objects take ten times as long for thousands of stretches.
    shape, kind = _shape(run, picked), _kind(run, picked)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    done = 0
    for index, frames in picked:
        file = run.files[index]
        names = _name_of(file.path, beside).encode(), file.dataset.encode()
        for first, length in _stretches(frames):
            here, there = h5py.h5s.create_simple(shape), h5py.h5s.create_simple(file.shape)
            here.select_hyperslab((done, 0, 0), (length, *shape[1:]))
            there.select_hyperslab((first, 0, 0), (length, *shape[1:]))
            plist.set_virtual(here, *names, there)
            done += length
    h5py.h5d.create(data.id, b"data", kind, h5py.h5s.create_simple(shape), plist)


def _stretches(frames: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield the first frame and the length of each unbroken stretch."""
    edges = np.flatnonzero(np.diff(frames) != 1) + 1
    for stretch in np.split(frames, edges):
        yield int(stretch[0]), len(stretch)


def _kind(run: ScoredRun, picked: Picked) -> h5py.h5t.TypeID:
    return h5py.h5t.py_create(np.dtype(run.files[picked[0][0]].dtype))


def _name_of(path: Path, beside: Path) -> str:
    absolute = str(path.resolve())
    relative = os.path.relpath(absolute, beside.resolve())
    return relative if len(relative) < len(absolute) else absolute


def _n_bytes(run: ScoredRun, picked: Picked) -> int:
    return int(np.prod(_shape(run, picked))) * np.dtype(run.files[picked[0][0]].dtype).itemsize


def _require_room(path: Path, n_bytes: int) -> None:
    """Raise OSError unless the disk has room: HDF5 itself, which can't bear a full one, is only started if it has."""
    if hasattr(os, "posix_fallocate"):
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes + _MARGIN_BYTES)
    elif shutil.disk_usage(path.parent).free < n_bytes + _MARGIN_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _reserve(data: h5py.Group, run: ScoredRun, picked: Picked) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(data.id, b"data", _kind(run, picked), h5py.h5s.create_simple(_shape(run, picked)), plist)


def _copy(path: Path, offset: int, blocks: Iterator[NDArray[Any]]) -> None:
    # Past HDF5, which only laid out the file: written plainly, a full disk is an error like any other.
    with path.open("r+b") as file:
        file.seek(offset)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
