"""The picture of a plan's geometry, before anything is reconstructed: from its files' angles, or with all at zero."""

from pathlib import Path

import numpy as np

from friedel.bcdi.figures.geometry import draw_geometry
from friedel.bcdi.geometry.instrument import Circle, Detector, Diffractometer
from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.beamline import load_beamline
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing


def draw_source(source: ScanSource, path: Path) -> str:
    """Draw a scan's geometry into a picture, and return what it shows in a sentence.

    Parameters
    ----------
    source : ScanSource
        Names a beamline; its files are read for the angles if they are there.
    path : Path
        The picture (``.png``, ``.pdf``, ``.svg``).

    Raises
    ------
    InputError
        If there is no beamline, its description is wrong, or the picture can't be written.
    """
    if source.beamline is None:
        raise InputError("the plan names no beamline, so there is no geometry to draw")
    beamline = load_beamline(source.beamline)
    scan, why = _scan(source)
    if scan is not None and scan.diffractometer is not None and scan.detector is not None:
        circles, detector = scan.diffractometer, scan.detector
        angles = {name: float(np.nanmedian(np.asarray(value))) for name, value in scan.motors_deg.items()}
        said = "the angles at the middle of the scan"
    else:
        circles = Diffractometer(
            sample_circles=tuple(Circle(c.motor, c.axis) for c in beamline.sample_circles),
            detector_circles=tuple(Circle(c.motor, c.axis) for c in beamline.detector_circles),
        )
        options = beamline.detector
        detector = Detector(
            pixel_size_m=options.pixel_size_m,
            distance_m=source.distance_m or 1.0,
            y_axis=options.y_axis,
            x_axis=options.x_axis,
            direct_beam_yx=(0.0, 0.0),
        )
        angles = {c.motor: 0.0 for c in (*beamline.sample_circles, *beamline.detector_circles)}
        said = f"all circles at zero ({why})"
    figure = draw_geometry(diffractometer=circles, detector=detector, motors_deg=angles, title=beamline.name)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=150, format=path.suffix.lstrip(".") or "png")
    return f"{path}: the geometry of {beamline.name}, {said}"


def _scan(source: ScanSource) -> tuple[BraggScan | None, str]:
    """Return the scan, of which only a corner of the frames is read; or why it can't be."""
    try:
        return read_scan(source.model_copy(update={"window": (0, 2, 0, 2), "mask_beside": False, "mask": None})), ""
    except InputError as error:
        return None, str(error)
