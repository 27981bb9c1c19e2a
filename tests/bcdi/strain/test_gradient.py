"""Phase gradients from the complex field: exact for ramps, blind to 2π, and windings found."""

import numpy as np
import pytest

from friedel.bcdi.crystals import displacement
from friedel.bcdi.strain.gradient import mean_gradient, phase_gradient, phase_turns, smoothed

BOX = (11, 12, 13)


def positions() -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in BOX], indexing="ij"), axis=-1).astype(float)


@pytest.mark.parametrize("slope", [(0.1, -0.2, 0.3), (2.5, -2.9, 1.0)])
def test_a_ramp_is_exact_however_steep(slope: tuple[float, float, float]) -> None:
    field = np.exp(1j * positions() @ np.array(slope)) * np.random.default_rng(0).uniform(0.5, 2, BOX)
    inside = np.linalg.norm(positions(), axis=-1) < 5
    gradient = phase_gradient(field, inside)
    np.testing.assert_allclose(gradient[:, 5, 6, 6], slope, atol=1e-9)
    known = np.isfinite(gradient).all(axis=0) & inside
    np.testing.assert_allclose(gradient[:, known], np.array(slope)[:, None] + np.zeros(known.sum()), atol=1e-9)
    np.testing.assert_allclose(mean_gradient(field, inside), slope, atol=1e-9)


def test_outside_links_are_not_used() -> None:
    field = np.exp(0.2j * positions()[..., 2])
    inside = positions()[..., 2] <= 0
    field[~inside] *= np.exp(2j)
    gradient = phase_gradient(field, inside)
    np.testing.assert_allclose(gradient[2][inside], 0.2, atol=1e-9)
    assert np.isnan(gradient[2][positions()[..., 2] > 0]).all()


def test_a_screw_dislocation_turns_along_its_line_only() -> None:
    screw = displacement.screw_dislocation(np.array([0.0, 0.3, 0.4]), np.array([1.0, 0.0, 0.0]), burgers=2 * np.pi)
    field = np.exp(-1j * screw(positions())[..., 0])
    turns = phase_turns(field, np.ones(BOX, dtype=bool))
    assert turns.sum() == 4 * BOX[0]
    assert np.all(np.abs(positions()[turns][:, 1:]) <= 1)
    # Away from the line the gradient is 1/r, untroubled by the cut where arctan2 jumps.
    gradient = phase_gradient(field, np.ones(BOX, dtype=bool))
    offsets = positions()[..., 1:] - np.array([0.3, 0.4])
    r = np.linalg.norm(offsets, axis=-1)
    inner = (r > 3) & (np.abs(positions()[..., 1]) < 4) & (np.abs(positions()[..., 2]) < 5)
    np.testing.assert_allclose(np.linalg.norm(gradient[1:], axis=0)[inner], 1 / r[inner], rtol=0.1)


def test_no_turns_in_a_smooth_field() -> None:
    field = np.exp(1j * 0.05 * np.sum(positions() ** 2, axis=-1))
    assert not phase_turns(field, np.ones(BOX, dtype=bool)).any()


def test_smoothing_keeps_ramps_and_takes_out_ripples() -> None:
    ramp = np.exp(0.3j * positions()[..., 2])
    inner = (slice(4, -4),) * 3
    np.testing.assert_allclose(smoothed(ramp, 1.0)[inner] / ramp[inner], 1, atol=1e-3)
    ripple = np.exp(0.2j * (-1.0) ** positions()[..., 2])
    assert np.abs(np.angle(smoothed(ripple, 1.0)[inner])).max() < 0.01
    np.testing.assert_array_equal(smoothed(ripple, 0.0), ripple)
