"""Frames of European XFEL runs, read with EXtra-data and, for detectors of many modules, assembled with EXtra-geom.

Both are optional; a run without them ends in the line that installs them. The files themselves are HDF5, but their
layout, their trains and their gaps are EXtra-data's business. A frame is a pulse of a train: modules that didn't record
it are unknown there, and named; so are the pixels that ``image.mask`` marks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError, MissingDependencyError
from friedel.core.files.damage import readable
from friedel.core.observer import listed
from friedel.spi.frames.assembly import Assembly, read_assembly
from friedel.spi.frames.source import Beside, FrameOptions, plain_numbers

_SMALLEST_FRAME = 32  # pixels a side: smaller arrays of a run are spectra and tables, no images
# Raw data of gain-switching detectors have a second image beside the first: the gain stage.
_IMAGE_AND_GAIN = 2
# Several devices of a detector, told apart by a number: AGIPD's, LPD's and DSSC's by channel, JUNGFRAU's by name.
_MODULE = re.compile(r"^(?P<detector>.+)/(?P<kind>DET|CORR|FPGA)/(?P<name>\D*)(?P<number>\d+)(?P<rest>(CH\d+)?:\w+)$")
# Modules of each detector: those of which a run has no data are counted as missing.
_N_MODULES = {"AGIPD1M": 16, "LPD1M": 16, "DSSC1M": 16, "AGIPD500K": 8, "JF4M": 8, "JNGFR": 8}
# What is said of a detector's corrected devices, which may stand in a folder beside its raw ones.
_CORRECTED = " (corrected)"
_MASK_KEYS = {"image.data": "image.mask", "data.adc": "data.mask", "image.adc": "image.mask"}
_GAIN_KEYS = ("mask", "gain")


@dataclass(frozen=True, eq=False, kw_only=True)
class _Module:
    """One module of a detector: its data, its mask's, and which of its own rows holds each frame (-1: none)."""

    number: int
    data: Any
    mask: Any
    rows: NDArray[np.intp]


class XfelFrames:
    """A `friedel.spi.frames.source.FrameSource` over one detector of a run.

    Parameters
    ----------
    path : Path
        Folder of the run.
    modules : sequence of _Module
        Those that recorded anything.
    n_modules : int
        How many the detector has.
    assembly : Assembly, optional
        Puts the modules together; needed if there are several.
    notes : tuple of str
        What is odd.
    """

    linkable = False

    def __init__(
        self,
        path: Path,
        modules: Sequence[_Module],
        *,
        n_modules: int = 1,
        assembly: Assembly | None = None,
        notes: tuple[str, ...] = (),
        block: int = 1,
    ) -> None:
        first = modules[0].data
        self.path, self.dataset = path, f"{first.source} {first.key}"
        self._modules, self._assembly, self._n_modules = modules, assembly, n_modules
        self._image = tuple(int(n) for n in first.shape[-2:])
        n_frames = len(modules[0].rows)
        rows_columns = self._image if assembly is None else assembly.shape
        self.shape, self.expected = (n_frames, int(rows_columns[0]), int(rows_columns[1])), n_frames
        self.mask = None if assembly is None else assembly.measured
        self.centre = None if assembly is None else assembly.centre
        self.block, self.notes = block, notes
        masked = next((module.mask for module in modules if module.mask is not None), None)
        self.beside = Beside() if masked is None else Beside(mask=f"{masked.key} (of each frame)", sense="0 is good")
        partial = assembly is not None or masked is not None
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if partial else first.dtype)

    @property
    def files(self) -> tuple[Path, ...]:
        """The run's folder, whose files are looked at one by one."""
        return (self.path,)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``, counted over all trains; NaN where unknown."""
        if self._assembly is None:
            return self._images(self._modules[0], start, stop).astype(self.dtype, copy=False)
        stack = np.full((stop - start, self._n_modules, *self._image), np.nan, np.float32)
        for module in self._modules:
            stack[:, module.number] = self._images(module, start, stop)
        return self._assembly.put_together(stack)

    def _images(self, module: _Module, start: int, stop: int) -> NDArray[Any]:
        rows = module.rows[start:stop]
        there = np.flatnonzero(rows >= 0)
        whole = len(there) == len(rows) and module.mask is None
        images = np.full((len(rows), *self._image), np.nan, np.float32)
        if there.size:
            first, last = int(rows[there].min()), int(rows[there].max())
            values = _rows(module.data, first, last + 1)
            if whole and len(values) == len(rows):
                return values
            picked = values[rows[there] - first].astype(np.float32)
            if module.mask is not None:
                bad = _rows(module.mask, first, last + 1)[rows[there] - first] != 0
                picked[bad] = np.nan
            images[there] = picked
        return images

    def close(self) -> None:
        """Let go of the files; EXtra-data closes them itself."""


def _rows(data: Any, start: int, stop: int) -> NDArray[Any]:
    """Return images ``start`` to ``stop`` of a module, as they are numbered over its trains and memory cells."""
    per_train = _cells(data)
    ends = np.cumsum(data.data_counts(labelled=False) * per_train)
    first, last = np.searchsorted(ends, [start, stop - 1], side="right")
    before = int(ends[first - 1]) if first else 0
    values = data[int(first) : int(last) + 1].ndarray()
    return _flat(values)[start - before : stop - before]


def _cells(data: Any) -> int:
    """Return how many images an entry of the data holds: JUNGFRAU's have one for each memory cell."""
    shape = data.entry_shape
    return int(shape[0]) if len(shape) == 3 and shape[0] > _IMAGE_AND_GAIN else 1


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim == 3:
        return values
    return values[:, 0] if values.shape[1] <= _IMAGE_AND_GAIN else values.reshape(-1, *values.shape[-2:])


def open_xfel_frames(path: Path, options: FrameOptions) -> XfelFrames:
    """Open a detector's frames in the folder of a run.

    Parameters
    ----------
    path : Path
        The folder, ``…/p002145/proc/r0034`` for instance.
    options : FrameOptions
        ``dataset``: "SOURCE KEY", for instance "SQS_NQS_PNCCD1MP/CAL/PNCCD_FMT-0:output data.image"; None: the only
        candidate. ``geometry``: for a detector of several modules.

    Raises
    ------
    MissingDependencyError
        If EXtra-data, or for many modules EXtra-geom, isn't installed.
    InputError
        If the folder is no run, or holds no or several candidates (they are listed).
    """
    try:
        import extra_data
    except ImportError:
        raise MissingDependencyError("EXtra-data", "xfel", "read a European XFEL run") from None
    with readable(path):
        try:
            run = extra_data.RunDirectory(str(path))
        except Exception as error:  # EXtra-data raises a plain Exception for a folder without run files
            raise InputError(f"{path}: not a folder of frames nor a European XFEL run ({error})") from None
        source, key = _chosen(run, path, options.dataset)
        return _opened(run, path, source, key, options)


def _opened(run: Any, path: Path, source: str, key: str, options: FrameOptions) -> XfelFrames:
    names = sorted((s for s, k in _candidates(run) if k == key and _detector(s) == _detector(source)), key=_number)
    names = names or [source]
    several = _MODULE.match(source) is not None and (len(names) > 1 or _known_size(source) > 1)
    if not several and options.geometry is not None:
        raise InputError(f"{path}: {source} is one image a frame; a geometry has no use: leave --geometry out")
    shapes = {run[name, key].entry_shape for name in names}
    if len(shapes) > 1:
        raise InputError(f"{path}: the modules of {_detector(source)} have different shapes {shapes}")
    n_modules = max(_known_size(source), max(_position(name, names) for name in names) + 1) if several else 1
    keys = {name: _frame_keys(run, name, key) for name in names}
    frames, notes = _common_frames(keys, _detector(source), n_modules) if several else (keys[source], [])
    modules = [_module(run, name, key, keys[name], frames, names, options) for name in names]
    block = max(int(run[names[0], key].data_counts(labelled=False).max(initial=1)), 1)
    if not several:
        return XfelFrames(path, modules, block=block)
    if options.geometry is None:
        raise InputError(
            f"{path}: {_detector(source)} has {len(names)} modules; name its CrystFEL geometry file with --geometry"
        )
    image = tuple(int(n) for n in modules[0].data.shape[-2:])
    assembly = read_assembly(options.geometry, (n_modules, *image))
    notes = [*_uncorrected(modules, _detector(source)), *_named_modules(modules, n_modules, _detector(source)), *notes]
    return XfelFrames(path, modules, n_modules=n_modules, assembly=assembly, notes=tuple(notes), block=block)


def _module(
    run: Any, name: str, key: str, own: NDArray[Any], frames: NDArray[Any], names: Sequence[str], options: FrameOptions
) -> _Module:
    mask_key = _MASK_KEYS.get(key)
    masked = options.own_mask != "none" and mask_key is not None and mask_key in run.keys_for_source(name)
    return _Module(
        number=_position(name, names),
        data=run[name, key],
        mask=run[name, mask_key] if masked else None,
        rows=_places(own, frames),
    )


_FRAME = np.dtype([("train", "<u8"), ("pulse", "<u8")])


def _frame_keys(run: Any, name: str, key: str) -> NDArray[Any]:
    """Return the train and pulse of each image of a module."""
    data = run[name, key]
    cells = _cells(data)
    counts = data.data_counts(labelled=False)
    trains = np.repeat(np.asarray(data.train_ids, np.uint64), np.asarray(counts * cells, int))
    group = key.rpartition(".")[0]
    found = np.empty(len(trains), _FRAME)
    found["train"] = trains
    found["pulse"] = np.concatenate([np.zeros(0, int), *(np.arange(n * cells) for n in np.asarray(counts, int))])
    for pulses in (f"{group}.pulseId", f"{group}.cellId"):
        if cells == 1 and pulses in run.keys_for_source(name):
            values = run[name, pulses].ndarray().reshape(-1)
            if len(values) == len(found):
                found["pulse"] = values
                break
    return found


def _common_frames(keys: dict[str, NDArray[Any]], detector: str, n_modules: int) -> tuple[NDArray[Any], list[str]]:
    """Return the frames that at least half of the modules recorded, and what to say of others."""
    every = np.concatenate(list(keys.values()))
    frames, counts = np.unique(every, return_counts=True)
    kept = counts >= max(len(keys) / 2, 1)
    notes = []
    if not kept.all():
        few = sorted({_number(name) for name, own in keys.items() if np.isin(own, frames[~kept]).any()})
        text = f"{int((~kept).sum())} pulses that only module {listed(few)} of {detector} recorded are left out"
        notes.append(text)
    return frames[kept], notes


def _places(own: NDArray[Any], frames: NDArray[Any]) -> NDArray[np.intp]:
    """Return for each frame the row of a module's own images that holds it, -1 where none does."""
    order = np.argsort(own, kind="stable")
    places = np.searchsorted(own[order], frames)
    inside = np.minimum(places, max(len(own) - 1, 0))
    found = (own[order][inside] == frames) if len(own) else np.zeros(len(frames), bool)
    return np.where(found, order[inside] if len(own) else 0, -1)


def _named_modules(modules: Sequence[_Module], n_modules: int, detector: str) -> list[str]:
    """Return a sentence for the modules that have no data, and for those that lack frames."""
    absent = sorted(set(range(n_modules)) - {module.number for module in modules})
    notes = [f"module {listed(absent)} of {detector} has no data: unknown pixels"] if absent else []
    lost = {module.number: int((module.rows < 0).sum()) for module in modules}
    for n_lost in sorted(set(lost.values()) - {0}):
        which = [number for number, n in sorted(lost.items()) if n == n_lost]
        whose = f"module {which[0]} of {detector} misses" if len(which) == 1 else f"modules {listed(which)} each miss"
        notes.append(f"{whose} {n_lost} of {len(modules[0].rows)} frames: unknown pixels there")
    return notes


def _uncorrected(modules: Sequence[_Module], detector: str) -> list[str]:
    """Return a sentence for raw data: whole numbers, where corrected ones are floats."""
    if any(module.data.dtype.kind == "f" for module in modules):
        return []
    return [
        f"{detector}'s data are raw: detector units, of gain stages that aren't told apart; take the corrected run "
        "(proc) if there is one"
    ]


def _chosen(run: Any, path: Path, dataset: str | None) -> tuple[str, str]:
    candidates = _candidates(run)
    each: dict[Any, str] = {}
    for source, key in candidates:  # of a detector's modules the first stands for all
        each.setdefault((_detector(source), key), f"'{source} {key}'")
    listing = "; ".join(each.values()) or "none"
    if dataset is not None:
        source, _, key = dataset.strip().rpartition(" ")
        if source not in run.all_sources or key not in run.keys_for_source(source):
            raise InputError(f"{path}: no data at {dataset!r}; sources with frames: {listing}. Write 'SOURCE KEY'")
        return source, key
    if len(each) != 1:
        how = "choose one with --dataset" if candidates else "is this the right run?"
        raise InputError(f"{path}: sources with frames: {listing}; {how}")
    return candidates[0]


def _candidates(run: Any) -> list[tuple[str, str]]:
    found = [(source, key) for source in sorted(run.instrument_sources) for key in sorted(run.keys_for_source(source))]
    named = [(source, key) for source, key in found if key.rpartition(".")[2] not in _GAIN_KEYS and "mask" not in key]
    return [(source, key) for source, key in named if _are_frames(run[source, key])]


def _are_frames(data: Any) -> bool:
    return data.ndim in (3, 4) and plain_numbers(data.dtype) and min(data.shape[-2:]) >= _SMALLEST_FRAME


def _detector(source: str) -> str:
    """Return a source's name without its module's number: all modules of a detector have this in common."""
    match = _MODULE.match(source)
    return source if match is None else f"{match['detector']}{_CORRECTED if match['kind'] == 'CORR' else ''}"


def _known_size(source: str) -> int:
    return next((n for name, n in _N_MODULES.items() if name in _detector(source)), 1) if _MODULE.match(source) else 1


def _number(source: str) -> int:
    match = _MODULE.match(source)
    return int(match["number"]) if match else 0


def _position(source: str, names: Sequence[str]) -> int:
    """Return a module's place among all: channels count from 0, JUNGFRAU's modules from 1."""
    match = _MODULE.match(source)
    counted_from_one = match is not None and "CH" not in match["rest"] and min(_number(name) for name in names) >= 1
    return _number(source) - (1 if counted_from_one else 0)
