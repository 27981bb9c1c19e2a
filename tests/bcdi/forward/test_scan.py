"""The simulated scan: what a beamline would have written, and a truth that belongs to it."""

import numpy as np
import pytest

from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import (
    PERFECT,
    Imperfections,
    SimulatedScan,
    gold_111_geometry,
    simulate_demo_scan,
    simulate_scan,
)
from friedel.core.errors import InputError

SHAPE = (48, 56, 64)


@pytest.fixture(scope="module")
def demo() -> SimulatedScan:
    return simulate_demo_scan(seed=1, shape=SHAPE)


def test_the_demo_is_a_scan_with_its_instrument(demo: SimulatedScan) -> None:
    scan = demo.scan
    assert scan.frames.shape == SHAPE
    assert scan.frames.dtype == np.int32
    assert scan.mask.all()
    assert np.ptp(scan.motors_deg["th"]) == pytest.approx(0.01 * (SHAPE[0] - 1))
    assert scan.motors_deg["del"] == pytest.approx(31.87, abs=0.3)
    assert demo.geometry.grid.d_spacing_angstrom == pytest.approx(2.3546, abs=1e-3)


def test_the_frame_is_skewed(demo: SimulatedScan) -> None:
    steps = demo.geometry.grid.basis / np.linalg.norm(demo.geometry.grid.basis, axis=1, keepdims=True)
    assert np.abs(steps @ steps.T - np.eye(3)).max() > 0.1


def test_the_peak_is_where_the_geometry_says(demo: SimulatedScan) -> None:
    found = np.unravel_index(np.argmax(demo.expected), SHAPE)
    assert np.all(np.abs(np.array(found) - demo.geometry.peak) <= 3)


def test_bad_pixels_show(demo: SimulatedScan) -> None:
    assert demo.scan.frames[:, demo.dead].sum() == 0
    assert np.all(demo.scan.frames[:, demo.hot].sum(axis=0) > demo.expected[:, demo.hot].sum(axis=0))
    assert demo.scan.flat is not None
    assert np.all(demo.scan.flat[demo.dead] == 0)


def test_a_perfect_scan_has_only_photon_noise() -> None:
    geometry = gold_111_geometry(SHAPE)
    crystal = gold_crystal(geometry.grid.q_bragg, seed=2, diameter_angstrom=2500.0, phase_range_rad=2.0)
    perfect = simulate_scan(crystal, geometry, n_photons=1e7, seed=0, imperfections=PERFECT)
    strong = perfect.expected > 20
    residual = (perfect.scan.frames[strong] - perfect.expected[strong]) / np.sqrt(perfect.expected[strong])
    assert np.mean(residual**2) == pytest.approx(1.0, abs=0.1)
    assert perfect.expected.sum() == pytest.approx(1e7, rel=1e-3)


def test_the_truth_diffracts_to_the_frames(demo: SimulatedScan) -> None:
    geometry = gold_111_geometry(SHAPE)
    crystal = gold_crystal(geometry.grid.q_bragg, seed=2, diameter_angstrom=2500.0, phase_range_rad=2.0)
    simulated = simulate_scan(crystal, geometry, n_photons=1e7, seed=0, imperfections=Imperfections(n_aliens=0))
    psi = simulated.object(geometry.grid, SHAPE)
    pattern = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(psi)))) ** 2
    assert np.corrcoef(np.sqrt(pattern).ravel(), np.sqrt(simulated.expected).ravel())[0, 1] > 0.995


def test_a_scan_too_small_for_the_demo_is_refused() -> None:
    with pytest.raises(InputError, match="at least 48 frames"):
        simulate_demo_scan(shape=(96, 32, 128))
