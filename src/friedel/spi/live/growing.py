"""Scores and selected frames of a run while it is being recorded, in CXI/HDF5 that others can read meanwhile (SWMR).

In the file: ``result_1`` has an entry for every scored frame (scores, number, series, times); ``data_1`` the selected
frames ``(n, y, x)`` with their mask, numbers and series; ``ledger_1`` the counts over time. A writer that was killed
leaves a file that is readable up to its last flush. HDF5 can't bear a full disk under an open file, so nothing is
handed to it unless there is room for much more.
"""

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import CXI_VERSION, INVALID
from friedel.spi.scores.scored_run import SCORE

RESULT, DATA, LEDGER, SERIES = "entry_1/result_1", "entry_1/data_1", "entry_1/ledger_1", "entry_1/series_1/name"
_ROWS = 8192  # of a chunk of a column: 64 KiB of float64
# Of a column's chunks kept by HDF5, which are written in order: the last one is enough. HDF5 2 would keep 8 MiB each.
_CACHE_BYTES = 1 << 20
_NAME_BYTES = 256  # of a series' name; longer ones are cut
_COPIED_BYTES = 16 << 20  # copied at a time when a file is mended
_COLUMNS: dict[str, Any] = {
    "number": np.int64, "series": np.uint32, "timestamp": np.float64, "arrival": np.float64, "selected": np.uint8,
}  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class RunStart:
    """What is known of a run before its first frame is written.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    dtype : str
        Of the frames.
    mask : (y, x) bool or None
        True where the detector measures.
    about : mapping of str to str
        Texts kept as attributes: model, source, plan, version.
    ledger_columns : sequence of str
        Names of the ledger's columns.
    """

    shape: tuple[int, int]
    dtype: str
    mask: NDArray[np.bool_] | None
    about: dict[str, str]
    ledger_columns: Sequence[str]


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredFrames:
    """Some scored frames, an entry a frame in every array.

    Attributes
    ----------
    numbers : (n,) int64
        The frames' numbers in their series.
    series : str
        Its name.
    timestamps, arrivals : (n,) float64
        When the source says they were recorded, and when they arrived, s since the epoch.
    scores : (n,) `friedel.spi.scores.scored_run.SCORE`
        The scores.
    selected : (n,) bool
        Which of them were selected.
    frames : (k, y, x) or None
        The selected ones.
    """

    numbers: NDArray[np.int64]
    series: str
    timestamps: NDArray[np.float64]
    arrivals: NDArray[np.float64]
    scores: NDArray[Any]
    selected: NDArray[np.bool_]
    frames: NDArray[Any] | None = None


class GrowingRun:
    """An open file that grows; one process writes it, any number read it.

    Parameters
    ----------
    path : Path
        The file, which must not exist.
    start : RunStart
        What stands in it from the beginning.
    keep_free_bytes : int
        Room on the disk below which nothing more is written.

    Raises
    ------
    InputError
        If it can't be made.
    OSError
        If the disk is full.
    """

    def __init__(self, path: Path, start: RunStart, *, keep_free_bytes: int) -> None:
        self.path, self._keep_free = path, keep_free_bytes
        self.rows = self.pictures = 0
        require_room(path.parent, 1 << 20, keep_free=keep_free_bytes)
        try:
            self._file = h5py.File(path, "x", libver="latest", rdcc_nbytes=_CACHE_BYTES)
        except OSError as error:
            raise InputError(f"{path}: can't be made ({error}); choose another folder") from error
        _lay_out(self._file, start)
        self._file.swmr_mode = True
        self._series: dict[str, int] = {}
        self._frame_bytes = int(np.prod(start.shape)) * np.dtype(start.dtype).itemsize
        self._data = self._file[f"{DATA}/data"]
        self._columns = {path: self._file[path] for path in _column_paths()}
        # Columns wait for the flush: handing HDF5 sixteen of them a batch took 7 ms, most of the writer's time.
        self._waiting: dict[str, list[NDArray[Any]]] = {path: [] for path in self._columns}

    def append(self, scored: ScoredFrames) -> None:
        """Add frames; `flush` puts their scores into the file.

        Raises
        ------
        OSError
            If there isn't room for them; the file is as it was.
        """
        n_pictures = 0 if scored.frames is None else len(scored.frames)
        require_room(self.path.parent, n_pictures * self._frame_bytes, keep_free=self._keep_free)
        index = self._series_index(scored.series)
        columns: dict[str, NDArray[Any]] = {
            "number": scored.numbers, "series": np.full(len(scored.numbers), index, np.uint32),
            "timestamp": scored.timestamps, "arrival": scored.arrivals, "selected": scored.selected,
        }  # fmt: skip
        # Frames first: a reader that finds a selected score finds its frame.
        if scored.frames is not None and n_pictures:
            _extend(self._data, scored.frames)
            for name in ("number", "series"):
                self._waiting[f"{DATA}/{name}"].append(columns[name][scored.selected])
        for name, values in columns.items():
            self._waiting[f"{RESULT}/{name}"].append(values)
        for name in SCORE.names or ():
            self._waiting[f"{RESULT}/{name}"].append(scored.scores[name])
        self.rows += len(scored.numbers)
        self.pictures += n_pictures

    def note_ledger(self, row: Sequence[float]) -> None:
        """Add a row to the ledger.

        Raises
        ------
        OSError
            If the disk is full.
        """
        require_room(self.path.parent, 0, keep_free=self._keep_free)
        _extend(self._file[f"{LEDGER}/counts"], np.array([row]))

    def flush(self) -> None:
        """Let readers see all that was added.

        Raises
        ------
        OSError
            If the disk is full.
        """
        for path, some in self._waiting.items():
            if some:
                _extend(self._columns[path], np.concatenate(some))
                some.clear()
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Close the file, without what wasn't flushed; it is then an ordinary HDF5 file."""
        if self._file:
            self._file.close()

    def _series_index(self, name: str) -> int:
        if name not in self._series:
            self._series[name] = len(self._series)
            _extend(self._file[SERIES], np.array([name.encode()[:_NAME_BYTES]], f"S{_NAME_BYTES}"))
        return self._series[name]


def require_room(folder: Path, n_bytes: int, *, keep_free: int) -> None:
    """Make sure that a disk has room for so many bytes beside what is to be kept free.

    Raises
    ------
    OSError
        If it hasn't.
    """
    free = shutil.disk_usage(folder).free
    if free < keep_free + n_bytes:
        raise OSError(errno.ENOSPC, f"only {free >> 20} MiB are free, and {keep_free >> 20} MiB are kept free")


def _lay_out(file: h5py.File, start: RunStart) -> None:
    file["cxi_version"], file["number_of_entries"] = CXI_VERSION, 1
    entry = file.create_group("entry_1")
    entry["program_name"] = "friedel"
    for name, text in start.about.items():
        entry.attrs[name] = text
    _growing(file, f"{DATA}/data", start.dtype, start.shape, rows=1)
    for name in ("number", "series"):
        _growing(file, f"{DATA}/{name}", _COLUMNS[name])
    if start.mask is not None:
        file[f"{DATA}/mask"] = np.where(start.mask, 0, INVALID).astype(np.uint32)
    for name, dtype in _COLUMNS.items():
        _growing(file, f"{RESULT}/{name}", dtype)
    for name in SCORE.names or ():
        _growing(file, f"{RESULT}/{name}", SCORE[name])
    counts = _growing(file, f"{LEDGER}/counts", np.float64, (len(start.ledger_columns),), rows=256)
    counts.attrs["columns"] = list(start.ledger_columns)
    _growing(file, SERIES, f"S{_NAME_BYTES}", rows=64)


def _column_paths() -> list[str]:
    """Return the paths of the columns, those of the pictures first: who finds a selected score finds its picture."""
    results = [f"{RESULT}/{name}" for name in (*_COLUMNS, *(SCORE.names or ()))]
    return [f"{DATA}/number", f"{DATA}/series", *results]


def _growing(file: h5py.File, name: str, dtype: Any, shape: tuple[int, ...] = (), *, rows: int = _ROWS) -> h5py.Dataset:
    return file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape))


def _extend(dataset: h5py.Dataset, values: NDArray[Any]) -> None:
    before = dataset.shape[0]
    dataset.resize(before + len(values), axis=0)
    dataset[before:] = values


def read_numbers(path: Path) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of the frames a file has scores of, by series; also of a file whose writer was killed.

    Raises
    ------
    InputError
        If it is damaged.
    """
    try:
        with open_growing(path) as file:
            names = [name.decode() for name in file[SERIES][()]]
            numbers, series = file[f"{RESULT}/number"], file[f"{RESULT}/series"]
            count = min(len(numbers), len(series))
            found, of = numbers[:count], series[:count]
            return {name: found[of == index] for index, name in enumerate(names)}
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: can't be read ({error}); move it elsewhere to begin anew") from None


def open_growing(path: Path) -> h5py.File:
    """Open a file that is being written, was finished, or was left behind by a writer that was killed.

    Raises
    ------
    OSError
        If it is neither.
    """
    return h5py.File(path, "r", libver="latest", swmr=True, locking=False)


def read_mask(file: h5py.File) -> NDArray[np.bool_] | None:
    """Return where a part's detector measures, ``(y, x)``; None if it has no mask."""
    return file[f"{DATA}/mask"][()] == 0 if f"{DATA}/mask" in file else None


def parts(folder: Path, stem: str) -> list[Path]:
    """Return the files ``stem_001.cxi``, ``stem_002.cxi``, … of a folder, in order."""
    return sorted(folder.glob(f"{stem}_[0-9][0-9][0-9]*.cxi"))


def next_part(folder: Path, stem: str) -> Path:
    """Return the name of the next of them."""
    found = parts(folder, stem)
    number = 1 + max((int(path.stem.rpartition("_")[2]) for path in found), default=0)
    return folder / f"{stem}_{number:03d}.cxi"


def mend(path: Path, *, rows: int, pictures: int) -> None:
    """Make an ordinary file, of so many rows and pictures, of one whose writer was killed or gave it up.

    A file that is one already stays. One in which nothing counts and that can't be read goes.

    Raises
    ------
    OSError
        If it can't be read, or there is no room for the copy; the file is then as it was.
    """
    if _is_whole(path, rows, pictures):
        return
    draft = path.with_name(f".{path.name}.mending")
    try:
        require_room(path.parent, path.stat().st_size, keep_free=0)
        with open_growing(path) as found, h5py.File(draft, "w", libver="latest") as made:
            _copy_group(found, made, {RESULT: rows, DATA: pictures})
        os.replace(draft, path)
    except (OSError, KeyError, RuntimeError) as error:
        if rows:
            raise OSError(str(error)) from error
        path.unlink()
    finally:
        draft.unlink(missing_ok=True)


def _is_whole(path: Path, rows: int, pictures: int) -> bool:
    try:
        with h5py.File(path, "r", locking=False) as file:
            return (len(file[f"{RESULT}/number"]), len(file[f"{DATA}/data"])) == (rows, pictures)
    except (OSError, KeyError):
        return False


def _copy_group(found: h5py.Group, made: h5py.Group, counts: dict[str, int]) -> None:
    """Copy everything; of growing datasets below the named groups the first so many entries."""
    made.attrs.update(found.attrs)
    for name, item in found.items():
        if isinstance(item, h5py.Group):
            _copy_group(item, made.create_group(name), counts)
            continue
        cut = counts.get(found.name.strip("/")) if item.maxshape and item.maxshape[0] is None else None
        _copy_dataset(item, made, name, cut)


def _copy_dataset(found: h5py.Dataset, made: h5py.Group, name: str, cut: int | None) -> None:
    if found.shape == ():
        made[name] = found[()]
        made[name].attrs.update(found.attrs)
        return
    count = len(found) if cut is None else cut
    copy = made.create_dataset(
        name, (count, *found.shape[1:]), found.dtype, maxshape=found.maxshape, chunks=found.chunks
    )
    copy.attrs.update(found.attrs)
    step = max(_COPIED_BYTES // max(int(np.prod(found.shape[1:])) * found.dtype.itemsize, 1), 1)
    for first in range(0, count, step):
        copy[first : min(first + step, count)] = found[first : min(first + step, count)]
