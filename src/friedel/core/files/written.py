"""Which parts of an HDF5 dataset hold data, and which HDF5 would only read as zeros.

A chunk that was never written, a virtual source that is missing or too short: reading says nothing of either.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import h5py

from friedel.core.errors import InputError

Box = tuple[slice, ...]


def unwritten(dataset: h5py.Dataset, path: Path) -> list[Box]:
    """Return the boxes of a dataset that hold no data, in its own indices.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of any dimension.
    path : Path
        The file that was opened, for messages.

    Raises
    ------
    InputError
        If nothing of it was ever written, or none of the files behind it is there.
    """
    if dataset.is_virtual:
        return _virtual(dataset, path)
    whole = tuple(slice(0, n) for n in dataset.shape)
    if dataset.size and dataset.chunks is None:
        external = bool(dataset.external)
        absent = dataset.id.get_offset() is None and dataset.id.get_storage_size() == 0 and not external
        if absent and dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS:
            raise InputError(f"{path}: {dataset.name} was never written; all its frames would be empty")
        return []
    if not dataset.size or dataset.chunks is None:
        return []
    missing = list(_missing_chunks(dataset))
    if len(missing) == _n_chunks(dataset):
        raise InputError(f"{path}: {dataset.name} was never written; all its frames would be empty")
    return [tuple(_cut(part, limit) for part, limit in zip(box, whole, strict=True)) for box in missing]


# The filter bitshuffle in HDF5's registry, and its option for LZ4.
_BITSHUFFLE, _LZ4 = 32008, 2


class SoundChunks:
    """Looks whether chunks of bitshuffled LZ4 are as long as they say: unpacking one that isn't can crash the process.

    A chunk begins with its unpacked length (8 bytes) and the length of its blocks (4), both unpacked; each block with
    its packed length (4 bytes), all big-endian.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of any filter; of others nothing is looked at.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        plist = dataset.id.get_create_plist()
        code, options = 0, ()
        if dataset.chunks and plist.get_nfilters() == 1:
            code, _, options, _ = plist.get_filter(0)
        self.needed = code == _BITSHUFFLE and _LZ4 in tuple(options)[4:5]
        self._name, self._read = dataset.name, dataset.id.read_direct_chunk
        if self.needed:
            self._size = self._n_bytes = dataset.dtype.itemsize
            for n in dataset.chunks:
                self._n_bytes *= n
            self._depth = dataset.chunks[0]
            self._rest = list(
                product(*(range(0, n, step) for n, step in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)))
            )

    def require(self, start: int, stop: int) -> None:
        """Raise OSError if a chunk of some frames is damaged; what was never written is let pass."""
        if not self.needed:
            return
        for first in range(start // self._depth * self._depth, stop, self._depth):
            for rest in self._rest:
                try:
                    _, data = self._read((first, *rest))
                except (OSError, RuntimeError, ValueError):  # never written
                    continue
                if not _is_sound(data, self._n_bytes, self._size):
                    raise OSError(f"a chunk of {self._name} is damaged (its lengths don't fit)")


def _is_sound(data: bytes, n_bytes: int, size: int) -> bool:
    if len(data) < 12 or int.from_bytes(data[:8], "big") != n_bytes:
        return False
    block = int.from_bytes(data[8:12], "big")
    if block <= 0 or block % (8 * size):
        return False
    # Whole blocks, one of what is left in eights of elements, and the last few elements as they are.
    whole, rest = divmod(n_bytes, block)
    at = 12
    for _ in range(whole + (rest >= 8 * size)):
        if at + 4 > len(data):
            return False
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return at + rest % (8 * size) == len(data)


def _n_chunks(dataset: h5py.Dataset) -> int:
    total = 1
    for n, chunk in zip(dataset.shape, dataset.chunks, strict=True):
        total *= -(-n // chunk)
    return total


def _missing_chunks(dataset: h5py.Dataset) -> Iterator[Box]:
    written = written_chunks(dataset)
    if len(written) == _n_chunks(dataset):
        return
    for box in dataset.iter_chunks():
        # iter_chunks cuts the last box to the shape; offsets are whole chunks.
        if tuple(part.start for part in box) not in written:
            yield tuple(slice(part.start, part.stop) for part in box)


def written_chunks(dataset: h5py.Dataset, n_bytes: int | None = None) -> set[tuple[int, ...]]:
    """Return the places of the chunks that were written, as indices of their first elements.

    Their number isn't enough: in a damaged index chunks may lie elsewhere, and HDF5 reads zeros where they belong.

    Parameters
    ----------
    dataset : h5py.Dataset
        In chunks.
    n_bytes : int or None
        Length of a file that was cut off: what lies beyond it isn't there.
    """
    written: set[tuple[int, ...]] = set()
    shape, steps = dataset.shape, dataset.chunks

    def add(chunk: Any) -> None:
        at = chunk.chunk_offset
        inside = all(k < n and k % step == 0 for k, n, step in zip(at, shape, steps, strict=True))
        if inside and (n_bytes is None or chunk.byte_offset + chunk.size <= n_bytes):
            written.add(tuple(at))

    dataset.id.chunk_iter(add)
    return written


def _cut(part: slice, limit: slice) -> slice:
    return slice(part.start, min(part.stop, limit.stop))


def _virtual(dataset: h5py.Dataset, path: Path) -> list[Box]:
    home = Path(dataset.file.filename).parent
    sources = [source for source in dataset.virtual_sources() if "%" not in source.file_name]
    absent: list[Box] = []
    names: list[str] = []
    covered = [False] * dataset.shape[0]
    for source in sources:
        start, stop = source.vspace.get_select_bounds()
        box = tuple(slice(low, min(high + 1, n)) for low, high, n in zip(start, stop, dataset.shape, strict=True))
        for frame in range(box[0].start, box[0].stop):
            covered[frame] = True
        lacking = _lacking(dataset, source, box, home)
        if lacking and lacking[0] == box:
            names.append(str(home / source.file_name))
        absent += lacking
    if len(names) >= max(1, len(sources)):
        raise InputError(
            f"{path}: {dataset.name} refers to {names[0]}, which is missing; copy it beside (its frames would be zeros)"
        )
    rest = tuple(slice(0, n) for n in dataset.shape[1:])
    if len(sources) == len(dataset.virtual_sources()):
        absent += [(slice(frame, frame + 1), *rest) for frame, is_there in enumerate(covered) if not is_there]
    return absent


def _lacking(dataset: h5py.Dataset, source: h5py._hl.vds.VDSmap, box: Box, home: Path) -> list[Box]:
    """Return what a virtual source leaves empty, in the dataset's indices: all of it, or the frames it is short of."""
    if source.file_name == ".":
        found = dataset.file.get(source.dset_name)
        return [box] if not isinstance(found, h5py.Dataset) else _short(found, source, box)
    behind = home / source.file_name
    if not behind.is_file():
        return [box]
    try:
        with h5py.File(behind, "r") as file:
            found = file.get(source.dset_name)
            return [box] if not isinstance(found, h5py.Dataset) else _short(found, source, box)
    except OSError:
        return [box]


def _short(found: h5py.Dataset, source: h5py._hl.vds.VDSmap, box: Box) -> list[Box]:
    try:
        start, stop = source.src_space.get_select_bounds()
    except ValueError:  # all of the source, of which HDF5 keeps no shape
        start, stop = (0,) * len(box), tuple(part.stop - part.start - 1 for part in box)
    n_there, n_mapped = max(0, min(found.shape[0], stop[0] + 1) - start[0]), box[0].stop - box[0].start
    holes = [] if n_there >= n_mapped else [(slice(box[0].start + n_there, box[0].stop), *box[1:])]
    if found.is_virtual or found.chunks is None or n_there == 0 or len(found.shape) != len(box):
        return holes
    # Chunks of whole frames that were never written in the file behind.
    for chunk in _missing_chunks(found):
        first, last = chunk[0].start - start[0], chunk[0].stop - start[0]
        if last > 0 and first < n_mapped:
            at = slice(box[0].start + max(first, 0), box[0].start + min(last, n_mapped))
            holes.append((at, *box[1:]))
    return holes
