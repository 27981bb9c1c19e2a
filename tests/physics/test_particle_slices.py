"""Ewald slices of voxel particles follow transforms known in closed form: the sphere's and the exact polyhedron's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.core import outlines
from friedel.core.polyhedra import form_factor
from friedel.spi.forward.ewald import FrameGeometry, slices, sphere_slices
from friedel.spi.particles import bodies
from friedel.spi.particles.bodies import facetted
from friedel.spi.particles.particle import particle

GEOMETRY = FrameGeometry(
    shape=(64, 64), photon_energy_ev=1600.0, distance_m=0.58, pixel_size_m=1.2e-3, centre=(31.5, 31.5)
)
DIAMETER = 700.0  # Å: about eleven fringes from the centre to the frame's edge
OUTLINES = {
    "icosahedron": bodies.icosahedron(1.0),
    "soccer_ball": bodies.truncated_icosahedron(1.0),
    "dodecahedron": bodies.dodecahedron(1.0),
    "cube": outlines.cube(1.0),
    "octahedron": outlines.octahedron(1.0),
}


def _q() -> NDArray[np.float32]:
    return np.ascontiguousarray(GEOMETRY.q.reshape(-1, 3))


def _voxel_share(q: NDArray[np.floating], voxel: float) -> NDArray[np.floating]:
    """Return what averaging over a voxel leaves of each amplitude."""
    return np.prod(np.sinc(q * voxel / (2 * np.pi)), axis=-1)


def _difference(found: NDArray[np.complexfloating], expected: NDArray[np.inexact]) -> float:
    """Return the relative difference over the outer part of the frame, where the centre doesn't outshine the rest."""
    q = np.linalg.norm(_q(), axis=1)
    outer = q > q.max() / 3
    return float(np.linalg.norm((found - expected)[outer]) / np.linalg.norm(expected[outer]))


def test_the_geometry_has_q_where_ewalds_sphere_is() -> None:
    q = GEOMETRY.q.astype(float)
    k = 2 * np.pi / GEOMETRY.wavelength
    np.testing.assert_allclose(np.linalg.norm(q + np.array([k, 0, 0]), axis=-1), k, rtol=1e-5)
    two_theta = np.arctan(np.hypot(0.5, 31.5) * 1.2e-3 / 0.58)
    assert np.linalg.norm(q[31, 63]) == pytest.approx(2 * k * np.sin(two_theta / 2), rel=1e-4)


@pytest.mark.parametrize("n", [64, 63])
def test_a_voxel_sphere_diffracts_as_the_textbooks_sphere(n: int) -> None:
    q, diameter = _q(), np.array([DIAMETER], dtype=np.float32)
    made = particle("sphere", rng=np.random.default_rng(0), n=n)
    rotation = np.eye(3, dtype=np.float32)[None]
    found = slices(made, q, rotation, diameter)[0]
    expected = sphere_slices(q, diameter)[0] * _voxel_share(q, DIAMETER / made.diameter_voxels)
    assert _difference(found, expected) < 5e-3
    assert np.abs(found.imag).max() < 1e-3 * np.abs(found).max()


@pytest.mark.parametrize("name", OUTLINES)
def test_a_facetted_particle_diffracts_as_its_exact_polyhedron_in_any_orientation(name: str) -> None:
    q, n_orientations = _q(), 3
    rotations = Rotation.random(n_orientations, np.random.default_rng(1)).as_matrix()
    diameters = np.full(n_orientations, DIAMETER, dtype=np.float32)
    made = particle(name, rng=np.random.default_rng(0), n=64)
    found = slices(made, q, rotations.astype(np.float32), diameters)
    outline = OUTLINES[name]
    outline = outline.transformed(np.eye(3) * DIAMETER / (2 * facetted(outline).radius))
    for rotation, amplitude in zip(rotations, found, strict=True):
        in_body = q.astype(float) @ rotation
        exact = form_factor(outline, in_body) * _voxel_share(in_body, DIAMETER / made.diameter_voxels)
        assert _difference(amplitude, exact) < 1.2e-2


def _minima(profile: NDArray[np.floating]) -> list[int]:
    inner = (profile[1:-1] < profile[:-2]) & (profile[1:-1] < profile[2:])
    return (np.flatnonzero(inner) + 1).tolist()


def test_fringes_stand_where_the_exact_ones_do() -> None:
    q, diameter = _q(), np.array([DIAMETER], dtype=np.float32)
    made = particle("sphere", rng=np.random.default_rng(0), n=64)
    found = np.abs(slices(made, q, np.eye(3, dtype=np.float32)[None], diameter)[0]).reshape(64, 64)[31]
    expected = np.abs(sphere_slices(q, diameter)[0]).reshape(64, 64)[31]
    assert len(_minima(expected)) >= 6
    assert _minima(found) == _minima(expected)
