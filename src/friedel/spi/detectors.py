"""Detectors of single-particle imaging as masks of any size: where a frame has gaps, notches and a hole for the beam.

A measured geometry comes through `friedel.spi.simulation.geometry`. What the electronics adds
to a frame is not treated here.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError

Panel: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A detector's panels.

    Attributes
    ----------
    pixel_size_m : float
        Pixel pitch.
    panels : tuple of (top, left, height, width)
        Where it measures, in its pixels from the beam.
    holes : tuple of (top, left, height, width)
        Where panels are cut out.
    """

    pixel_size_m: float
    panels: tuple[Panel, ...]
    holes: tuple[Panel, ...] = ()

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width of the whole, pixels."""
        tops, lefts = [p[0] for p in self.panels], [p[1] for p in self.panels]
        bottom, right = max(p[0] + p[2] for p in self.panels), max(p[1] + p[3] for p in self.panels)
        return bottom - min(tops), right - min(lefts)


def pnccd(opening: float = 16.0) -> Layout:
    """Return the pnCCD: two halves of 512 × 1024 pixels of 75 µm, notched at the beam, ``opening`` pixels apart.

    References
    ----------
    Strüder et al., Nucl. Instrum. Methods A 614, 483 (2010); the notch of 22 × 60 pixels as in EXtra-geom.
    """
    half = opening / 2
    return Layout(
        pixel_size_m=75e-6,
        panels=((-half - 512, -512, 512, 1024), (half, -512, 512, 1024)),
        holes=((-half - 22, -30, opening + 44, 60),),
    )


def cspad(opening: float = 80.0) -> Layout:
    """Return the CSPAD 2.3M: 32 sensors of two 185 × 194 pixel chips, 110 µm, in four quadrants turned about the beam.

    References
    ----------
    Hart et al., Proc. SPIE 8504, 85040C (2012).
    """
    side = 2 * 394 + 18
    upright = _chips(rows=2, columns=2, size=(194, 185), gap=(3, 24))
    lying = _chips(rows=2, columns=2, size=(185, 194), gap=(24, 3))
    step = 394 + 18
    corners = (((0, 0), lying), ((0, step), upright), ((step, 0), upright), ((step, step), lying))
    quadrant = tuple(_moved(panel, y, x) for (y, x), pair in corners for panel in pair)
    quadrants = [quadrant]
    for _ in range(3):
        quadrants.append(tuple(_turned(panel, side) for panel in quadrants[-1]))
    return Layout(pixel_size_m=110e-6, panels=_pinwheel(quadrants, (side, side), opening, gap=24))


def epix10k2m(opening: float = 90.0) -> Layout:
    """Return the ePix10k 2M: 16 modules of 2 × 2 chips of 176 × 192 pixels, 100 µm, in four quadrants.

    References
    ----------
    van Driel et al., Proc. SPIE 11454 (2020); pixels along the chips' inner edges are counted as a gap.
    """
    module = _chips(rows=2, columns=2, size=(176, 192), gap=(4, 4))
    height, width = 2 * 356 + 16, 2 * 388 + 16
    corners = ((0, 0), (0, 388 + 16), (356 + 16, 0), (356 + 16, 388 + 16))
    quadrant = tuple(_moved(panel, y, x) for y, x in corners for panel in module)
    return Layout(pixel_size_m=100e-6, panels=_pinwheel([quadrant] * 4, (height, width), opening, gap=16))


def jungfrau4m(opening: float = 68.0) -> Layout:
    """Return the Jungfrau 4M: eight modules of 2 × 4 chips of 256² pixels, 75 µm, in two columns parted at the beam.

    References
    ----------
    Mozzanica et al., Synchrotron Radiat. News 31, 16 (2018).
    """
    module = _chips(rows=2, columns=4, size=(256, 256), gap=(2, 2))
    height, width = 2 * 514 + 36, 1030
    quadrant = (*module, *(_moved(panel, 514 + 36, 0) for panel in module))
    return Layout(pixel_size_m=75e-6, panels=_pinwheel([quadrant] * 4, (height, width), opening, gap=8))


def agipd1m(opening: float = 0.0) -> Layout:
    """Return the AGIPD 1M: 16 modules of 8 chips of 128 × 64 pixels, 200 µm, in four quadrants.

    ``opening`` moves the quadrants apart from the positions that EXtra-geom's documentation gives as an example.

    References
    ----------
    Allahgholi et al., J. Synchrotron Rad. 26, 74 (2019).
    """
    module = _chips(rows=1, columns=8, size=(128, 64), gap=(0, 2))
    quadrant = tuple(_moved(panel, k * (128 + 29), 0) for k in range(4) for panel in module)
    corners = ((-625.0, -525.0), (10.0, -550.0), (32.0, -6.0), (-603.0, 16.5))
    away = [(opening / 2 if y > -300 else -opening / 2, opening / 2 if x > -300 else -opening / 2) for y, x in corners]
    places = [(y + dy, x + dx) for (y, x), (dy, dx) in zip(corners, away, strict=True)]
    return Layout(pixel_size_m=200e-6, panels=tuple(_moved(panel, y, x) for y, x in places for panel in quadrant))


def _chips(*, rows: int, columns: int, size: tuple[float, float], gap: tuple[float, float]) -> tuple[Panel, ...]:
    step_y, step_x = size[0] + gap[0], size[1] + gap[1]
    return tuple((k * step_y, j * step_x, *size) for k in range(rows) for j in range(columns))


def _moved(panel: Panel, y: float, x: float) -> Panel:
    return panel[0] + y, panel[1] + x, panel[2], panel[3]


def _turned(panel: Panel, side: float) -> Panel:
    """Return a panel of a square quadrant after a quarter turn clockwise."""
    top, left, height, width = panel
    return left, side - top - height, width, height


def _pinwheel(
    quadrants: list[tuple[Panel, ...]], size: tuple[float, float], opening: float, *, gap: float
) -> tuple[Panel, ...]:
    """Put four quadrants around a square hole: each reaches past the beam on one side, a ``gap`` from the next."""
    (height, width), half = size, opening / 2
    corners = (
        (-half - height, half - gap - width),
        (half - gap - height, half),
        (half, gap - half),
        (gap - half, -half - width),
    )
    return tuple(_moved(panel, y, x) for quadrant, (y, x) in zip(quadrants, corners, strict=True) for panel in quadrant)


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
