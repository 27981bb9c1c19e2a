"""Frames of European XFEL runs, read with EXtra-data and, for detectors of many modules, assembled with EXtra-geom.

Both are optional; a run without them ends in the line that installs them. The files themselves are HDF5, but their
layout, their trains and their gaps are EXtra-data's business.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError, MissingDependencyError
from friedel.core.files.damage import readable
from friedel.spi.frames.source import plain_numbers

_SMALLEST_FRAME = 32
# Raw data of gain-switching detectors have a second image beside the first: the gain stage.
_IMAGE_AND_GAIN = 2
_GEOMETRIES = {"AGIPD1M": "AGIPD_1MGeometry", "LPD1M": "LPD_1MGeometry", "DSSC1M": "DSSC_1MGeometry"}


class XfelFrames:
    """A `friedel.spi.frames.source.FrameSource` over one detector of a run.

    Parameters
    ----------
    path : Path
        Folder of the run.
    modules : sequence of extra_data.KeyData
        One per detector module, all with the same trains and frames.
    geometry : extra_geom geometry, optional
        Puts the modules together; needed if there are several.
    """

    mask: NDArray[np.bool_] | None = None
    linkable = False
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, modules: Sequence[Any], geometry: Any = None) -> None:
        self.path, self.dataset = path, f"{modules[0].source} {modules[0].key}"
        self._modules, self._geometry = modules, geometry
        self._kept: tuple[tuple[int, int], list[NDArray[Any]]] | None = None
        counts = modules[0].data_counts(labelled=False)
        self._ends = np.cumsum(counts)
        self.block = max(int(counts.max(initial=1)), 1)
        rows_columns = modules[0].shape[-2:] if geometry is None else geometry.output_array_for_position().shape
        self.shape = (int(counts.sum()), int(rows_columns[-2]), int(rows_columns[-1]))
        self.dtype: np.dtype[Any] = np.dtype(modules[0].dtype if geometry is None else np.float32)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``, counted over all trains; NaN between modules."""
        first, last = np.searchsorted(self._ends, [start, stop - 1], side="right")
        before = int(self._ends[first - 1]) if first else 0
        wanted = slice(start - before, stop - before)
        images = [images[wanted] for images in self._trains(int(first), int(last))]
        if self._geometry is None:
            return images[0]
        assembled, _ = self._geometry.position_modules(np.stack(images, axis=1).astype(np.float32))
        return assembled

    def _trains(self, first: int, last: int) -> list[NDArray[Any]]:
        """Return each module's images of whole trains; a train is often longer than a batch, so the last stay."""
        if self._kept is None or self._kept[0] != (first, last):
            images = [_image(module[first : last + 1].ndarray()) for module in self._modules]
            self._kept = (first, last), images
        return self._kept[1]

    def close(self) -> None:
        """Let go of the files; EXtra-data closes them itself."""


def open_xfel_frames(path: Path, *, dataset: str | None = None, geometry: Path | None = None) -> XfelFrames:
    """Open a detector's frames in the folder of a run.

    Parameters
    ----------
    path : Path
        The folder, ``…/p002145/proc/r0034`` for instance.
    dataset : str, optional
        "SOURCE KEY", for instance "SQS_NQS_PNCCD1MP/CAL/PNCCD_FMT-0:output data.image"; None: the only candidate.
    geometry : Path, optional
        CrystFEL geometry file, for a detector of 16 modules.

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
        source, key = _chosen(run, path, dataset)
        modules = _modules(run, path, source, key)
        return XfelFrames(path, modules, _geometry(path, modules, geometry))


def _chosen(run: Any, path: Path, dataset: str | None) -> tuple[str, str]:
    candidates = _candidates(run)
    each: dict[str, str] = {}
    for source, key in candidates:  # of a detector's modules the first stands for all
        each.setdefault(_detector(source), f"'{source} {key}'")
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
    return [(source, key) for source, key in found if "mask" not in key and _are_frames(run[source, key])]


def _are_frames(data: Any) -> bool:
    plane = data.ndim == 3 or (data.ndim == 4 and data.shape[1] in (1, _IMAGE_AND_GAIN))
    return plane and plain_numbers(data.dtype) and min(data.shape[-2:]) >= _SMALLEST_FRAME


def _detector(source: str) -> str:
    """Return a source's name without its module's number: all modules of a detector have this in common."""
    return source.split("/DET/")[0] if source.endswith(":xtdf") else source


def _modules(run: Any, path: Path, source: str, key: str) -> list[Any]:
    """Return the data of every module of the source's detector, on the trains that all of them have."""
    names = sorted((s for s, k in _candidates(run) if k == key and _detector(s) == _detector(source)), key=_number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what was chosen on purpose
        complete = run.select([(name, key) for name in names or [source]], require_all=True)
    modules = [complete[name, key] for name in names or [source]]
    shapes = {module.shape for module in modules}
    if len(shapes) > 1:
        raise InputError(f"{path}: the modules of {_detector(source)} have different shapes {shapes}")
    return modules


def _number(source: str) -> int:
    name = source.rsplit("/", 1)[-1].split("CH")[0]
    return int(name) if name.isdigit() else 0


def _geometry(path: Path, modules: Sequence[Any], file: Path | None) -> Any:
    if len(modules) == 1:
        return None
    detector = _detector(modules[0].source)
    kind = next((name for name in _GEOMETRIES if name in detector), None)
    if file is None or kind is None:
        what = "name its CrystFEL geometry file with --geometry" if kind else "assemble it with EXtra-geom first"
        raise InputError(f"{path}: {detector} has {len(modules)} modules; {what}")
    try:
        import extra_geom
    except ImportError:
        raise MissingDependencyError("EXtra-geom", "particles", "put a detector's modules together") from None
    return getattr(extra_geom, _GEOMETRIES[kind]).from_crystfel_geom(str(file))


def _image(data: NDArray[Any]) -> NDArray[Any]:
    return data[:, 0] if data.ndim == 4 else data
