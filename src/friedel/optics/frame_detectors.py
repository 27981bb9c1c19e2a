"""Detectors of single-particle imaging as masks of any size: where a frame has gaps, notches and a hole for the beam.

The panels stand in `panels`; a measured geometry comes through `friedel.io.frame_geometry`. What the electronics adds
to a frame is not treated here.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.optics.panels import Layout, agipd1m, cspad, epix10k2m, jungfrau4m, pnccd

LAYOUTS: Mapping[str, Callable[..., Layout]] = {
    "pnccd": pnccd,
    "cspad": cspad,
    "jungfrau4m": jungfrau4m,
    "epix10k2m": epix10k2m,
    "agipd1m": agipd1m,
}
"""Panels of the known detectors, as functions of the opening at the beam in pixels."""

FRAME_DETECTORS: tuple[str, ...] = tuple(LAYOUTS)
"""Names that `frame_detector` knows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameDetector:
    """The detector of a run of frames.

    Attributes
    ----------
    name : str
        One of `FRAME_DETECTORS`, or the name of a geometry file.
    mask : (y, x) bool
        True where the detector measures. The beam passes through the frame's middle, ``(n - 1) / 2`` of both axes.
    pixel_size_m : float
        Pitch of the frame's pixels, binning included.
    binning : int
        Detector pixels along each edge of a frame's pixel.
    """

    name: str
    mask: NDArray[np.bool_]
    pixel_size_m: float
    binning: int


def frame_detector(
    name: str,
    shape: tuple[int, int] = (256, 256),
    *,
    binning: int | None = None,
    opening_px: float | None = None,
) -> FrameDetector:
    """Return a known detector as a frame of the wanted size shows it.

    Parameters
    ----------
    name : str
        One of `FRAME_DETECTORS`.
    shape : (int, int)
        ``(y, x)`` of the frames.
    binning : int, optional
        Detector pixels along the edge of a frame's pixel; None takes the number with which the frame shows about all
        of the detector. A smaller one shows its middle.
    opening_px : float, optional
        Detector pixels between the halves, or quadrants, at the beam: the part that experiments move. None takes a
        typical one.

    Raises
    ------
    InputError
        If the name is unknown, the shape or the binning makes no frame, or nothing in the frame is measured.
    """
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name.lower(), FRAME_DETECTORS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(FRAME_DETECTORS)}"
        raise InputError(f"unknown detector {name!r}; {hint}")
    if opening_px is not None and not opening_px >= 0:
        raise InputError(f"opening_px must be at least 0, got {opening_px!r}")
    layout = LAYOUTS[name]() if opening_px is None else LAYOUTS[name](opening_px)
    return layout_detector(layout, name, shape, binning=binning)


def layout_detector(layout: Layout, name: str, shape: tuple[int, int], *, binning: int | None = None) -> FrameDetector:
    """Return a detector of the given panels as a frame of the wanted size shows it.

    Parameters
    ----------
    layout : Layout
        The panels.
    name : str
        What to call it.
    shape : (int, int)
        ``(y, x)`` of the frames.
    binning : int, optional
        As in `frame_detector`.

    Raises
    ------
    InputError
        If the shape or the binning makes no frame, or nothing in the frame is measured.
    """
    bins = _fitting(layout, shape) if binning is None else binning
    if min(shape) < 1 or bins < 1:
        raise InputError(f"a frame needs at least one pixel and a binning of 1, got shape {shape}, binning {bins}")
    mask = _drawn(layout, shape, bins)
    if not mask.any():
        raise InputError(f"{name}: a frame of {shape} with binning {bins} sees no panel; take more pixels or binning")
    return FrameDetector(name=name, mask=mask, pixel_size_m=layout.pixel_size_m * bins, binning=bins)


def _drawn(layout: Layout, shape: tuple[int, int], binning: int) -> NDArray[np.bool_]:
    """Return the mask ``(y, x)`` of a layout; a binned pixel counts only where all its detector pixels measure."""
    fine = np.zeros((shape[0] * binning, shape[1] * binning), dtype=bool)
    for panel in layout.panels:
        fine[_region(panel, fine.shape)] = True
    for hole in layout.holes:
        fine[_region(hole, fine.shape)] = False
    return np.asarray(fine.reshape(shape[0], binning, shape[1], binning).all(axis=(1, 3)))


def _region(panel: tuple[float, float, float, float], shape: tuple[int, int]) -> tuple[slice, slice]:
    top, left, height, width = panel
    y, x = top + shape[0] / 2, left + shape[1] / 2
    return _within(y, y + height, shape[0]), _within(x, x + width, shape[1])


def _within(start: float, stop: float, n: int) -> slice:
    return slice(int(np.clip(np.ceil(start), 0, n)), int(np.clip(np.floor(stop), 0, n)))


def _fitting(layout: Layout, shape: tuple[int, int]) -> int:
    ratios = [extent / n for extent, n in zip(layout.extent, shape, strict=True) if n > 0]
    return max(1, round(max(ratios, default=1.0)))
