"""From the angles of a rocking scan to its reciprocal-space grid, through xrayutilities.

The grid is the tangent at the scan's centre: over one Bragg peak the arc departs from it by a fraction of a voxel.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer, ReciprocalGrid
from friedel.core.errors import InputError
from friedel.core.optional import load_optional

Angles = Mapping[str, float | NDArray[np.float64]]


def reciprocal_grid(
    *,
    beam: Beam,
    detector: Detector,
    diffractometer: Diffractometer,
    motors_deg: Angles,
    centre: tuple[float, float, float],
) -> ReciprocalGrid:
    """Return the grid around one voxel of a rocking scan.

    Parameters
    ----------
    beam, detector, diffractometer : records
        The instrument. Pixel numbers count from the recorded frames' own corner.
    motors_deg : mapping
        Degrees of every circle, by motor name; exactly one is an array ``(n_rocking,)``, the rocked one.
    centre : (float, float, float)
        ``(rocking, y, x)`` index that becomes the grid's centre.

    Raises
    ------
    InputError
        If a circle has no angle, none or several motors move, or the rocked motor doesn't turn the sample.
    """
    at_centre, rocked, step = _angles_at(diffractometer, motors_deg, centre[0])
    steps = _q_around(beam, detector, diffractometer, at_centre, rocked, step, centre[1:])
    q_bragg, basis = steps[1, 1, 1], np.empty((3, 3))
    for axis in range(3):
        ends = np.moveaxis(steps, axis, 0)[:, 1, 1]
        basis[axis] = (ends[2] - ends[0]) / 2
    to_lab = _rotation(diffractometer.sample_circles, at_centre)
    return ReciprocalGrid(
        basis=to_lab.apply(basis), q_bragg=to_lab.apply(q_bragg), wavelength_angstrom=beam.wavelength_angstrom
    )


def _angles_at(diffractometer: Diffractometer, motors_deg: Angles, index: float) -> tuple[dict[str, float], str, float]:
    names = [circle.motor for circle in (*diffractometer.sample_circles, *diffractometer.detector_circles)]
    missing = [name for name in names if name not in motors_deg]
    if missing:
        raise InputError(f"no angle for circle(s) {', '.join(missing)}; the scan gives {', '.join(sorted(motors_deg))}")
    arrays = {name: np.asarray(motors_deg[name], dtype=float) for name in names if np.ndim(motors_deg[name]) > 0}
    moving = [name for name, values in arrays.items() if np.ptp(values) > 0]
    if len(moving) != 1:
        raise InputError(f"a rocking scan moves one circle, this one moves {', '.join(moving) or 'none'}")
    if moving[0] not in [circle.motor for circle in diffractometer.sample_circles]:
        raise InputError(f"the scan moves {moving[0]!r}, which doesn't turn the sample")
    angles = arrays[moving[0]]
    at = {name: float(np.mean(np.asarray(motors_deg[name]))) for name in names}
    at[moving[0]] = float(np.interp(index, np.arange(angles.size), angles))
    return at, moving[0], float(angles[-1] - angles[0]) / (angles.size - 1)


def _q_around(
    beam: Beam,
    detector: Detector,
    diffractometer: Diffractometer,
    at: dict[str, float],
    rocked: str,
    step: float,
    pixel: tuple[float, float],
) -> NDArray[np.float64]:
    """Return q at the 3 × 3 × 3 voxels around the centre, ``(3, 3, 3, xyz)``, in the frame turning with the sample."""
    xrayutilities = load_optional(
        "xrayutilities", package="xrayutilities", extra="bcdi", purpose="turn a diffractometer's angles into q"
    )
    converter = xrayutilities.QConversion(
        [circle.axis for circle in diffractometer.sample_circles],
        [circle.axis for circle in diffractometer.detector_circles],
        [0, 0, 1],
        en=beam.photon_energy_ev,
    )
    # xrayutilities counts its detector channels from 0; a 3 × 3 detector centred on the pixel gives the neighbours.
    first = detector.direct_beam_yx[0] - pixel[0] + 1, detector.direct_beam_yx[1] - pixel[1] + 1
    (pitch_y, pitch_x), distance = detector.pixel_size_m, detector.distance_m
    converter.init_area(
        detector.y_axis, detector.x_axis, *first, 3, 3, distance=distance, pwidth1=pitch_y, pwidth2=pitch_x
    )
    circles = (*diffractometer.sample_circles, *diffractometer.detector_circles)
    q = np.empty((3, 3, 3, 3))
    for index, offset in enumerate((-step, 0.0, step)):
        angles = [at[circle.motor] + (offset if circle.motor == rocked else 0.0) for circle in circles]
        q[index] = np.stack(converter.area(*angles, deg=True), axis=-1).reshape(3, 3, 3)
    return q


def _rotation(circles: tuple[Circle, ...], angles_deg: Mapping[str, float]) -> Rotation:
    total = Rotation.identity()
    for circle in circles:
        sign = 1.0 if circle.axis[1] == "+" else -1.0
        total = total * Rotation.from_euler(circle.axis[0], sign * angles_deg[circle.motor], degrees=True)
    return total
