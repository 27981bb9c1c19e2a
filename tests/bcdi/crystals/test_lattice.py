"""Crystals in the laboratory: orientation, the sign of the phase, and what doesn't fit."""

import numpy as np
import pytest

from friedel.bcdi.crystals import displacement
from friedel.bcdi.crystals.lattice import LatticeCrystal, fcc_atoms, gold_crystal, turned_to
from friedel.core import outlines
from friedel.core.errors import InputError

H = np.array([1.0, 2.0, -1.5])
SKEWED = np.array([[40.0, 10.0, 5.0], [0.0, -60.0, 0.0], [8.0, 0.0, -45.0]])


def test_the_phase_is_minus_h_dot_u() -> None:
    strain = np.array([[1e-3, 0, 0], [0, -2e-3, 5e-4], [0, 0, 3e-3]])
    crystal = LatticeCrystal(outline=outlines.cube(600.0), displacement=displacement.homogeneous(strain))
    psi = crystal.on_grid(basis=SKEWED, h=H, shape=(32, 32, 32))
    n = np.array([3, -2, 1])
    position = n @ SKEWED
    value = psi[tuple(n + 16)]
    assert abs(value) == pytest.approx(1.0)
    assert abs(np.angle(value * np.exp(1j * H @ strain @ position))) < 1e-5
    unit = H / np.linalg.norm(H)
    np.testing.assert_allclose(crystal.strain(position[None], H), unit @ strain @ unit, rtol=1e-6)


def test_gold_faces_its_scattering_vector_and_keeps_the_phase_range() -> None:
    crystal = gold_crystal(H, seed=3, diameter_angstrom=2000.0, phase_range_rad=4.0)
    facing = crystal.outline.normals @ (H / np.linalg.norm(H))
    assert facing.max() == pytest.approx(1.0)
    points = np.random.default_rng(0).uniform(-1000, 1000, (20000, 3))
    points = points[crystal.outline.depth(points) > 0]
    assert np.ptp(crystal.phase(points, H)) == pytest.approx(4.0, rel=0.1)


def test_a_rotation_brings_the_plane_onto_the_direction() -> None:
    rotation = turned_to(H, (1, 1, 1), seed=0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation @ np.ones(3) / np.sqrt(3), H / np.linalg.norm(H), atol=1e-9)


def test_there_are_four_atoms_a_cell() -> None:
    outline = outlines.cuboctahedron(40.0)
    atoms = fcc_atoms(outline, lattice_constant=4.0, rotation=np.eye(3))
    assert len(atoms) * 16 == pytest.approx(outline.volume, rel=0.1)


def test_a_crystal_that_is_too_large_is_refused() -> None:
    crystal = LatticeCrystal(outline=outlines.cube(4000.0), displacement=displacement.none)
    with pytest.raises(InputError, match=r"array has \(32, 32, 32\)"):
        crystal.on_grid(basis=SKEWED, h=H, shape=(32, 32, 32))
