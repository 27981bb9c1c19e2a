"""Polyhedra: volumes known in closed form, and what maps and coverage must keep."""

import numpy as np
import pytest

from friedel.core import outlines
from friedel.core.errors import InputError
from friedel.core.outlines import SHAPES
from friedel.core.polyhedra import Polyhedron, coverage


@pytest.mark.parametrize(
    ("outline", "volume", "n_faces", "n_vertices"),
    [
        (outlines.cube(2.0), 8.0, 6, 8),
        (outlines.octahedron(2.0), np.sqrt(2) / 3 * 8, 8, 6),
        (outlines.cuboctahedron(2.0), 5 * np.sqrt(2) / 3 * 8, 14, 12),
        (outlines.truncated_octahedron(2.0), 8 * np.sqrt(2) * 8, 14, 24),
    ],
)
def test_textbook_bodies(outline: Polyhedron, volume: float, n_faces: int, n_vertices: int) -> None:
    assert outline.volume == pytest.approx(volume, rel=1e-7)
    assert len(outline.faces) == n_faces
    assert len(outline.vertices) == n_vertices


def test_a_linear_map_scales_the_volume_by_its_determinant() -> None:
    matrix = np.array([[1.0, 0.4, 0.0], [0.1, 2.0, 0.3], [0.0, -0.2, 0.7]])
    outline = outlines.random_wulff(np.random.default_rng(1))
    assert outline.transformed(matrix).volume == pytest.approx(outline.volume * np.linalg.det(matrix), rel=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_every_family_gives_a_bounded_body_around_the_origin(name: str) -> None:
    for seed in range(5):
        outline = SHAPES[name](np.random.default_rng(seed))
        assert outline.depth(np.zeros(3)) > 0
        assert outline.volume > 0.1 * np.prod(outline.extent) / 6
        assert np.all(outline.depth(outline.vertices) > -1e-6)


def test_coverage_adds_up_to_the_volume_on_a_skewed_grid() -> None:
    steps = np.array([[1.0, 0.2, 0.0], [0.0, 1.1, 0.1], [0.3, 0.0, 0.9]])
    ticks = np.arange(-16, 17)
    positions = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1) @ steps
    outline = outlines.rotated(outlines.octahedron(10.0), np.random.default_rng(0))
    share = coverage(outline, positions, steps)
    assert share.sum() * np.linalg.det(steps) == pytest.approx(outline.volume, rel=2e-3)
    binary = coverage(outline, positions, steps, subdivisions=1)
    assert set(np.unique(binary)) == {0.0, 1.0}


def test_a_plane_through_the_origin_is_refused() -> None:
    with pytest.raises(InputError, match="origin must lie inside"):
        Polyhedron(np.eye(3), np.array([1.0, 0.0, 1.0]))
