"""PRTF and FSC on transforms whose resolution is set by hand."""

import numpy as np
import pytest

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.phasing.verdict.resolution import cone, crossing, fsc, period, prtf, shells
from friedel.bcdi.records import Curve

SHAPE = (32, 30, 34)
CUT = 0.25


def waves(n: int, *, noise_beyond: float, seed: int = 0) -> np.ndarray:
    """Return n transforms that agree below a frequency and have random phases beyond it."""
    rng = np.random.default_rng(seed)
    radius = shells(SHAPE, None).radius
    shared = rng.uniform(-np.pi, np.pi, SHAPE)
    own = rng.uniform(-np.pi, np.pi, (n, *SHAPE))
    return np.exp(1j * np.where(radius < noise_beyond, shared, own)).astype(np.complex64)


def test_prtf_falls_where_the_phases_stop_agreeing() -> None:
    over, known = shells(SHAPE, None), np.ones(SHAPE, dtype=bool)
    curve = prtf(waves(20, noise_beyond=CUT), np.ones(SHAPE), known, over)
    assert np.nanmin(curve.value[curve.frequency < CUT - 0.03]) > 0.99
    assert np.nanmax(curve.value[curve.frequency > CUT + 0.03]) < np.exp(-1)
    frequency, crosses = crossing(curve)
    assert crosses
    assert frequency == pytest.approx(CUT, abs=0.03)
    assert period(curve) == pytest.approx(1 / CUT, rel=0.12)


def test_fsc_falls_where_the_halves_stop_agreeing() -> None:
    over, known = shells(SHAPE, None), np.ones(SHAPE, dtype=bool)
    first, second = waves(2, noise_beyond=CUT)
    curve = fsc(first, second, known, over, filling=1.0)
    frequency, crosses = crossing(curve)
    assert crosses
    assert frequency == pytest.approx(CUT, abs=0.04)
    assert np.nanmax(curve.value) == pytest.approx(1.0, abs=1e-5)
    # A smaller support leaves fewer independent voxels, and asks for more correlation.
    assert np.all(fsc(first, second, known, over, filling=0.1).threshold >= curve.threshold)


def test_unmeasured_voxels_and_corners_have_no_value() -> None:
    over, known = shells(SHAPE, None), np.ones(SHAPE, dtype=bool)
    known[:, :10] = False
    spoiled = waves(3, noise_beyond=2.0)
    spoiled[:, :, :10] = 0.0
    curve = prtf(spoiled, np.ones(SHAPE), known, over)
    assert np.nanmin(curve.value) > 0.99
    # Beyond the faces only corners are left, which say nothing of all directions.
    assert np.all(np.isnan(curve.value[over.centres > 0.6]))


def test_a_curve_that_never_falls_is_limited_by_the_detector() -> None:
    frequency = np.linspace(0, 0.5, 11)
    curve = Curve(frequency=frequency, value=np.ones(11), threshold=np.full(11, 0.5), criterion="half")
    assert crossing(curve) == (0.5, False)
    assert period(curve) == 2.0


def test_the_crossing_is_interpolated() -> None:
    frequency = np.array([0.0, 0.1, 0.2, 0.3])
    curve = Curve(frequency=frequency, value=np.array([1, 0.9, 0.4, 0.1]), threshold=np.full(4, 0.5), criterion="half")
    assert crossing(curve)[0] == pytest.approx(0.18)


def test_with_geometry_frequencies_are_in_the_laboratory() -> None:
    basis = np.array([[0.0, 0.0, 2e-3], [0.0, 1e-3, 0.0], [1e-3, 0.0, 0.0]])
    grid = ReciprocalGrid(basis=basis, q_bragg=np.array([0.0, 2.6, 0.0]), wavelength_angstrom=1.4)
    over = shells(SHAPE, grid)
    assert over.unit == "cycles/Å"
    np.testing.assert_allclose(over.vector[SHAPE[0] // 2 + 3, SHAPE[1] // 2, SHAPE[2] // 2], [0, 0, 6e-3 / 2 / np.pi])
    ahead = cone(over, 2)
    assert ahead[-1, SHAPE[1] // 2, SHAPE[2] // 2]
    assert not ahead[SHAPE[0] // 2, -1, SHAPE[2] // 2]
    curve = Curve(
        frequency=np.array([0.0, 0.01, 0.02]), value=np.array([1.0, 1.0, 0.0]), threshold=np.full(3, 0.5),
        criterion="half", unit="cycles/Å",
    )  # fmt: skip
    assert period(curve) == pytest.approx(1 / 0.015 / 10)  # nm
