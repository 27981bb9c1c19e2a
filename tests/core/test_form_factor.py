"""The exact form factor against closed forms and a brute-force sum."""

import numpy as np

from friedel.core import outlines
from friedel.core.polyhedra import coverage, form_factor


def test_a_box_is_a_product_of_sincs() -> None:
    sides = np.array([2.0, 3.0, 5.0])
    box = outlines.cube(1.0).transformed(np.diag(sides))
    q = np.random.default_rng(0).normal(scale=2.0, size=(50, 3))
    expected = np.prod(sides * np.sinc(q * sides / (2 * np.pi)), axis=-1)
    np.testing.assert_allclose(form_factor(box, q), expected, atol=1e-9)


def test_limits_at_zero_and_along_a_face_normal() -> None:
    outline = outlines.truncated_octahedron(1.0)
    q = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1e-7, 0.0, 1.0], [1e-6, 1e-6, 0.0]])
    values = form_factor(outline, q)
    np.testing.assert_allclose(values[[0, 3]], outline.volume, rtol=1e-6)
    np.testing.assert_allclose(values[1], values[2], rtol=1e-6)


def test_a_shift_is_a_phase() -> None:
    outline, offset = outlines.random_convex(np.random.default_rng(3)), np.array([0.1, -0.05, 0.2])
    q = np.random.default_rng(4).normal(scale=3.0, size=(20, 3))
    moved = form_factor(outline.shifted(offset), q)
    np.testing.assert_allclose(moved, form_factor(outline, q) * np.exp(-1j * q @ offset), atol=1e-8)


def test_a_random_body_agrees_with_summing_small_voxels() -> None:
    outline = outlines.random_wulff(np.random.default_rng(5))
    ticks = np.linspace(-2, 2, 81)
    positions = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1)
    step = ticks[1] - ticks[0]
    share = coverage(outline, positions, np.eye(3) * step)
    for q in np.random.default_rng(6).normal(scale=1.5, size=(4, 3)):
        voxel = np.prod(np.sinc(q * step / (2 * np.pi)))
        summed = (share * np.exp(-1j * positions @ q)).sum() * step**3 * voxel
        assert abs(summed - form_factor(outline, q)) < 3e-3 * outline.volume
