"""A rocking scan kept as an EIGER's master file with a text file: PETRA III's ``.fio``, or Bluesky's documents."""

from pathlib import Path

import h5py

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.angles import Reading, scan_geometry
from friedel.bcdi.scans.beamline import Beamline, FioLayout
from friedel.bcdi.scans.contradictions import watch_contradictions
from friedel.bcdi.scans.detector_images import fitting_monitor, read_detector_images, scan_of, watch_monitors
from friedel.bcdi.scans.hdf5 import read_stack
from friedel.bcdi.scans.pixels import pixel_size, recorded_pixel_size
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.spec_tiff import fitted_column
from friedel.core.errors import InputError
from friedel.core.files.bluesky import SUFFIXES, read_bluesky
from friedel.core.files.damage import readable, require_file
from friedel.core.files.fio import read_fio
from friedel.core.files.frame_stack import stack_at
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, silent

# The text file lies in the scan's folder, the frames in one of the detector's below it.
LEVELS_UP = 3


def read_fio_scan(source: ScanSource, beamline: Beamline, *, observer: Observer = silent) -> BraggScan:
    """Read frames, motors, dark, flat and masks of one scan.

    Raises
    ------
    InputError
        If a file is missing or damaged, or lacks the frames or an angle.
    """
    layout = beamline.layout
    if not isinstance(layout, FioLayout):
        raise InputError(f"{source.path}: beamline {beamline.name!r} doesn't keep its angles in .fio files")
    master = _found(source, layout)
    text = source.spec or _beside(master, source, layout)
    fio = read_bluesky(text, source.number) if text.suffix.lower() in SUFFIXES else read_fio(text)
    with readable(master), h5py.File(master, "r") as file:
        stack = stack_at(file, source.dataset or layout.frames, master)
        placement = Placement(recorded_yx=stack.shape[1:], window=source.window, region=source.region)
        recorded = read_stack(file, stack, placement, observer, name=master.name)
        pitch = pixel_size(beamline, source, recorded_pixel_size(file, stack), stack.name, observer)
        n_frames = len(recorded.frames)

        def look(name: str, _unit: str) -> Reading | None:
            column = fio.columns.get(name)
            return fio.motors.get(name) if column is None else fitted_column(column, n_frames, name, text, observer)

        known = {*fio.columns, *fio.motors}
        geometry = scan_geometry(
            beamline, source, look, placement, pixel_size_m=pitch, recorded=known, observer=observer
        )
        watch_contradictions(file, stack, geometry, source, observer)
    observer(Note("file", f"{master}, dataset {stack.name}; angles in {text.name}: {fio.command}"))
    images = read_detector_images(source, recorded, placement, dark_is=beamline.dark_is, observer=observer)
    monitor = fitting_monitor(layout.monitor, fio.columns.get(layout.monitor or ""), n_frames, observer)
    if monitor is None:
        watch_monitors(fio.columns, observer)
    observer(Note("reading", f"{master.name}: {recorded.frames.shape}, {recorded.frames.dtype}; {fio.command}"))
    return scan_of(recorded, images, geometry, monitor=monitor, name=master.name.removesuffix("_master.h5"))


def _found(source: ScanSource, layout: FioLayout) -> Path:
    if not source.path.is_dir():
        require_file(source.path)
        return source.path
    pattern = layout.master.format(scan=source.number) if source.number is not None else "*_master.h5"
    found = sorted(source.path.rglob(pattern))
    if len(found) != 1:
        listed = ", ".join(str(path) for path in found[:5]) or "none"
        raise InputError(f"{source.path}: one master file {pattern!r} is wanted below it, found {listed}; state 'scan'")
    return found[0]


def _beside(master: Path, source: ScanSource, layout: FioLayout) -> Path:
    stem = master.name.removesuffix("_master.h5")
    pattern = layout.fio.format(scan=source.number) if source.number is not None else f"{stem}.fio"
    for folder in [*master.parents][:LEVELS_UP]:
        found = sorted(folder.glob(f"{stem}.fio")) or sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
    raise InputError(f"{master}: no {pattern!r} beside it or above; name the .fio file with the option 'spec'")
