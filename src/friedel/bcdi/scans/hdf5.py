"""A rocking scan in one HDF5 file, in the manner of BLISS or NeXus."""

from fnmatch import fnmatch
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.angles import Reading, scan_geometry
from friedel.bcdi.scans.beamline import Beamline, Hdf5Layout
from friedel.bcdi.scans.detector_images import read_detector_images, with_unknown
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.arrays import dataset_at
from friedel.core.files.damage import readable, require_file
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, Progress, Warned, silent


def read_hdf5_scan(source: ScanSource, beamline: Beamline, *, observer: Observer = silent) -> BraggScan:
    """Read frames, motors, dark, flat and mask of one scan.

    Raises
    ------
    InputError
        If the file is missing or damaged, or lacks the scan, its frames or an angle.
    """
    layout = beamline.layout
    if not isinstance(layout, Hdf5Layout):
        raise InputError(f"{source.path}: beamline {beamline.name!r} doesn't keep its scans in HDF5")
    require_file(source.path)
    with readable(source.path), h5py.File(source.path, "r") as file:
        entry = _entry(file, layout, source)
        dataset = _frames_dataset(entry, layout, source)
        recorded_yx = dataset.shape[1], dataset.shape[2]
        placement = Placement(recorded_yx=recorded_yx, window=source.window, region=source.region)
        frames = _frames(dataset, placement, source, observer)
        readings = _Readings(entry, layout.positioners, len(frames))
        n_frames, rows, columns = frames.shape
        geometry = scan_geometry(beamline, source, readings.look, placement, observer=observer)
        monitor = readings.at(layout.monitor) if layout.monitor else None
        name = f"{source.path.name} {entry.name.strip('/')}"
    images = read_detector_images(source, n_frames, placement, dark_is=beamline.dark_is, observer=observer)
    observer(Note("reading", f"{name}: {n_frames} frames of {rows} × {columns}, {frames.dtype}"))
    return BraggScan(
        frames=with_unknown(frames, images.unknown),
        mask=images.mask,
        beam=geometry.beam,
        detector=geometry.detector,
        diffractometer=geometry.diffractometer,
        motors_deg=geometry.motors_deg,
        dark=images.dark,
        flat=images.flat,
        monitor=None if monitor is None else np.broadcast_to(monitor, n_frames),
        name=name,
    )


class _Readings:
    """The motors of an entry: a number, or one per frame."""

    def __init__(self, entry: h5py.Group, groups: tuple[str, ...], n_frames: int) -> None:
        self.entry, self.groups, self.n_frames = entry, groups, n_frames

    def look(self, name: str) -> Reading | None:
        paths = [name] if "/" in name else [f"{group}/{name}" for group in self.groups]
        readings = [reading for path in paths if (reading := self.at(path)) is not None]
        # The scanned motor stands in one group with all its positions and may stand in another at its start.
        return next((reading for reading in readings if np.ndim(reading) > 0), readings[0] if readings else None)

    def at(self, path: str) -> Reading | None:
        found = self.entry.get(path)
        if isinstance(found, h5py.Group):
            found = found.get("value")
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iuf":
            return None
        values = np.asarray(found[()], dtype=np.float64).ravel()
        if values.size >= self.n_frames > 1:
            return values[: self.n_frames]
        return float(values[0]) if values.size == 1 else None


def _entry(file: h5py.File, layout: Hdf5Layout, source: ScanSource) -> h5py.Group:
    entries = [name for name, found in file.items() if isinstance(found, h5py.Group)]
    if "{scan}" in layout.entry and source.scan is None:
        raise InputError(
            f"{source.path}: holds {', '.join(entries[:10]) or 'nothing'}; choose one with the option 'scan'"
        )
    wanted = layout.entry.format(scan=source.scan)
    if isinstance(file.get(wanted), h5py.Group):
        return file[wanted]
    ending = [name for name in entries if name.endswith(f"_{wanted}")]
    if len(ending) != 1:
        raise InputError(
            f"{source.path}: no entry {wanted!r} (or only one ending so); it holds {', '.join(entries[:10]) or 'none'}"
        )
    return file[ending[0]]


def _frames_dataset(entry: h5py.Group, layout: Hdf5Layout, source: ScanSource) -> h5py.Dataset:
    patterns = (source.dataset,) if source.dataset else layout.frames
    found: list[str] = []

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 3:
            found.append(name)

    entry.visititems(visit)
    # visititems skips soft and external links, which is how BLISS refers to frames; names without * are tried as such.
    direct = [name for name in patterns if "*" not in name and isinstance(entry.get(name), h5py.Dataset)]
    matched = direct or [name for pattern in patterns for name in found if fnmatch(name, pattern)]
    if not matched:
        candidates = ", ".join(found) or "none"
        raise InputError(
            f"{source.path}: {entry.name} has no frames at {', '.join(patterns)}; its 3D datasets: {candidates}. "
            "Choose one with the option 'dataset'"
        )
    dataset = dataset_at(entry, matched[0], source.path)
    if dataset.ndim != 3 or dataset.dtype.kind not in "iuf" or 0 in dataset.shape:
        raise InputError(
            f"{source.path}: {dataset.name} is {dataset.dtype} of shape {dataset.shape}, not frames (n, y, x)"
        )
    return dataset


def _frames(dataset: h5py.Dataset, placement: Placement, source: ScanSource, observer: Observer) -> NDArray[Any]:
    written = dataset.id.get_offset() is not None or dataset.is_virtual or dataset.id.get_storage_size() > 0
    if not written:
        observer(Warned("frames", f"{source.path}: {dataset.name} was never written; all its frames would be empty"))
    y0, y1, x0, x1 = placement.window_in_frames
    out = np.empty((len(dataset), *placement.shape), dataset.dtype)
    for index in range(len(out)):
        dataset.read_direct(out, np.s_[index, y0:y1, x0:x1], np.s_[index])
        observer(Progress("reading frames", index + 1, len(out)))
    return out
