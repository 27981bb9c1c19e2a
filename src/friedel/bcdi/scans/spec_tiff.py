"""A rocking scan kept as a folder of TIFF frames and a SPEC file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.angles import Reading, scan_geometry
from friedel.bcdi.scans.beamline import Beamline, SpecTiffLayout
from friedel.bcdi.scans.detector_images import read_detector_images, with_unknown
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.placement import Placement
from friedel.core.files.spec import SpecScan, read_spec_scan
from friedel.core.files.tiff import find_frames, frame_shape, read_frames
from friedel.core.observer import Note, Observer, Warned, silent

SUM_TOLERANCE = 0.01
SUM_REFUSED = 0.2


def read_spec_tiff(source: ScanSource, beamline: Beamline, *, observer: Observer = silent) -> BraggScan:
    """Read frames, motors, dark, flat and mask of one scan.

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
    spec = read_spec_scan(source.spec, source.scan)
    files = find_frames(source.path, layout.folder.format(scan=spec.number))
    placement = _placement(frame_shape(files), spec, layout, source, observer)
    frames = read_frames(files, spec.n_points, window=source.window, observer=observer)
    n_frames, rows, columns = frames.shape
    if source.window is None:
        _check_sums(frames, spec, layout, source, observer)
    images = read_detector_images(source, n_frames, placement, dark_is=beamline.dark_is, observer=observer)

    def look(name: str) -> Reading | None:
        column = spec.columns.get(name)
        return column[:n_frames] if column is not None else spec.motors.get(name)

    geometry = scan_geometry(beamline, source, look, placement, observer=observer)
    monitor = spec.columns.get(layout.monitor or "")
    name = f"{source.path.name} scan {spec.number}"
    observer(Note("reading", f"{name}: {n_frames} frames of {rows} × {columns}, {frames.dtype}; {spec.command}"))
    return BraggScan(
        frames=with_unknown(frames, images.unknown),
        mask=images.mask,
        beam=geometry.beam,
        detector=geometry.detector,
        diffractometer=geometry.diffractometer,
        motors_deg=geometry.motors_deg,
        dark=images.dark,
        flat=images.flat,
        monitor=monitor[:n_frames] if monitor is not None else None,
        name=name,
    )


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
        observer(Warned("frames", f"frames {which} don't have the sum that SPEC counted; they are used as they are"))
