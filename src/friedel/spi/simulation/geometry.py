"""Detector geometries measured at the instrument: CrystFEL ``.geom`` files, through EXtra-geom, as frame masks.

Panels are taken as upright rectangles: the fraction of a degree by which real ones are turned moves no mask pixel.
"""

from pathlib import Path
from typing import Any

import numpy as np

from friedel.core.errors import InputError
from friedel.core.optional import load_optional
from friedel.spi.detectors import FrameDetector, Layout, Panel, layout_detector

GEOMETRIES = {
    "agipd1m": "AGIPD_1MGeometry",
    "agipd500k": "AGIPD_500K2GGeometry",
    "dssc1m": "DSSC_1MGeometry",
    "epix100": "Epix100Geometry",
    "epix10k": "Epix10KGeometry",
    "jungfrau4m": "JUNGFRAUGeometry",
    "lpd1m": "LPD_1MGeometry",
    "pnccd": "PNCCDGeometry",
}
"""Detectors whose geometry files EXtra-geom reads, and its class for each."""


def read_frame_geometry(
    path: str | Path, detector: str, shape: tuple[int, int] = (256, 256), *, binning: int | None = None
) -> FrameDetector:
    """Read a geometry file and return the detector as a frame of the wanted size shows it.

    Parameters
    ----------
    path : str or Path
        CrystFEL geometry file.
    detector : str
        Which detector it describes: a key of `GEOMETRIES`.
    shape : (int, int)
        ``(y, x)`` of the frames; the beam passes through their middle.
    binning : int, optional
        Detector pixels along the edge of a frame's pixel; None shows about all of the detector.

    Raises
    ------
    InputError
        If the file is missing or no geometry of that detector, the detector unknown, or no panel within the frame.
    MissingDependencyError
        Without EXtra-geom.
    """
    if detector not in GEOMETRIES:
        raise InputError(f"EXtra-geom has no geometry for {detector!r}; choose one of: {', '.join(GEOMETRIES)}")
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such geometry file; check the path")
    geometry = _geometry(path, detector)
    pixel = float(geometry.pixel_size)
    panels = tuple(_panel(tile, pixel) for module in geometry.modules for tile in module)
    return layout_detector(Layout(pixel_size_m=pixel, panels=panels), path.name, shape, binning=binning)


def _geometry(path: Path, detector: str) -> Any:
    extra_geom = load_optional("extra_geom", package="EXtra-geom", extra="spi", purpose="read detector geometry files")
    try:
        return getattr(extra_geom, GEOMETRIES[detector]).from_crystfel_geom(str(path))
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path}: not a CrystFEL geometry of the {detector} ({error})") from None


def _panel(tile: Any, pixel: float) -> Panel:
    """Return a tile's rectangle in pixels; EXtra-geom's x is the frames' x, its y points up."""
    corners = np.asarray(tile.corners()) / pixel
    left, top = float(corners[:, 0].min()), float(-corners[:, 1].max())
    return top, left, float(np.ptp(corners[:, 1])), float(np.ptp(corners[:, 0]))
