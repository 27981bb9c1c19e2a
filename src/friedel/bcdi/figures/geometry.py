"""A drawing of a beamline: where the beam, the circles' axes, the detector and q point. No files, no reading."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import Detector, Diffractometer
from friedel.bcdi.geometry.rocking import direction, pixel_ray, rotation
from friedel.core.figures import BLUE, FAINT, INK, ORANGE, VERMILION, new_figure

Floats = NDArray[np.float64]
# The drawing's order of the laboratory's (x, y, z): the beam to the right, up up.
SHOWN = (2, 0, 1)
ARROW = 1.0
LEGEND = "orange: axes of the sample's circles; blue: the detector's; the outermost is longest"
PANEL = 0.35


def draw_geometry(
    *, diffractometer: Diffractometer, detector: Detector, motors_deg: dict[str, float], title: str = ""
) -> Figure:
    """Return a figure of the beamline at some angles, in the laboratory frame.

    Parameters
    ----------
    diffractometer, detector : records
        The instrument; lengths aren't to scale, directions are.
    motors_deg : mapping of str to float
        Angle of every circle.
    title : str
        Shown above.
    """
    figure = new_figure(7.5, 6.5)
    axes = figure.add_subplot(projection="3d")
    arm = rotation(diffractometer.detector_circles, motors_deg)
    beam, out = direction("z+"), pixel_ray(detector, arm, detector.direct_beam_yx)
    _arrow(axes, -1.4 * beam, beam * 1.4, "beam", INK, at=0.0)
    _arrow(axes, np.zeros(3), out * 1.4, "", FAINT)
    q = out - beam
    if np.linalg.norm(q) > 1e-9:
        _arrow(axes, np.zeros(3), q / np.linalg.norm(q) * ARROW, "q", VERMILION, at=1.25)
    for circles, colour, side in (
        (diffractometer.sample_circles, ORANGE, "right"),
        (diffractometer.detector_circles, BLUE, "left"),
    ):
        for index, circle in enumerate(circles):
            carried = rotation(circles[:index], motors_deg).apply(direction(circle.axis))
            _arrow(axes, np.zeros(3), np.asarray(carried) * (0.8 - 0.1 * index), circle.motor, colour, side=side)
    down, along = (np.asarray(arm.apply(direction(axis))) for axis in (detector.y_axis, detector.x_axis))
    _panel(axes, out * 1.4, down, along)
    two_theta = float(np.degrees(np.arccos(np.clip(out @ beam, -1, 1))))
    axes.set(xlabel="z, along the beam", ylabel="x", zlabel="y, up", title=f"{title}, 2θ = {two_theta:.4g}°\n{LEGEND}")
    axes.set_box_aspect((1, 1, 1), zoom=0.95)
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), zlim=(-1.5, 1.5), xticks=[], yticks=[], zticks=[])
    return figure


def _arrow(
    axes: Any, start: Floats, along: Floats, name: str, colour: str, *, at: float = 1.08, side: str = "left"
) -> None:
    """Draw an arrow with its name at a share of its length; "right" ends the name there, so that two axes can be read.

    Parameters
    ----------
    axes : Axes3D
        Where.
    start, along : (3,) array
        In the laboratory.
    name, colour : str
        Of the arrow.
    at : float
        Where its name stands, as a share of its length.
    side : {"left", "right"}
        Which end of the name stands there.
    """
    s, a = start[list(SHOWN)], along[list(SHOWN)]
    axes.quiver(*s, *a, color=colour, arrow_length_ratio=0.12)
    _name(axes, start + at * along, name, colour, side)


def _panel(axes: Any, middle: Floats, down: Floats, along: Floats) -> None:
    """Draw the detector's outline, with arrows along growing rows and columns."""
    corners = [middle + PANEL * (a * down + b * along) for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))]
    axes.plot(*np.array(corners)[:, list(SHOWN)].T, color=FAINT)
    first = corners[0]
    _arrow(axes, first, 1.4 * PANEL * down, "", INK)
    _arrow(axes, first, 1.4 * PANEL * along, "", INK)
    _name(axes, middle - 1.7 * PANEL * along, "rows", INK, "center")
    _name(axes, middle - 1.5 * PANEL * down, "columns", INK, "center")
    _name(axes, middle + 1.6 * PANEL * down, "detector", FAINT, "center")


def _name(axes: Any, place: Floats, name: str, colour: str, side: str) -> None:
    """Write a name at a place of the laboratory, readable over whatever lies behind it."""
    halo = [withStroke(linewidth=3, foreground="white")]
    axes.text(*place[list(SHOWN)], f" {name} ", color=colour, ha=side, path_effects=halo)
