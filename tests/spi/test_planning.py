"""Plans of single-particle runs held against the sphere's exact form factor."""

import numpy as np
import pytest
from scipy.special import spherical_jn

from friedel.spi.planning import (
    ParticleWish,
    hits_needed,
    particle_words,
    plan_particles,
    porod_cross_section,
    sphere_cross_section,
)

WISH = ParticleWish(size_nm=70, energy_ev=1600, distance_m=0.58, photons_per_um2=1e12, resolution_nm=12.5)


def _sphere(q, radius):
    x = np.maximum(q * radius, 1e-9)
    return (4 / 3 * np.pi * radius**3) ** 2 * (3 * spherical_jn(1, x) / x) ** 2


def test_cross_sections_are_those_of_the_exact_sphere():
    size, wavelength, density = 700.0, 7.75, 0.43
    angle = np.linspace(0, 0.5, 400_000)
    k = 2 * np.pi / wavelength
    intensity = (2.8179403e-5 * density) ** 2 * _sphere(k * angle, size / 2)
    total = np.trapezoid(intensity * 2 * np.pi * angle, angle)
    assert sphere_cross_section(size, wavelength, density) == pytest.approx(total, rel=0.01)
    q = 0.05 + np.linspace(0, 10 * np.pi / (size / 2), 4000)  # ten whole fringes
    fringes = np.mean((2.8179403e-5 * density) ** 2 * _sphere(q, size / 2) * q**4) / (2 * np.pi / 100) ** 4
    assert porod_cross_section(size, 100.0, density) == pytest.approx(fringes, rel=0.05)


def test_hits_fill_the_shell_as_random_slices_do():
    """Count, over random orientations, how often a voxel at the shell is met."""
    rng, size, period = np.random.default_rng(0), 20.0, 4.0
    q, voxel = 2 * np.pi / period, 2 * np.pi / size
    point = np.array([q, 0, 0])
    normals = rng.normal(size=(200_000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    share = np.mean(np.abs(normals @ point) < voxel / 2)
    assert hits_needed(0.1, size, period, 1.0) == pytest.approx(10 / share, rel=0.05)
    assert hits_needed(1e6, size, period, 1.0) == pytest.approx(3 / share, rel=0.05)


def test_what_won_t_work_is_said():
    assert plan_particles(WISH).warnings == ()
    dim = plan_particles(WISH.model_copy(update={"photons_per_um2": 1e7, "distance_m": 0.01, "resolution_nm": 0.5}))
    assert len(dim.warnings) == 3
    assert len(particle_words(WISH, plan_particles(WISH))) == 5
