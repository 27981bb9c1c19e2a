"""Displacement fields: what elasticity and geometry say about them."""

import numpy as np
import pytest

from friedel.bcdi.crystals import displacement
from friedel.core import outlines

LINE = np.array([0.0, 0.0, 1.0])


def divergence(field: displacement.Displacement, points: np.ndarray, step: float = 1e-4) -> np.ndarray:
    return sum((field(points + step * axis) - field(points - step * axis)) @ axis / (2 * step) for axis in np.eye(3))


def test_a_screw_dislocation_closes_on_its_burgers_vector() -> None:
    field = displacement.screw_dislocation(np.zeros(3), LINE, burgers=2.5)
    angles = np.linspace(-np.pi + 1e-9, np.pi - 1e-9, 400)
    loop = np.column_stack([3 * np.cos(angles), 3 * np.sin(angles), np.zeros_like(angles)])
    steps = np.diff(field(loop), axis=0)
    steps -= 2.5 * np.round(steps / 2.5)
    # The sum of small steps and the closing step is the Burgers vector, up to the sense of the loop.
    assert abs(abs(steps[:, 2].sum()) - 2.5) < 0.02
    assert np.allclose(field(loop)[:, :2], 0)


def test_an_edge_dislocation_closes_on_its_burgers_vector_and_dilates_as_the_books_say() -> None:
    burgers, nu = np.array([2.0, 0.0, 0.0]), 0.3
    field = displacement.edge_dislocation(np.zeros(3), LINE, burgers, poisson_ratio=nu)
    ends = field(np.array([[-5.0, 1e-9, 0.0], [-5.0, -1e-9, 0.0]]))
    np.testing.assert_allclose(ends[0] - ends[1], burgers, atol=1e-6)
    # The dilatation of an edge dislocation in an isotropic medium is −b (1−2ν) y / (2π (1−ν) r²).
    points = np.array([[3.0, 4.0, 0.0], [-2.0, -5.0, 1.0]])
    expected = -2.0 * (1 - 2 * nu) / (2 * np.pi * (1 - nu)) * points[:, 1] / (points[:, 0] ** 2 + points[:, 1] ** 2)
    np.testing.assert_allclose(divergence(field, points), expected, rtol=1e-4)


def test_an_inclusion_strains_itself_and_only_shears_its_surroundings() -> None:
    field = displacement.inclusion(np.zeros(3), radius=2.0, misfit=0.01)
    inside, outside = np.array([[0.5, 0.3, -0.2]]), np.array([[2.0, 2.0, -1.0]])
    np.testing.assert_allclose(divergence(field, inside), 0.03, rtol=1e-6)
    np.testing.assert_allclose(divergence(field, outside), 0.0, atol=1e-8)


def test_relaxation_pulls_every_facet_inwards() -> None:
    outline = outlines.cube(2.0)
    field = displacement.surface_relaxation(outline, amplitude=0.1, depth=0.2)
    centres = outline.normals * outline.distances[:, None]
    pulled = np.sum(field(centres) * outline.normals, axis=1)
    np.testing.assert_allclose(pulled, -0.1, rtol=1e-3)


def test_a_substrate_stretches_its_facet() -> None:
    field = displacement.substrate_pull(LINE, 1.0, strain=0.002, decay=0.5)
    np.testing.assert_allclose(field(np.array([[1.0, 0.0, 1.0]])), [[0.002, 0.0, 0.0]], atol=1e-12)
    far = field(np.array([[1.0, 0.0, -20.0]]))
    assert abs(far[0, 0]) < 1e-12


def test_fields_add() -> None:
    first, second = displacement.homogeneous(np.eye(3) * 0.1), displacement.none
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(displacement.combined(first, second)(points), points * 0.1)


@pytest.mark.parametrize("amplitude", [0.5, 2.0])
def test_the_smooth_field_scales(amplitude: float) -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    unit = displacement.smooth(np.random.default_rng(1), radius=2.0, amplitude=1.0)(points)
    scaled = displacement.smooth(np.random.default_rng(1), radius=2.0, amplitude=amplitude)(points)
    np.testing.assert_allclose(scaled, amplitude * unit)
