"""How the detectors of single-particle imaging are put together: rectangular panels around the beam.

Each layout gives panels in the detector's own pixels, ``(top, left, height, width)`` from the beam, rows downwards.
They are nominal: sizes of panels and pixels are the manufacturers', gaps between them typical of a run. Nothing is
tilted. `frame_detectors` makes masks of them.
"""

from dataclasses import dataclass
from typing import TypeAlias

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
