"""Regridding: vectors, centres and steep phases survive the way from skewed to cubic voxels."""

import numpy as np
import pytest

from friedel.bcdi.strain.regrid import CubicGrid, continued, grid_around, regridded, rotation_to

SKEWED = np.array([[0.0, 20.0, 120.0], [10.0, -100.0, 0.0], [95.0, 0.0, -30.0]])


def test_the_cubic_grid_holds_the_support_and_takes_the_finest_step() -> None:
    support = np.zeros((20, 21, 22), dtype=bool)
    support[6:15, 5:16, 7:15] = True
    grid = grid_around(support, SKEWED, None)
    assert grid.voxel_size == pytest.approx(np.linalg.norm(SKEWED, axis=1).min())
    corners = (np.argwhere(support) - np.array(support.shape) // 2) @ SKEWED
    assert np.all(np.abs(corners) < np.abs(grid.positions()).reshape(-1, 3).max(axis=0) + 1e-9)
    assert grid_around(support, SKEWED, 50.0).voxel_size == 50.0


@pytest.mark.parametrize("shape", [(24, 24, 24), (23, 25, 24)])
def test_a_steep_wave_keeps_its_phase_up_to_the_surface(shape: tuple[int, int, int]) -> None:
    offsets = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij"), axis=-1)
    inside = np.linalg.norm(offsets, axis=-1) < 8
    wave = np.array([0.004, -0.005, 0.003])  # half a radian a voxel
    field = np.where(inside, np.exp(1j * (offsets @ SKEWED) @ wave), 0)
    grid = CubicGrid(shape=(16, 16, 16), voxel_size=60.0)
    amplitude, factor = regridded(field, SKEWED, grid, trusted=inside)
    where = grid.positions()
    error = np.angle(factor * np.exp(-1j * where @ wave))
    reached = np.linalg.norm(where @ np.linalg.inv(SKEWED), axis=-1) < 7.5
    assert reached.sum() > 100
    assert np.abs(error[reached]).max() < 0.02
    assert np.abs(error[np.linalg.norm(where @ np.linalg.inv(SKEWED), axis=-1) < 5]).max() < 2e-3
    centre = np.linalg.norm(where @ np.linalg.inv(SKEWED), axis=-1) < 4
    np.testing.assert_allclose(amplitude[centre], 1.0, atol=0.05)


def test_continuation_is_linear_in_the_phase() -> None:
    x = np.arange(20) - 10
    line = np.broadcast_to(np.exp(0.4j * x), (3, 3, 20))
    trusted = np.broadcast_to(np.abs(x) <= 3, (3, 3, 20))
    grown = continued(line, trusted, layers=4)
    np.testing.assert_allclose(grown[..., np.abs(x) <= 7], line[..., np.abs(x) <= 7], atol=1e-9)
    assert np.all(grown[..., np.abs(x) > 7] == 0)


@pytest.mark.parametrize(("frame", "target"), [("h along y", [0, 1, 0]), ("h along z", [0, 0, 1])])
def test_the_crystal_frame_is_a_rotation_of_h_onto_its_axis(frame: str, target: list[int]) -> None:
    for direction in (np.array([0.6, 0.0, 0.8]), np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0])):
        rotation = rotation_to(frame, direction)
        np.testing.assert_allclose(rotation @ direction, target, atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_array_equal(rotation_to("laboratory", np.array([0.6, 0.0, 0.8])), np.eye(3))
