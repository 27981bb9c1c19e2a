"""The grid of a rocking scan, against q = k_f − k_i worked out by hand with plain rotation matrices."""

import numpy as np
import pytest

from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer
from friedel.bcdi.geometry.rocking import reciprocal_grid
from friedel.core.errors import InputError

# APS 34-ID-C, scan 54: θ and φ about the vertical, χ about the beam; the detector on γ (about −x) and δ (about y).
BEAM = Beam(photon_energy_ev=9000.0)
DETECTOR = Detector(
    pixel_size_m=(55e-6, 55e-6), distance_m=0.5, y_axis="y-", x_axis="x-", direct_beam_yx=(128.0, 120.0)
)
CIRCLES = Diffractometer(
    sample_circles=(Circle("theta", "y+"), Circle("chi", "z-"), Circle("phi", "y+")),
    detector_circles=(Circle("delta", "y+"), Circle("gamma", "x-")),
)
THETA = np.linspace(-0.28, 0.72, 201)
MOTORS = {"theta": THETA, "chi": 90.0, "phi": -5.0, "delta": 32.174, "gamma": 12.635}


def _turn(axis, degrees):
    angle = np.radians(degrees) * (1 if axis[1] == "+" else -1)
    c, s = np.cos(angle), np.sin(angle)
    planes = {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
              "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]]}  # fmt: skip
    return np.array(planes[axis[0]])


def _q_in_sample(index, row, column):
    """Return q in the frame of the crystal for one voxel, Å⁻¹: the pixel's ray less the beam, turned back."""
    k = 2 * np.pi * 9000.0 / 12398.419843320026
    arm = _turn("y+", MOTORS["delta"]) @ _turn("x-", MOTORS["gamma"])
    pixel = np.array([-(column - 120.0) * 55e-6, -(row - 128.0) * 55e-6, 0.5])
    theta = np.interp(index, np.arange(201), THETA)
    sample = _turn("y+", theta) @ _turn("z-", 90.0) @ _turn("y+", -5.0)
    return sample.T @ (k * (arm @ pixel / np.linalg.norm(pixel) - [0, 0, 1]))


def _to_lab(index):
    theta = np.interp(index, np.arange(201), THETA)
    return _turn("y+", theta) @ _turn("z-", 90.0) @ _turn("y+", -5.0)


@pytest.mark.parametrize("centre", [(100.0, 128.0, 120.0), (80.0, 140.5, 101.0)])
def test_centre_and_steps_agree_with_rays_worked_out_by_hand(centre):
    grid = reciprocal_grid(beam=BEAM, detector=DETECTOR, diffractometer=CIRCLES, motors_deg=MOTORS, centre=centre)
    lab = _to_lab(centre[0])
    np.testing.assert_allclose(grid.q_bragg, lab @ _q_in_sample(*centre), rtol=1e-6, atol=1e-9)
    for axis in range(3):
        step = np.eye(3)[axis]
        ahead, behind = (_q_in_sample(*(np.array(centre) + sign * step)) for sign in (1, -1))
        np.testing.assert_allclose(grid.basis[axis], lab @ (ahead - behind) / 2, rtol=1e-4, atol=1e-9)


def test_the_tangent_grid_stays_within_half_a_voxel_over_a_64_cube():
    centre = np.array([100.0, 128.0, 120.0])
    grid = reciprocal_grid(
        beam=BEAM, detector=DETECTOR, diffractometer=CIRCLES, motors_deg=MOTORS, centre=tuple(centre)
    )
    offsets = np.random.default_rng(0).integers(-32, 33, size=(30, 3))
    lab = _to_lab(centre[0])
    for offset in offsets:
        exact = lab @ _q_in_sample(*(centre + offset)) - grid.q_bragg
        voxels = exact @ np.linalg.inv(grid.basis)
        assert np.abs(voxels - offset).max() < 0.5


def test_scan_54_has_the_spacing_its_angles_say():
    centre = (100.0, 128.0, 120.0)
    grid = reciprocal_grid(beam=BEAM, detector=DETECTOR, diffractometer=CIRCLES, motors_deg=MOTORS, centre=centre)
    two_theta = np.arccos(np.cos(np.radians(32.174)) * np.cos(np.radians(12.635)))
    assert grid.d_spacing_angstrom == pytest.approx(BEAM.wavelength_angstrom / (2 * np.sin(two_theta / 2)), rel=1e-6)
    assert grid.d_spacing_angstrom == pytest.approx(2.335, abs=1e-3)


def test_the_rocking_step_is_perpendicular_to_the_axis_and_to_q():
    grid = reciprocal_grid(
        beam=BEAM, detector=DETECTOR, diffractometer=CIRCLES, motors_deg=MOTORS, centre=(100.0, 128.0, 120.0)
    )
    # Turning the crystal by +dθ about y turns its q points by −dθ as seen in the laboratory: dq = −dθ ŷ × q.
    expected = -np.radians(0.005) * np.cross([0, 1, 0], grid.q_bragg)
    np.testing.assert_allclose(grid.basis[0], expected, rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"theta": 0.1}, "this one moves none"),
        ({"chi": None}, "no angle for circle.*chi"),
    ],
)
def test_a_scan_that_is_no_rocking_scan_is_refused(change, words):
    motors = {name: value for name, value in {**MOTORS, **change}.items() if value is not None}
    with pytest.raises(InputError, match=words):
        reciprocal_grid(
            beam=BEAM, detector=DETECTOR, diffractometer=CIRCLES, motors_deg=motors, centre=(100.0, 128.0, 120.0)
        )
