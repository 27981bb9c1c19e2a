import math

import numpy as np
import pytest

from friedel.bcdi.figures.surface import Colouring, Placing, phase_mesh, scalar_mesh
from friedel.core.errors import InputError

COLOURING = Colouring(title="test", colour_map="RdBu_r", limits=(-1.0, 1.0))
SKEWED = np.array([[1.0, 0.5, 7.0], [0.3, 6.0, 0.2], [5.0, 0.0, 1.0]])


def ball(n=24, radius=8.0):
    grid = np.meshgrid(*[np.arange(n) - n // 2] * 3, indexing="ij")
    return np.clip(radius + 0.5 - np.sqrt(sum(axis**2 for axis in grid)), 0, 1), grid


def enclosed_volume(mesh):
    a, b, c = (mesh.vertices[mesh.triangles[:, corner]].astype(float) for corner in range(3))
    return float(np.sum(a * np.cross(b, c))) / 6


def test_the_volume_of_a_ball_is_right_on_a_skewed_grid():
    density, _ = ball()
    mesh = scalar_mesh(density, density, level=0.5, placing=Placing(basis=SKEWED), colouring=COLOURING)
    expected = 4 / 3 * math.pi * 8.0**3 * abs(np.linalg.det(SKEWED))
    assert enclosed_volume(mesh) == pytest.approx(expected, rel=0.02)  # positive: triangles run anticlockwise outside


def test_normals_point_outwards_and_the_origin_is_the_middle():
    density, _ = ball()
    mesh = scalar_mesh(density, density, level=0.5, placing=Placing(basis=np.eye(3)[::-1]), colouring=COLOURING)
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), 0, atol=0.05)
    radial = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert np.min(np.sum(radial * mesh.normals, axis=1)) > 0.9


def test_values_belong_to_the_place_they_colour():
    density, (z, y, x) = ball()
    placing = Placing(basis=np.eye(3)[::-1])
    for component, coordinate in enumerate((x, y, z)):
        values = np.where(density > 0.6, coordinate, np.nan)  # unknown outside, as strain is
        mesh = scalar_mesh(density, values, level=0.5, placing=placing, colouring=COLOURING)
        assert np.max(np.abs(mesh.values - mesh.vertices[:, component])) < 1.5


def test_a_phase_jump_is_not_interpolated_through_zero():
    density, (_, _, x) = ball()
    obj = density * np.exp(1j * (np.pi + 0.05 * x))
    mesh = phase_mesh(obj, level=0.5, placing=Placing(basis=np.eye(3)[::-1]))
    assert np.min(np.abs(mesh.values)) > np.pi - 0.5


def test_an_object_that_fills_the_box_has_a_closed_surface():
    mesh = phase_mesh(np.ones((8, 9, 10), complex), level=0.5, placing=Placing(basis=np.eye(3)[::-1]))
    assert enclosed_volume(mesh) == pytest.approx(8 * 9 * 10, rel=0.05)


@pytest.mark.parametrize("level", [0.0, 2.0])
def test_a_level_without_a_surface_says_so(level):
    with pytest.raises(InputError, match="no surface at amplitude"):
        phase_mesh(np.ones((8, 8, 8), complex), level=level, placing=Placing(basis=np.eye(3)))
