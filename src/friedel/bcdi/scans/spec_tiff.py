"""A rocking scan kept as TIFF, EDF or CBF frames and a SPEC file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.angles import Reading, scan_geometry
from friedel.bcdi.scans.beamline import Beamline, SpecTiffLayout
from friedel.bcdi.scans.detector_images import (
    Recorded,
    fitting_monitor,
    read_detector_images,
    say_frames,
    scan_of,
    watch_monitors,
)
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.arrays import read_volume
from friedel.core.files.placement import Placement
from friedel.core.files.spec import SpecScan, read_spec_scan
from friedel.core.files.tiff import find_frames, find_pages, frame_shape, read_frames
from friedel.core.observer import Note, Observer, Warned, silent

# Share (and 10 counts beside) by which a frame's sum may differ from what SPEC counted. Frames of another scan, or in
# another order, differ by far more along a rocking curve; hot pixels that were corrected in one of the two by less.
SUM_TOLERANCE = 0.01
# Share of frames that may differ before the scan is refused; below it they are warned of. A choice: single frames are
# rewritten or lost, while frames and points that are out of step differ nearly everywhere.
SUM_REFUSED = 0.2


def read_spec_tiff(source: ScanSource, beamline: Beamline, *, observer: Observer = silent) -> BraggScan:
    """Read frames, motors, dark, flat and masks of one scan.

    Raises
    ------
    InputError
        If a file is missing or damaged, or frames and SPEC points don't belong together.
    """
    layout = beamline.layout
    if not isinstance(layout, SpecTiffLayout) or source.spec is None:
        raise InputError(
            f"{source.path}: beamline {beamline.name!r} keeps angles in a SPEC file; name it with the option 'spec'"
        )
    spec = read_spec_scan(source.spec, source.number, order=source.order)
    for note in spec.notes:
        observer(Warned("file", f"{source.spec.name}: {note}"))
    frames, recorded_yx, where = _frames(source, spec, layout, observer)
    placement = _placement(recorded_yx, spec, layout, source, observer)
    n_frames, rows, columns = frames.shape
    if source.window is None:
        _check_sums(frames, spec, layout, source, observer)
    name = f"{source.path.name} scan {spec.number}"
    observer(Note("file", f"{where}; angles in {source.spec}, scan {spec.number}: {spec.command}"))
    lost = np.isnan(frames) if frames.dtype.kind == "f" and np.isnan(frames).any() else None
    say_frames(n_frames, lost, observer, name=name, dtype=str(frames.dtype))
    recorded = Recorded(frames=frames)
    images = read_detector_images(source, recorded, placement, dark_is=beamline.dark_is, observer=observer)

    def look(motor: str, _unit: str) -> Reading | None:
        column = spec.columns.get(motor)
        if column is None:
            return spec.motors.get(motor)
        return fitted_column(column, n_frames, motor, source.spec, observer)

    known = {*spec.columns, *spec.motors}
    geometry = scan_geometry(beamline, source, look, placement, recorded=known, observer=observer)
    monitor = fitting_monitor(layout.monitor, spec.columns.get(layout.monitor or ""), n_frames, observer)
    if monitor is None:
        watch_monitors(spec.columns, observer)
    observer(Note("reading", f"{name}: {n_frames} frames of {rows} × {columns}, {frames.dtype}; {spec.command}"))
    return scan_of(recorded, images, geometry, monitor=monitor, name=name)


def fitted_column(
    column: NDArray[np.float64], n_frames: int, motor: str, path: Path | None, observer: Observer
) -> NDArray[np.float64]:
    """Return a column with as many values as there are frames; NaN where it is too short.

    Parameters
    ----------
    column : (n_points,) float64
        Positions of a motor.
    n_frames : int
        Number of frames.
    motor : str
        Its name, for messages.
    path : Path or None
        The file, for messages.
    observer : Observer
        Warned where the numbers differ.

    Raises
    ------
    InputError
        If there are twice as many of one as of the other: they belong to different scans.
    """
    if column.size == n_frames:
        return column
    if not 0.5 * n_frames <= column.size <= 2 * n_frames:
        raise InputError(
            f"{path}: {column.size} positions of {motor!r} but {n_frames} frames: they belong to different scans, or "
            "the copy is incomplete"
        )
    text = f"{column.size} positions of {motor!r} for {n_frames} frames; the first of each belong together"
    observer(Warned("angles", text))
    fitted = np.full(n_frames, np.nan)
    fitted[: min(column.size, n_frames)] = column[:n_frames]
    return fitted


def _frames(
    source: ScanSource, spec: SpecScan, layout: SpecTiffLayout, observer: Observer
) -> tuple[NDArray[Any], tuple[int, int], str]:
    """Return the window of the frames, rows and columns as recorded, and where they were found."""
    folder = layout.folder.format(scan=spec.number)
    pages = find_pages(source.path, folder)
    if pages is not None:
        whole = read_volume(pages).values
        y0, y1, x0, x1 = source.window or (0, whole.shape[1], 0, whole.shape[2])
        return whole[:, y0:y1, x0:x1], (whole.shape[1], whole.shape[2]), f"{pages}, {len(whole)} pages"
    files = find_frames(source.path, folder)
    frames = read_frames(files, spec.n_points, window=source.window, observer=observer)
    numbers = f"numbered {min(files)} to {max(files)}"
    return frames, frame_shape(files), f"{next(iter(files.values())).parent}, {len(files)} files {numbers}"


def _placement(
    recorded_yx: tuple[int, int], spec: SpecScan, layout: SpecTiffLayout, source: ScanSource, observer: Observer
) -> Placement:
    region = spec.region(layout.region)
    if region is not None and (region[1] - region[0], region[3] - region[2]) != recorded_yx:
        observer(Warned("region", f"the SPEC header's region {region} isn't of the frames' size; it is ignored"))
        region = None
    region = source.region or region
    return Placement(recorded_yx=recorded_yx, window=source.window, region=region)


def _check_sums(
    frames: NDArray[Any], spec: SpecScan, layout: SpecTiffLayout, source: ScanSource, observer: Observer
) -> None:
    """Compare each frame's sum with what SPEC counted: other frames, or another order, would show."""
    counted = spec.columns.get(layout.frame_sum or "")
    if counted is None or not counted.any():
        return
    counted, sums = counted[: len(frames)], np.array([frame.sum(dtype=np.float64) for frame in frames])
    known = np.isfinite(sums)
    differ = known & (np.abs(sums - counted) > SUM_TOLERANCE * np.abs(counted) + 10)
    if differ.sum() > SUM_REFUSED * known.sum():
        raise InputError(
            f"{source.path}: the sums of {int(differ.sum())} of {len(frames)} frames disagree with column "
            f"{layout.frame_sum!r} of scan {spec.number} in {source.spec}: these frames belong to "
            "another scan; check 'path' and 'scan'"
        )
    if differ.any():
        which = ", ".join(map(str, np.flatnonzero(differ)[:8]))
        text = f"frames {which} don't have the sum that SPEC counted; they are used as they are"
        observer(Warned("frames", text, bends=True))
