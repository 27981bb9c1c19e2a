"""Frames in HDF5 and CXI files, compressed by any filter, whole, cut off or growing, in one dataset or in many.

Chunks are read and decompressed by HDF5 itself in the reading thread: measured against reading raw chunks and
decompressing them apart, it is as quick, and it knows every filter.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5z
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable
from friedel.core.files.hdf5 import OpenedFile, open_hdf5
from friedel.core.files.written import SoundChunks, unwritten, written_chunks
from friedel.spi.frames import hdf5_layout as layout
from friedel.spi.frames.assembly import Assembly, odd_shape, read_assembly, require_whole
from friedel.spi.frames.emc import open_emc_frames
from friedel.spi.frames.source import Beside, DifferentFramesError, FrameOptions, FrameSource

# Frames by whose own masks it is judged what they mean: a single one may be bad as a whole.
_FIRST = 16
# Zeros are packed to a hundredth and less by any filter, beside some bytes of header.
PACKED_ZEROS, LEAST_PACKED = 0.02, 256


class Hdf5Frames:
    """A `friedel.spi.frames.source.FrameSource` over datasets of frames of one shape in an open HDF5 file."""

    def __init__(self, path: Path, opened: OpenedFile, names: Sequence[str], options: FrameOptions) -> None:
        self.path, self.dataset = path, layout.pattern_of(names)
        self._opened, self._parts = opened, [opened.file[name] for name in names]
        first = self._parts[0]
        self._recorded = _recorded(first)
        self._assembly = _assembly(path, self.dataset, self._recorded, options.geometry)
        self.centre = None if self._assembly is None else self._assembly.centre
        self._starts = np.cumsum([0, *(_length(part) for part in self._parts)])
        gone = [_missing_frames(part, opened.n_bytes, path) for part in self._parts]
        self._missing = np.concatenate([missing for missing, _ in gone])
        self._holes = [
            hole for (_, holes), start in zip(gone, self._starts, strict=False) for hole in _moved(holes, start)
        ]
        self.expected = int(self._starts[-1])
        n_there = _n_there(self._missing)
        rows, columns = self._recorded if self._assembly is None else self._assembly.shape
        self.shape = (n_there, int(rows), int(columns))
        self.dtype: np.dtype[Any] = first.dtype.newbyteorder("=")
        self._meaning = options.own_mask
        self.mask, self._frame_masks, self.beside = self._read_masks(names, options)
        if self._frame_masks or self._holes:
            self.dtype = np.dtype(np.float32)
        self.block = int(first.chunks[0]) if first.chunks and first.ndim > 2 else 1
        self.plain = len(names) == 1 and not self._frame_masks and not self._holes
        plain = self._assembly is None and self.dtype == first.dtype and first.ndim == 3
        self.linkable = opened.n_bytes is None and plain and len(names) == 1 and bool(first.dtype.isnative)
        self.notes: tuple[str, ...] = (*opened.notes, *_shortfall(n_there, self), *self._odd(names, options))

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those its frames really lie in."""
        folder = self.path.resolve().parent
        names = {part.file.filename for part in self._parts}
        names |= {str(folder / s.file_name) for part in self._parts if part.is_virtual for s in part.virtual_sources()}
        behind = {Path(name) for name in names if not name.endswith("/.") and name != str(self.path)}
        return (self.path, *sorted(behind))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``; NaN where a mask of their own hides a pixel.

        Raises
        ------
        OSError
            If one of them was never written or can't be decompressed.
        """
        if self._missing[start:stop].any():
            raise OSError(f"{self.path}: some of the frames {start} to {stop} are not in the file")
        values = self._stretch(self._parts, start, stop)
        if not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        for names in self._frame_masks:
            masks = self._stretch([self._opened.file[name] for name in names], start, stop)
            values = np.where(layout.good_from(masks, names[0], self._meaning), values, np.nan).astype(np.float32)
        if self._holes:
            values = self._with_holes(values.astype(np.float32), start)
        return values if self._assembly is None else self._assembly.put_together(values)

    def close(self) -> None:
        """Close the file."""
        self._opened.file.close()

    def _stretch(self, parts: Sequence[h5py.Dataset], start: int, stop: int) -> NDArray[Any]:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        found = []
        for index in range(first, len(parts)):
            low, high = int(self._starts[index]), int(self._starts[index + 1])
            if low >= stop:
                break
            found.append(_slab(parts[index], max(start - low, 0), min(stop, high) - low, self._recorded))
        return found[0] if len(found) == 1 else np.concatenate([np.zeros((0, *self._recorded), self.dtype), *found])

    def _with_holes(self, values: NDArray[Any], start: int) -> NDArray[Any]:
        for hole in self._holes:
            low, high = max(hole[0].start - start, 0), min(hole[0].stop - start, len(values))
            if low < high:
                values[(slice(low, high), *hole[1:])] = np.nan
        return values

    def _read_masks(
        self, names: Sequence[str], options: FrameOptions
    ) -> tuple[NDArray[np.bool_] | None, list[list[str]], Beside]:
        """Return the mask of all frames, the names of masks of each frame, and what to say of them."""
        good = None if self._assembly is None else self._assembly.measured
        each: list[list[str]] = []
        if options.own_mask == "none":
            return good, each, Beside()
        file, used = self._opened.file, []
        for name, beside in self._masks_of(names).items():
            item = file[name]
            _load_filters(item)
            if item.shape[1:] == self._recorded and item.shape[0] > 1:
                alike = [name] if len(names) == 1 else _alike(name, beside, names)
                absent = [other for other in alike if other not in file]
                if absent:
                    raise InputError(
                        f"{self.path}: {name} masks each frame, but there is no {absent[0]} for the other frames; name "
                        "one of the datasets, or leave masks out with own_mask: none"
                    )
                if alike in each or any(name in others for others in each):
                    continue
                if options.own_mask is None:
                    good_first = layout.good_from(np.asarray(item[:_FIRST]), name)
                    layout.require_sense(good_first, name, self.path, "frames.own_mask")
                each.append(alike)
                used.append((name, " (of each frame)"))
                continue
            own = layout.good_from(np.asarray(item[()]).reshape(self._recorded), name, options.own_mask)
            if options.own_mask is None:
                layout.require_sense(own, name, self.path, "frames.own_mask")
            own = own if self._assembly is None else self._assembly.put_together(own[None])[0]
            good = own if good is None else good & own
            used.append((name, ""))
        sense = layout.sense_of([name for name, _ in used], options.own_mask) if used else ""
        return good, each, Beside(mask=", ".join(name + which for name, which in used), sense=sense)

    def _masks_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the masks, and which dataset each lies beside: of one detector's entries one alone may have them."""
        asked: dict[str, str] = {}
        for name in names:
            asked.setdefault(name.rpartition("/")[0], name)
        lengths = dict(zip(names, map(_length, self._parts), strict=True))
        found: dict[str, str] = {}
        for name in asked.values():
            for mask in layout.mask_names(self._opened.file, name, (lengths[name], *self._recorded)):
                found.setdefault(mask, name)
        return found

    def _odd(self, names: Sequence[str], options: FrameOptions) -> list[str]:
        odd = [
            f"{name} links to a file that isn't there: its frames are lost"
            for name in layout.missing_links(self._opened.file, names)
        ]
        if self.mask is None and not self._frame_masks and options.own_mask != "none":
            shape = (_length(self._parts[0]), *self._recorded)
            misfit = layout.misfits(self._opened.file, names[0], shape)
            odd += [f"the file's own {item} doesn't fit its frames {self._recorded} and is not used" for item in misfit]
        return [*odd, *(odd_shape(self._recorded) if self._assembly is None else ())]


def open_hdf5_frames(path: Path, options: FrameOptions) -> FrameSource:
    """Open the frames of an HDF5 or CXI file.

    Parameters
    ----------
    path : Path
        The file.
    options : FrameOptions
        Which dataset, what its mask means, the modules' geometry.

    Raises
    ------
    InputError
        If there is no such dataset, none or several to choose from (they are listed), or it isn't frames.
    """
    opened = open_hdf5(path)
    try:
        with readable(path):
            if "place_ones" in opened.file and options.dataset is None:
                opened.file.close()
                return open_emc_frames(path)
            names = dataset_names(opened.file, path, options)
            for name in names:
                _load_filters(opened.file[name])
                if len(names) > 1 and name == names[1]:
                    break  # the others are of the same kind
            return Hdf5Frames(path, opened, names, options)
    except BaseException:
        opened.file.close()
        raise


def dataset_names(file: h5py.File, path: Path, options: FrameOptions) -> list[str]:
    """Return the datasets to read; they are frames of one shape and number type.

    Raises
    ------
    InputError
        If they aren't: they are listed.
    """
    groups = grouped_names(file, path, options)
    if len(groups) > 1:
        listing = "; ".join(f"{names[0]} {file[names[0]].shape} {file[names[0]].dtype}" for names in groups)
        raise DifferentFramesError(
            f"{path}: its entries hold frames of different shapes; choose one with --dataset: {listing}"
        )
    return groups[0]


def grouped_names(file: h5py.File, path: Path, options: FrameOptions) -> list[list[str]]:
    """Return all datasets of frames of a file, grouped by what can be read as one: shape and number type."""
    if options.dataset is not None:
        names = layout.named_frames(file, path, options.dataset)
    else:
        names = layout.frame_names(file, path, modules=options.geometry is not None)
    groups: dict[Any, list[str]] = {}
    for name in names:
        groups.setdefault((_recorded(file[name]), file[name].ndim, file[name].dtype.str), []).append(name)
    return list(groups.values()) if len(groups) == 1 else [[name] for name in names]


def _alike(mask: str, beside: str, names: Sequence[str]) -> list[str]:
    """Return the masks that lie to all datasets as this one does to the one it is beside: in their own groups."""
    own, tail = beside.split("/")[0], mask.split("/")[1:]
    return [
        "/".join([name.split("/")[0] if mask.split("/")[0] == own else mask.split("/")[0], *tail]) for name in names
    ]


def _recorded(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape of one frame as recorded: ``(y, x)`` or ``(modules, y, x)``."""
    shape = tuple(int(n) for n in dataset.shape)
    if dataset.ndim == 2:
        return shape
    return shape[2:] if dataset.ndim == 4 and shape[1] == 1 else shape[1:]


def _length(dataset: h5py.Dataset) -> int:
    return int(dataset.shape[0]) if dataset.ndim > 2 else 1


def _slab(dataset: h5py.Dataset, start: int, stop: int, recorded: tuple[int, ...]) -> NDArray[Any]:
    if dataset.ndim > 2:
        SoundChunks(dataset).require(start, stop)
    values = np.asarray(dataset[()] if dataset.ndim == 2 else dataset[start:stop])
    if dataset.ndim > 2 and dataset.chunks and not dataset.is_virtual:
        _require_written(dataset, start + np.flatnonzero(~values.reshape(len(values), -1).any(axis=1)))
    return values.reshape(-1, *recorded)


def _require_written(dataset: h5py.Dataset, empty: NDArray[np.intp]) -> None:
    """Raise OSError if frames that read as zeros aren't to be found, or are stored as something else.

    A damaged index may list chunks that are not found; and of some that can't be unpacked the library makes zeros.
    """
    packed = dataset.id.get_create_plist().get_nfilters() > 0 and dataset.chunks == (1, *dataset.shape[1:])
    n_bytes = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
    for first in {int(index) // dataset.chunks[0] * dataset.chunks[0] for index in empty}:
        found = dataset.id.get_chunk_info_by_coord((first, *(0 for _ in dataset.shape[1:])))
        if found.byte_offset is None:
            raise OSError(f"{dataset.file.filename}: the chunk of frame {first} isn't found")
        if packed and PACKED_ZEROS * n_bytes + LEAST_PACKED < found.size < n_bytes:
            raise OSError(f"{dataset.file.filename}: frame {first} reads as zeros, but is stored in {found.size} bytes")


def _assembly(path: Path, name: str, recorded: tuple[int, ...], geometry: Path | None) -> Assembly | None:
    """Return how modules are put together, or None for frames that are whole.

    Raises
    ------
    InputError
        If there are modules and no geometry.
    """
    if geometry is not None:
        return read_assembly(geometry, recorded)
    require_whole(recorded, f"{path}: {name}")
    return None


def _load_filters(dataset: h5py.Dataset) -> None:
    """Register the detectors' compression filters, unless HDF5 alone can read the dataset: importing takes time."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())] if dataset.chunks else []
    if dataset.is_virtual or not all(h5z.filter_avail(code) for code in filters):
        import hdf5plugin  # noqa: F401


Box = tuple[slice, ...]


def _moved(holes: Sequence[Box], start: int) -> list[Box]:
    return [(slice(hole[0].start + int(start), hole[0].stop + int(start)), *hole[1:]) for hole in holes]


def _missing_frames(dataset: h5py.Dataset, n_bytes: int | None, path: Path) -> tuple[NDArray[np.bool_], list[Box]]:
    """Return which frames were never written, or lie beyond a cut-off file's end, ``(n,)``; and parts of others."""
    missing = np.zeros(_length(dataset), bool)
    if dataset.is_virtual:
        boxes = unwritten(dataset, path)
        whole = [
            box
            for box in boxes
            if all(part.stop - part.start >= n for part, n in zip(box[1:], dataset.shape[1:], strict=True))
        ]
        for box in whole:
            missing[box[0]] = True
        return missing, [box for box in boxes if box not in whole]
    if dataset.size == 0 or dataset.ndim == 2:
        return missing, []
    if dataset.chunks:
        return _missing_chunks(dataset, n_bytes), []
    offset, frame_bytes = dataset.id.get_offset(), int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize
    if offset is None:
        missing[:] = dataset.id.get_storage_size() == 0 and dataset.external is None
    elif n_bytes is not None:
        missing[max((n_bytes - offset) // frame_bytes, 0) :] = True
    return missing, []


def _missing_chunks(dataset: h5py.Dataset, n_bytes: int | None) -> NDArray[np.bool_]:
    counts = [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    per_slab = np.zeros(counts[0], int)
    for place in written_chunks(dataset, n_bytes):
        per_slab[place[0] // dataset.chunks[0]] += 1
    incomplete = per_slab < int(np.prod(counts[1:]))
    return np.repeat(incomplete, dataset.chunks[0])[: dataset.shape[0]]


def _n_there(missing: NDArray[np.bool_]) -> int:
    """Return the number of frames up to the last one that is there."""
    there = np.flatnonzero(~missing)
    return int(there[-1]) + 1 if there.size else 0


def _shortfall(n_there: int, source: Hdf5Frames) -> tuple[str, ...]:
    if n_there == source.expected:
        return ()
    return (f"{n_there} of the {source.expected} frames that {source.dataset} has room for are there",)
