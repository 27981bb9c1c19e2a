"""Frames in HDF5 and CXI files, compressed or not, whole, cut off or still growing.

Chunks are read and decompressed by HDF5 itself in the reading thread: measured against reading raw chunks and
decompressing them apart, it is as quick, and it knows every filter.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5z
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.core.files.damage import DAMAGED, readable
from friedel.core.files.hdf5 import CONVENTIONAL, OpenedFile, open_hdf5
from friedel.spi.frames.source import plain_numbers

MASKS = ("mask", "pixel_mask")


class Hdf5Frames:
    """A `friedel.spi.frames.source.FrameSource` over one dataset ``(n, y, x)`` of an open HDF5 file."""

    def __init__(self, path: Path, opened: OpenedFile, dataset: h5py.Dataset, mask: NDArray[Any] | None) -> None:
        self.path, self.dataset = path, str(dataset.name).strip("/")
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
        self.block = int(dataset.chunks[0]) if dataset.chunks else 1
        self._opened, self._data = opened, dataset
        self._missing = _missing_frames(dataset, opened.n_bytes)
        n_there = _n_there(self._missing)
        self.shape = (n_there, int(dataset.shape[1]), int(dataset.shape[2]))
        self.mask, self._frame_mask, mask_notes = _sort_mask(mask, dataset.shape)
        if self._frame_mask is not None:
            self.dtype = np.dtype(np.float32)
        self.linkable = opened.n_bytes is None and self._frame_mask is None and bool(dataset.dtype.isnative)
        self.notes: tuple[str, ...] = (*opened.notes, *_shortfall(n_there, dataset), *mask_notes)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``; NaN where a mask of their own hides a pixel.

        Raises
        ------
        OSError
            If one of them was never written or can't be decompressed.
        """
        if self._missing[start:stop].any():
            raise OSError(f"{self.path}: some of the frames {start} to {stop} are not in the file")
        values = np.asarray(self._data[start:stop])
        if not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        if self._frame_mask is not None:
            values = np.where(good_pixels(self._frame_mask[start:stop]), values, np.nan).astype(np.float32)
        return values

    def close(self) -> None:
        """Close the file."""
        self._opened.file.close()


def open_hdf5_frames(path: Path, *, dataset: str | None = None) -> Hdf5Frames:
    """Open the frames of an HDF5 or CXI file.

    Parameters
    ----------
    path : Path
        The file.
    dataset : str, optional
        Path of the frames in it; None: where CXI and NeXus keep them, else the only 3D dataset of numbers.

    Raises
    ------
    InputError
        If there is no such dataset, none or several to choose from (they are listed), or it isn't frames.
    """
    opened = open_hdf5(path)
    try:
        with readable(path):
            found = _frames_dataset(opened.file, path, dataset)
            _require_sources(found, path)
            _load_filters(found)
            return Hdf5Frames(path, opened, found, _own_mask(found))
    except BaseException:
        opened.file.close()
        raise


def _frames_dataset(file: h5py.File, path: Path, name: str | None) -> h5py.Dataset:
    if name is not None:
        return _named(file, path, name)
    for usual in CONVENTIONAL:
        found = _get(file, usual)
        if isinstance(found, h5py.Dataset) and _is_frames(found):
            return found
    candidates = [found for found in _datasets(file) if _is_frames(found)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(f"{path}: holds several 3D datasets; choose one with --dataset: {_listing(candidates)}")
    raise InputError(f"{path}: holds no 3D dataset of frames (n, y, x); it holds {_listing(_datasets(file))}")


def _named(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    found = _get(file, name)
    if not isinstance(found, h5py.Dataset):
        frames = [item for item in _datasets(file) if _is_frames(item)]
        raise InputError(f"{path}: no dataset {name!r}; its 3D datasets: {_listing(frames)}")
    if not _is_frames(found):
        raise InputError(f"{path}: {name} is {found.dtype} of shape {found.shape}, not frames (n, y, x) of numbers")
    return found


def _is_frames(found: h5py.Dataset) -> bool:
    masks = str(found.name).rsplit("/", 1)[-1] in MASKS
    return found.ndim == 3 and plain_numbers(found.dtype) and not masks and min(found.shape[1:]) > 1


def _datasets(group: h5py.Group) -> list[h5py.Dataset]:
    """Return every dataset below a group, in order; a damaged one is passed over, links are not followed."""
    found: list[h5py.Dataset] = []
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = _get(group, name)
        if isinstance(item, h5py.Dataset):
            found.append(item)
        elif isinstance(item, h5py.Group):
            found += _datasets(item)
    return found


def _get(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    try:
        return group.get(name)
    except DAMAGED:
        return None


def _listing(datasets: list[h5py.Dataset]) -> str:
    named = [f"{str(item.name).strip('/')} {item.shape} {item.dtype}" for item in datasets[:20]]
    return "; ".join(named) or "nothing"


def _require_sources(dataset: h5py.Dataset, path: Path) -> None:
    """Raise InputError if the dataset is a view of files that aren't there: HDF5 would read zeros."""
    names = {source.file_name for source in dataset.virtual_sources()} if dataset.is_virtual else set()
    for name in sorted(names - {"."}):
        if not (path.resolve().parent / name).is_file():
            raise InputError(f"{path}: {dataset.name} is a view of {name}, which is missing; bring it back beside it")


def _load_filters(dataset: h5py.Dataset) -> None:
    """Register the detectors' compression filters, unless HDF5 alone can read the dataset: importing takes time."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())] if dataset.chunks else []
    if dataset.is_virtual or not all(h5z.filter_avail(code) for code in filters):
        import hdf5plugin  # noqa: F401


def _own_mask(dataset: h5py.Dataset) -> NDArray[Any] | None:
    """Return the mask that stands beside the frames, ``(y, x)`` or ``(n, y, x)``, or None."""
    for name in MASKS:
        found = _get(dataset.parent, name)
        if isinstance(found, h5py.Dataset) and found.dtype.kind in "bui":
            _load_filters(found)
            return found if found.ndim == 3 else np.asarray(found[()])
    return None


def _sort_mask(
    mask: NDArray[Any] | None, shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_] | None, NDArray[Any] | None, tuple[str, ...]]:
    """Return the mask of all frames, the mask of each frame, and a note if there is one that fits neither."""
    if mask is None:
        return None, None, ()
    if mask.ndim == 2 and mask.shape == shape[1:]:
        return good_pixels(mask), None, ()
    if mask.ndim == 3 and mask.shape == shape:
        return None, mask, ()
    return None, None, (f"the file's own mask {mask.shape} doesn't fit its frames {shape[1:]} and is not used",)


def _missing_frames(dataset: h5py.Dataset, n_bytes: int | None) -> NDArray[np.bool_]:
    """Return which frames were never written, or lie beyond the end of a cut-off file, ``(n,)``."""
    n_frames = int(dataset.shape[0])
    missing = np.zeros(n_frames, bool)
    if dataset.is_virtual or n_frames == 0:
        return missing
    if dataset.chunks:
        return _missing_chunks(dataset, n_bytes)
    offset, frame_bytes = dataset.id.get_offset(), int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize
    if offset is None:
        missing[:] = dataset.id.get_storage_size() == 0 and dataset.external is None
    elif n_bytes is not None:
        missing[max((n_bytes - offset) // frame_bytes, 0) :] = True
    return missing


def _missing_chunks(dataset: h5py.Dataset, n_bytes: int | None) -> NDArray[np.bool_]:
    counts = [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    if n_bytes is None and dataset.id.get_num_chunks() == int(np.prod(counts)):
        return np.zeros(dataset.shape[0], bool)
    per_slab = np.zeros(counts[0], int)

    def count(chunk: Any) -> None:
        if n_bytes is None or chunk.byte_offset + chunk.size <= n_bytes:
            per_slab[chunk.chunk_offset[0] // dataset.chunks[0]] += 1

    dataset.id.chunk_iter(count)
    incomplete = per_slab < counts[1] * counts[2]
    return np.repeat(incomplete, dataset.chunks[0])[: dataset.shape[0]]


def _n_there(missing: NDArray[np.bool_]) -> int:
    """Return the number of frames up to the last one that is there."""
    there = np.flatnonzero(~missing)
    return int(there[-1]) + 1 if there.size else 0


def _shortfall(n_there: int, dataset: h5py.Dataset) -> tuple[str, ...]:
    if n_there == dataset.shape[0]:
        return ()
    return (f"{n_there} of the {dataset.shape[0]} frames that {str(dataset.name).strip('/')} has room for are there",)
