"""From the angles of circles to q, of every frame and detector pixel, and the reciprocal-space grid of an even scan.

q = R_s⁻¹ (k_f − k_i) is taken in the frame that turns with the sample, in which the reciprocal lattice is fixed; any
circle of sample or detector may move, and the photon energy. The grid is linearised at the scan's centre: over one
Bragg peak the true arc departs from it by a fraction of a voxel.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer, ReciprocalGrid
from friedel.core.errors import InputError
from friedel.core.units import wavelength_angstrom

Floats = NDArray[np.float64]
Angles = Mapping[str, float | Floats]
UNIT = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
# In steps: readings this near to a line count as evenly spaced with encoder noise; further off, a reading is wrong or
# the steps aren't even.
TREMBLES = 0.5


def direction(axis: str) -> Floats:
    """Return the laboratory unit vector ``(x, y, z)`` of an axis name such as "y-"."""
    return np.array(UNIT[axis[0]]) * (1.0 if axis[1] == "+" else -1.0)


def rotation(circles: tuple[Circle, ...], angles_deg: Angles) -> Rotation:
    """Return the product of the circles' rotations, outermost first; a stack of n if an angle is ``(n,)``."""
    total = Rotation.identity()
    for circle in circles:
        angle = np.radians(np.asarray(angles_deg[circle.motor], dtype=float))
        total = total * Rotation.from_rotvec(angle[..., None] * direction(circle.axis))
    return total


def pixel_ray(detector: Detector, arm: Rotation, pixel_yx: tuple[float, float]) -> Floats:
    """Return the unit vector from the sample to a pixel, laboratory ``(x, y, z)``, ``(3,)`` or ``(n, 3)``."""
    (pitch_y, pitch_x), (beam_y, beam_x) = detector.pixel_size_m, detector.direct_beam_yx
    down, along = (pixel_yx[0] - beam_y) * pitch_y, (pixel_yx[1] - beam_x) * pitch_x
    place = detector.distance_m * direction("z+")
    place = place + down * direction(detector.y_axis) + along * direction(detector.x_axis)
    ray = np.asarray(arm.apply(place)) + np.asarray(detector.shift_m)
    unit: Floats = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    return unit


def q_of_frames(
    *,
    beam: Beam,
    detector: Detector,
    diffractometer: Diffractometer,
    motors_deg: Angles,
    pixel_yx: tuple[float, float],
    energies_ev: Floats | None = None,
) -> Floats:
    """Return the scattering vector of one pixel in every frame.

    Parameters
    ----------
    beam, detector, diffractometer : records
        The instrument. Pixel numbers count from the recorded frames' own corner.
    motors_deg : mapping
        Degrees of every circle, by motor name: a number, or ``(n,)``.
    pixel_yx : (float, float)
        Row and column.
    energies_ev : (n,) float64 or None
        Photon energy of every frame; None: the beam's.

    Returns
    -------
    (n, 3) float64, Å⁻¹
        In the frame that turns with the sample; NaN where a reading is. n is 1 if nothing moves.

    Raises
    ------
    InputError
        If a circle has no angle.
    """
    circles = (*diffractometer.sample_circles, *diffractometer.detector_circles)
    missing = [circle.motor for circle in circles if circle.motor not in motors_deg]
    if missing:
        raise InputError(f"no angle for circle(s) {', '.join(missing)}; the scan gives {', '.join(sorted(motors_deg))}")
    arrays = {circle.motor: np.atleast_1d(np.asarray(motors_deg[circle.motor], float)) for circle in circles}
    energy = np.atleast_1d(np.asarray(beam.photon_energy_ev if energies_ev is None else energies_ev, float))
    n = max([energy.size, *(values.size for values in arrays.values())])
    known = np.isfinite(np.broadcast_to(energy, n))
    for values in arrays.values():
        known = known & np.isfinite(np.broadcast_to(values, n))
    angles = {name: np.where(known, np.broadcast_to(values, n), 0.0) for name, values in arrays.items()}
    k = 2 * np.pi / np.array([wavelength_angstrom(value) for value in np.where(known, energy, 1e4)])
    ray = pixel_ray(detector, rotation(diffractometer.detector_circles, angles), pixel_yx)
    q = k[:, None] * (ray - direction("z+"))
    turned = np.asarray(rotation(diffractometer.sample_circles, angles).inv().apply(q))
    return np.where(known[:, None], turned, np.nan)


def reciprocal_grid(
    *,
    beam: Beam,
    detector: Detector,
    diffractometer: Diffractometer,
    motors_deg: Angles,
    centre: tuple[float, float, float],
    energies_ev: Floats | None = None,
) -> ReciprocalGrid:
    """Return the grid around one voxel of a rocking scan.

    Parameters
    ----------
    beam, detector, diffractometer, motors_deg, energies_ev
        As for `q_of_frames`; at least one reading moves, evenly: `friedel.bcdi.prepare.positions` makes it so.
    centre : (float, float, float)
        ``(rocking, y, x)`` index that becomes the grid's centre.

    Raises
    ------
    InputError
        If a circle has no angle, or nothing moves.
    """
    frames = np.array([centre[0] - 1, centre[0], centre[0] + 1])
    moving = {name: np.asarray(values, float) for name, values in motors_deg.items() if _moves(values)}
    energies = None if energies_ev is None or not _moves(energies_ev) else np.asarray(energies_ev, float)
    if not moving and energies is None:
        raise InputError("a rocking scan moves a circle of sample or detector, or the energy; this one moves none")
    at = {name: float(np.mean(np.asarray(value))) for name, value in motors_deg.items()}
    around = at | {name: _at(values, frames) for name, values in moving.items()}

    def q(row: float, column: float) -> Floats:
        return q_of_frames(
            beam=beam,
            detector=detector,
            diffractometer=diffractometer,
            motors_deg=around,
            pixel_yx=(row, column),
            energies_ev=None if energies is None else _at(energies, frames),
        )

    _, row, column = centre
    here = q(row, column)
    basis = np.stack([
        (here[2] - here[0]) / 2,
        (q(row + 1, column)[1] - q(row - 1, column)[1]) / 2,
        (q(row, column + 1)[1] - q(row, column - 1)[1]) / 2,
    ])  # fmt: skip
    still = {name: float(np.atleast_1d(value)[1 if np.size(value) > 1 else 0]) for name, value in around.items()}
    to_lab = rotation(diffractometer.sample_circles, still)
    energy = beam.photon_energy_ev if energies is None else float(_at(energies, frames)[1])
    return ReciprocalGrid(
        basis=to_lab.apply(basis), q_bragg=to_lab.apply(here[1]), wavelength_angstrom=wavelength_angstrom(energy)
    )


def even_line(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the line that most readings lie on, ``(first, step)``, and which of them do, to a tenth of a step.

    Among the lines through two readings at least a quarter of the scan apart the one that meets most others, then
    least squares over these: single wrong readings don't move it. NaN readings lie on no line.
    """
    known = np.flatnonzero(np.isfinite(values))
    n = known.size
    if n < 2:
        return np.array([np.nan, np.nan]), np.zeros(values.size, bool)
    apart = max(1, n // 4)
    first = np.concatenate([np.arange(0, n - lag, max(1, n // 64)) for lag in range(apart, n, max(1, n // 32))])
    second = first + np.repeat(
        np.arange(apart, n, max(1, n // 32)),
        [np.arange(0, n - lag, max(1, n // 64)).size for lag in range(apart, n, max(1, n // 32))],
    )
    i, j = known[first], known[second]
    step = (values[j] - values[i]) / (j - i)
    rest = np.abs(values[None, known] - values[i, None] - step[:, None] * (known[None, :] - i[:, None]))
    met = (rest <= 0.1 * np.abs(step)[:, None]).sum(axis=1)
    best = int(met.argmax())
    on = known[rest[best] <= 0.1 * abs(step[best])]
    if on.size < 2:
        return np.array([np.nan, np.nan]), np.zeros(values.size, bool)
    slope, start = np.polyfit(on, values[on], 1)
    lies: NDArray[np.bool_] = np.abs(values - start - slope * np.arange(values.size)) <= 0.1 * abs(slope)
    return np.array([start, slope]), lies


def _moves(values: float | Floats) -> bool:
    return np.ndim(values) > 0 and bool(np.ptp(np.asarray(values)) > 0)


def _at(values: Floats, frames: Floats) -> Floats:
    """Return readings at fractional frame numbers: on the fitted line if they are even, else interpolated linearly."""
    (start, step), _ = even_line(values)
    numbers = np.arange(values.size)
    if np.isfinite(step) and (np.abs(values - start - step * numbers) <= TREMBLES * abs(step)).all():
        return np.asarray(start + step * frames)
    inner = np.clip(frames, 1, values.size - 2)
    slopes = np.interp(inner, numbers, np.gradient(values))
    return np.asarray(np.interp(inner, numbers, values) + slopes * (frames - inner))
