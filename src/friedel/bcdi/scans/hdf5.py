"""A rocking scan in one HDF5 file, in the manner of BLISS or NeXus."""

from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.angles import Reading, scan_geometry
from friedel.bcdi.scans.beamline import Beamline, Hdf5Layout
from friedel.bcdi.scans.contradictions import watch_contradictions
from friedel.bcdi.scans.detector_images import (
    Recorded,
    fitting_monitor,
    is_monitor,
    read_detector_images,
    say_frames,
    scan_of,
    watch_monitors,
)
from friedel.bcdi.scans.pixels import pixel_size, recorded_pixel_size
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.arrays import dataset_at
from friedel.core.files.damage import readable, require_file
from friedel.core.files.frame_stack import FrameStack, find_stack, frames_in, masks_beside, misfits_beside, stack_at
from friedel.core.files.hdf5 import unit_of
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.core.units import in_unit

# A column may have so many values more or less than there are frames: one end of a scan, or the edges of its steps.
LOOSE_ENDS = 1
# A column of another length than this share of the frames belongs to something else.
NEARLY_ALL = 0.9
# A motor that only trembles differs by less between two readings, in its unit or as a share of where it stands.
STILL = 1e-3


def read_hdf5_scan(source: ScanSource, beamline: Beamline, *, observer: Observer = silent) -> BraggScan:
    """Read frames, motors, dark, flat and masks of one scan.

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
        stack = _stack(entry, layout, source)
        placement = Placement(recorded_yx=stack.shape[1:], window=source.window, region=source.region)
        name = f"{source.path.name} {entry.name.strip('/')}"
        recorded = read_stack(entry, stack, placement, observer, name=name)
        if source.mask is None and source.mask_dataset is not None:
            named = dataset_at(file, source.mask_dataset, source.path)
            recorded = replace(recorded, masks={source.mask_dataset: np.asarray(named[()])})
        readings = Readings(entry, layout, len(recorded.frames), observer)
        pitch = pixel_size(beamline, source, recorded_pixel_size(entry, stack), stack.name, observer)
        known = readings.names()
        geometry = scan_geometry(
            beamline, source, readings.look, placement, pixel_size_m=pitch, recorded=known, observer=observer
        )
        watch_contradictions(entry, stack, geometry, source, observer)
        monitor = readings.monitor(layout.monitor)
        if monitor is None:
            watch_monitors(readings.columns(), observer)
        observer(Note("file", f"{source.path}, dataset {entry.name.rstrip('/')}/{stack.name}"))
    images = read_detector_images(source, recorded, placement, dark_is=beamline.dark_is, observer=observer)
    n_frames, rows, columns = recorded.frames.shape
    observer(Note("reading", f"{name}: {n_frames} frames of {rows} × {columns}, {recorded.frames.dtype}"))
    return scan_of(recorded, images, geometry, monitor=monitor, name=name)


def read_stack(
    entry: h5py.Group, stack: FrameStack, placement: Placement, observer: Observer, *, name: str
) -> Recorded:
    """Read the window of a stack's frames and the masks beside it, and say what of it was never written.

    Parameters
    ----------
    entry : h5py.Group
        The scan's group; its masks go before those elsewhere in the file.
    stack : FrameStack
        The frames ``(n, y, x)``.
    placement : Placement
        Which window of them is read.
    observer : Observer
        Hears progress, and what is missing.
    name : str
        Origin of the data, for messages.
    """
    frames, lost = stack.read(placement.window_in_frames, observer=observer)
    say_frames(len(frames), lost, observer, name=name, missing=stack.missing, dtype=str(frames.dtype))
    masks = masks_beside(entry, stack) or masks_beside(entry.file, stack)
    for misfit in [] if masks else misfits_beside(stack):
        text = f"{name}: its mask {misfit} doesn't fit its frames {stack.shape[1:]} and is not used"
        observer(Warned("mask", text, bends=True))
    return Recorded(frames=frames, lost=lost, masks=masks, bits=stack.path.suffix.lower() == ".cxi")


class Readings:
    """The motors of an entry: a number, or one per frame."""

    def __init__(self, entry: h5py.Group, layout: Hdf5Layout, n_frames: int, observer: Observer = silent) -> None:
        self.entry, self.groups, self.n_frames, self.observer = entry, layout.positioners, n_frames, observer
        self.actuator = _actuator(entry, layout)
        self.unfit: dict[str, int] = {}
        self._said: set[str] = set()

    def look(self, name: str, unit: str) -> Reading | None:
        """Return a motor's reading; what it was scanned through goes before where it stood.

        Parameters
        ----------
        name : str
            The motor's, or a path inside the entry.
        unit : str
            What is wanted; where the file says that it has another one of the kind, the reading is converted.
        """
        if self.actuator is not None and self.actuator[0] == name:
            return self.at(self.actuator[1], unit)
        paths = [name] if "/" in name else [f"{group}/{name}" for group in self.groups]
        readings = [reading for path in paths if (reading := self.at(path, unit)) is not None]
        # The scanned motor stands in one group with all its positions and may stand in another at its start.
        found = next((reading for reading in readings if np.ndim(reading) > 0), readings[0] if readings else None)
        self._watch_contradiction(name, readings, unit)
        unfit = [(path, self.unfit[path]) for path in paths if path in self.unfit]
        if unfit and np.ndim(found if found is not None else 0.0) == 0:
            path, size = unfit[0]
            raise InputError(
                f"{self.entry.file.filename}: {self.n_frames} frames but {size} positions in {path}: which frame was "
                "where isn't known; is it another scan's, or are frames missing?"
            )
        return found

    def _watch_contradiction(self, name: str, readings: list[Reading], unit: str) -> None:
        """Warn where a motor that isn't scanned stands at several places, as before a scan and after it."""
        still = [float(reading) for reading in readings if np.ndim(reading) == 0]
        if len(still) < len(readings) or not still or f"{name} differs" in self._said:
            return
        if max(still) - min(still) > STILL * max(1.0, abs(still[0])):
            places = " and at ".join(f"{value:.6g}" for value in dict.fromkeys(still))
            text = f"{name} stands at {places} {unit} in the file; the first is used"
            self.observer(Warned("angles", text, bends=True))
            self._said.add(f"{name} differs")

    def names(self) -> list[str]:
        """Return what the groups of motors hold; a group that isn't there is named so."""
        found: list[str] = []
        for group in self.groups:
            item = _get(self.entry, group)
            found += item if isinstance(item, h5py.Group) else [f"(no group {group!r})"]
        return found

    def columns(self) -> dict[str, Reading]:
        """Return what has a value per frame in the groups of motors and counters, by name."""
        found: dict[str, Reading] = {}
        for group in {*self.groups, "measurement"}:
            item = _get(self.entry, group)
            for name in item if isinstance(item, h5py.Group) else ():
                inner = _get(item, name) if is_monitor(name) else None
                channels = [f"{name}/{channel}" for channel in inner] if isinstance(inner, h5py.Group) else [name]
                for channel in channels if inner is not None else ():
                    reading = self.at(f"{group}/{channel}")
                    if reading is not None and np.ndim(reading) == 1:
                        found.setdefault(channel, reading)
        return found

    def monitor(self, name: str | None) -> NDArray[np.float64] | None:
        """Return the monitor of the beamline's description, a reading a frame."""
        values = self.at(name) if name else None
        unfit = self.unfit.get(name or "", 0)
        return fitting_monitor(name, values, self.n_frames, self.observer, n_recorded=unfit)

    def at(self, path: str, unit: str | None = None) -> Reading | None:
        """Return what stands at a path: a number, or one per frame; None if there is nothing of that kind."""
        found = _get(self.entry, path)
        if isinstance(found, h5py.Group):
            found = _get(found, "value")
        numbers = _numbers(found) if isinstance(found, h5py.Dataset) else None
        if numbers is None:
            return None
        values = self._converted(numbers, found, path, unit)
        if values.size == 1:
            return float(values[0])
        if values.size == self.n_frames:
            return values
        if self.n_frames > 1 and NEARLY_ALL * self.n_frames <= values.size <= self.n_frames + LOOSE_ENDS:
            text = f"{path} has {values.size} positions for {self.n_frames} frames; "
            end = "the last is left out" if values.size > self.n_frames else "the last frames have none"
            self.observer(Warned("angles", text + end))
            padded = np.full(self.n_frames, np.nan)
            padded[: min(values.size, self.n_frames)] = values[: self.n_frames]
            return padded
        if values.size > 1:
            self.unfit[path] = values.size
        return None

    def _converted(
        self, values: NDArray[np.float64], found: h5py.Dataset, path: str, unit: str | None
    ) -> NDArray[np.float64]:
        recorded = unit_of(found)
        converted = None if unit is None else in_unit(values, recorded, unit)
        if converted is None or np.array_equal(converted, values):
            return values
        if path not in self._said:
            self.observer(
                Note("angles" if unit == "deg" else "unit", f"{path} is recorded in {recorded}; used in {unit}")
            )
            self._said.add(path)
        return np.asarray(converted, np.float64)


def _numbers(found: h5py.Dataset) -> NDArray[np.float64] | None:
    """Return a dataset's numbers, also those that were written as text; None if it holds none."""
    if found.dtype.kind in "iuf":
        return np.asarray(found[()], dtype=np.float64).ravel()
    if h5py.check_string_dtype(found.dtype) is None:
        return None
    words = np.atleast_1d(np.asarray(found.asstr(errors="replace")[()], dtype=object)).ravel()
    try:
        return np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        return None


def _actuator(entry: h5py.Group, layout: Hdf5Layout) -> tuple[str, str] | None:
    """Return the scanned motor and the path of its positions, where a file keeps these under a name of their own."""
    scanned = layout.scanned
    if scanned is None or not isinstance(_get(entry, scanned.positions), h5py.Dataset):
        return None
    if scanned.motor_named_in is None:
        return (scanned.motor, scanned.positions) if scanned.motor else None
    text = _get(entry, scanned.motor_named_in)
    if not isinstance(text, h5py.Dataset):
        return (scanned.motor, scanned.positions) if scanned.motor else None
    words = text[()]
    words = words[0] if isinstance(words, np.ndarray) and words.size else words
    name = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    motor = next((known for known in scanned.motors if name.strip().lower().endswith(known.lower())), scanned.motor)
    return (motor, scanned.positions) if motor else None


def _get(group: h5py.Group, path: str) -> Any:
    """Return what is at a path, whose parts may hold ``*``; None if nothing is."""
    if "*" not in path:
        try:
            return group.get(path)
        except (KeyError, OSError):
            return None
    first, _, rest = path.partition("/")
    names = [name for name in group if fnmatch(name, first)]
    for name in names:
        item = group.get(name)
        found = item if not rest else _get(item, rest) if isinstance(item, h5py.Group) else None
        if found is not None:
            return found
    return None


def _entry(file: h5py.File, layout: Hdf5Layout, source: ScanSource) -> h5py.Group:
    entries = [name for name in file if isinstance(_get(file, name), h5py.Group)]
    if "{scan" in layout.entry and source.number is None:
        raise InputError(
            f"{source.path}: holds {', '.join(entries[:10]) or 'nothing'}; choose one with the option 'scan'"
        )
    wanted = layout.entry.format(scan=source.number)
    if source.order is not None and wanted.endswith(".1"):
        wanted = f"{source.number}.{source.order}"
    found = _get(file, wanted)
    if isinstance(found, h5py.Group):
        return found
    ending = [name for name in entries if name.endswith(f"_{wanted}")]
    if len(ending) != 1:
        raise InputError(
            f"{source.path}: no entry {wanted!r} (or only one ending so); it holds {', '.join(entries[:10]) or 'none'}"
        )
    return file[ending[0]]


def _stack(entry: h5py.Group, layout: Hdf5Layout, source: ScanSource) -> FrameStack:
    if source.dataset:
        return stack_at(entry, source.dataset, source.path)
    for pattern in layout.frames:
        if "*" not in pattern and _get(entry, pattern) is not None:
            return stack_at(entry, pattern, source.path)
    there = frames_in(entry)
    matched = [name for pattern in layout.frames for name in there if fnmatch(name, pattern)]
    if matched:
        return stack_at(entry, matched[0], source.path)
    if len(there) == 1:
        return find_stack(entry, source.path)
    raise InputError(
        f"{source.path}: {entry.name} has no frames at {', '.join(layout.frames)}; its 3D datasets: "
        f"{', '.join(there) or 'none'}. Choose one with the option 'dataset'"
    )
