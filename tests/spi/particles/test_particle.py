"""Single particles: every name, its volume, its box, its seed; and what is refused."""

import numpy as np
import pytest
from scipy import ndimage

from friedel.core.errors import InputError
from friedel.core.polyhedra import form_factor
from friedel.spi.particles import bodies
from friedel.spi.particles.bodies import ball, capsule, ellipsoid, facetted, filled, torus
from friedel.spi.particles.particle import PARTICLES, Particle, largest_diameter, particle


@pytest.mark.parametrize("name", PARTICLES)
@pytest.mark.parametrize("n", [32, 45])
def test_every_particle_is_one_piece_in_the_middle_of_its_box(name: str, n: int) -> None:
    for seed in range(3):
        made = particle(name, rng=np.random.default_rng(seed), n=n)
        assert made.density.shape == (n, n, n)
        assert made.density.dtype == np.float32
        assert made.density.min() == 0
        assert made.diameter_voxels == pytest.approx(0.72 * n)
        if name != "core_shell":  # whose core may be so heavy that its shell is thin beside it
            assert largest_diameter(made.density) == pytest.approx(made.diameter_voxels, abs=3.0)
        assert ndimage.label(made.density > 1e-3, np.ones((3, 3, 3)))[1] == 1


@pytest.mark.parametrize("name", PARTICLES)
def test_the_state_of_the_generator_decides_everything(name: str) -> None:
    first, again = (particle(name, rng=np.random.default_rng(7), n=32).density for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", ["torus", "ellipsoid", "rod", "core_shell", "convex", "blob"])
def test_proportions_are_drawn(name: str) -> None:
    volumes = {float(particle(name, rng=np.random.default_rng(seed), n=32).density.sum()) for seed in range(4)}
    assert len(volumes) == 4


@pytest.mark.parametrize(
    ("outline", "volume", "faces", "vertices"),
    [
        (bodies.icosahedron(2.0), 5 * (3 + np.sqrt(5)) / 12 * 8, 20, 12),
        (bodies.dodecahedron(2.0), (15 + 7 * np.sqrt(5)) / 4 * 8, 12, 20),
        (bodies.truncated_icosahedron(2.0), (125 + 43 * np.sqrt(5)) / 4 * 8, 32, 60),
    ],
)
def test_icosahedral_bodies_are_the_textbooks(outline, volume: float, faces: int, vertices: int) -> None:
    assert outline.volume == pytest.approx(volume, rel=1e-7)
    assert len(outline.faces) == faces
    assert len(outline.vertices) == vertices


@pytest.mark.parametrize(
    ("body", "volume"),
    [
        (ball(), 4 / 3 * np.pi),
        (ellipsoid((1.0, 0.8, 0.5)), 4 / 3 * np.pi * 0.4),
        (torus(0.4), 2 * np.pi**2 * 0.16),
        (capsule(2.5), np.pi * 3.0 + 4 / 3 * np.pi),
        (facetted(bodies.truncated_icosahedron(1.0)), (125 + 43 * np.sqrt(5)) / 4),
    ],
    ids=["ball", "ellipsoid", "torus", "capsule", "soccer ball"],
)
def test_filled_voxels_add_up_to_the_volume(body, volume: float) -> None:
    density = filled(body, n=64, diameter_voxels=46.0)
    voxel = 2 * body.radius / 46.0
    assert float(density.sum()) * voxel**3 == pytest.approx(volume, rel=2e-3)


def test_antialiased_voxels_follow_the_exact_form_factor_along_a_line() -> None:
    outline = bodies.icosahedron(1.0)
    body = facetted(outline)
    density = filled(body, n=64, diameter_voxels=46.0)
    outline = outline.transformed(np.eye(3) * 46.0 / (2 * body.radius))
    direction = np.array([0.3, -0.5, 0.81])
    q = np.linspace(0.05, 0.7, 40)[:, None] * direction / np.linalg.norm(direction)
    ticks = np.arange(64) - 32
    waves = [np.exp(-1j * np.outer(k, ticks)) for k in q.T]
    voxels = np.einsum("zyx,qz,qy,qx->q", density, *waves, optimize=True)
    exact = form_factor(outline, q) * np.prod(np.sinc(q / (2 * np.pi)), axis=1)
    assert np.linalg.norm(voxels - exact) < 0.01 * np.linalg.norm(exact)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"'icosahedral'; did you mean 'icosahedron'"):
        particle("icosahedral", rng=np.random.default_rng(0))
    with pytest.raises(InputError, match=r"choose one of: icosahedron, soccer_ball"):
        particle("zzz", rng=np.random.default_rng(0))


def test_what_makes_no_particle_is_refused() -> None:
    with pytest.raises(InputError, match="at least 16 voxels"):
        particle("sphere", rng=np.random.default_rng(0), n=8)
    with pytest.raises(InputError, match="doesn't fit a box of 32"):
        filled(ball(), n=32, diameter_voxels=40.0)
    with pytest.raises(InputError, match="must be a cube"):
        Particle(name="slab", density=np.ones((4, 8, 8), np.float32), diameter_voxels=4.0)
    with pytest.raises(InputError, match="diameter_voxels must be positive"):
        Particle(name="dot", density=np.ones((8, 8, 8), np.float32), diameter_voxels=0.0)
    with pytest.raises(InputError, match="nowhere above zero"):
        largest_diameter(np.zeros((8, 8, 8)))
