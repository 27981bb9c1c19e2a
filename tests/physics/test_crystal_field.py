"""Crystals on voxels: the voxel FFT against the kinematic sum over atoms, and fields that are known exactly."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.spatial.transform import Rotation

from friedel.bcdi.crystals.fcc import METALS, lattice_sites
from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.unrelaxed import UnrelaxedCrystal, draw_crystal
from friedel.bcdi.crystals.voxelise import crystal_field, crystallised
from friedel.core.errors import InputError
from friedel.core.fourier import fourier
from friedel.core.outlines import truncated_octahedron

GOLD = METALS["Au"].lattice_constant_angstrom


def unrelaxed(edge_cells: float = 5.0) -> UnrelaxedCrystal:
    lattice = lattice_sites(60.0, GOLD)
    sites = lattice[truncated_octahedron(edge_cells * GOLD).shifted(np.array([0.3, 0.1, 0.2])).depth(lattice) >= 0]
    every = np.ones(len(sites), dtype=bool)
    return UnrelaxedCrystal(
        metal=METALS["Au"], sites=sites, positions=sites, parent=every, held=~every, steps=1, history={}
    )


def bent(sites: np.ndarray) -> np.ndarray:
    x, y, z = sites.T / 25
    return np.column_stack([0.5 * x * y + 0.3 * z**2, 0.4 * y * z, 0.6 * x**2 - 0.3 * x * z])


def atom_sum(positions: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.array([np.exp(-1j * (row @ positions.T)).sum(axis=-1) for row in q])


def test_the_voxel_transform_equals_the_sum_over_atoms_about_any_peak() -> None:
    crystal = unrelaxed()
    positions = crystal.sites + 1.5 * bent(crystal.sites)
    field = crystal_field(crystal, positions, voxels=32)
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    m = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), axis=-1)
    step = 2 * np.pi / (32 * field.voxel_angstrom)
    kernel = np.prod(np.sinc(m / 32) ** 2, axis=-1)  # of trilinear sharing
    for hkl in ((1, 1, 1), (-2, 0, 0), (2, -2, 0)):
        h = field.scattering_vector(hkl)
        atoms = atom_sum(positions - middle, (h + m[..., ::-1] * step).reshape(-1, 3)).reshape(m.shape[:-1])
        # The sum's phase carries where the lattice lies; its modulus is what a detector sees.
        transform = fourier(torch.from_numpy(field.object(hkl).astype(np.complex128))).numpy()[12:21, 12:21, 12:21]
        voxels = np.abs(transform) * 32**1.5 * 4 / kernel
        misfit = np.linalg.norm(voxels - np.abs(atoms)) / np.linalg.norm(atoms)
        wrong = np.linalg.norm(voxels[::-1, ::-1, ::-1] - np.abs(atoms)) / np.linalg.norm(atoms)
        assert misfit < 0.02
        assert wrong > 3 * misfit


def test_a_perfect_crystal_is_flat_inside_and_has_no_phase() -> None:
    crystal = unrelaxed()
    turned = Rotation.from_rotvec([0.002, -0.001, 0.001]).as_matrix() * 1.004
    field = crystal_field(crystal, crystal.sites @ turned.T + 0.7, voxels=32)
    core = field.density[14:18, 14:18, 14:18]
    np.testing.assert_allclose(core, 1.0, atol=1e-3)
    assert field.phase_range_rad() < 1e-6
    assert field.voxel_angstrom == pytest.approx(1.004 * GOLD)
    assert field.density.sum() * 4 == pytest.approx(field.n_atoms, rel=1e-5)
    assert field.strain_rms() < 1e-8


def test_strain_is_that_of_the_displacement() -> None:
    crystal = unrelaxed(7.0)
    n = np.ones(3) / np.sqrt(3)
    along = crystal.sites @ n
    field = crystal_field(crystal, crystal.sites + (1e-4 * along**2)[:, None] * n, voxels=48)
    strain = field.strain((1, 1, 1))
    strain[binary_dilation(field.density < 0.98)] = np.nan  # the bulk: at the surface u is a mean of one side
    z, y, x = np.argwhere(np.isfinite(strain)).T - 24
    expected = 2e-4 * (np.column_stack([x, y, z]) * field.voxel_angstrom) @ n
    got = strain[np.isfinite(strain)]
    slope, offset = np.polyfit(expected, got, 1)
    assert slope == pytest.approx(1.0, rel=0.03)
    assert np.std(got - slope * expected - offset) < 1e-4


def test_a_lattice_translation_of_one_half_is_seen_by_no_reflection() -> None:
    crystal = unrelaxed()
    slip = np.where((crystal.sites @ np.ones(3) > 1.0)[:, None], GOLD / 2 * np.array([1.0, -1.0, 0.0]), 0.0)
    field = crystal_field(crystal, crystal.sites + slip, voxels=32)
    assert field.phase_range_rad() < 1e-6
    np.testing.assert_allclose(field.lattice, np.eye(3) * GOLD, atol=1e-6)
    assert field.strain_rms((2, 0, 0)) < 1e-6
    for hkl in ((1, 1, 1), (2, 0, 0), (1, 1, -1)):
        np.testing.assert_allclose(field.object(hkl)[field.inside].imag, 0.0, atol=1e-4)


def test_evaporated_atoms_are_dropped() -> None:
    crystal = unrelaxed()
    positions = crystal.sites.copy()
    positions[:3] += [[60.0, 0, 0], [0, 60.0, 0], [0, 0, 63.0]]
    left = crystallised(positions, GOLD)
    assert not left[:3].any()
    assert left.sum() >= len(left) - 3 - 20
    assert crystallised(crystal.sites, GOLD).all()


def test_turning_and_sampling_keep_what_scatters() -> None:
    crystal = unrelaxed(6.0)
    field = crystal_field(crystal, crystal.sites + bent(crystal.sites) / 4, voxels=40)
    turn = Rotation.from_euler("zyx", [20, 30, 40], degrees=True).as_matrix()
    shape = (40, 44, 48)
    psi = field.oversampled((1, 1, 1), rotation=turn, oversampling=(1.5, 2.0, 2.5), shape=shape)
    assert psi.shape == shape
    extent = [np.ptp(np.flatnonzero((np.abs(psi) >= 0.5).any(axis=other))) + 1 for other in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose(np.array(shape) / extent, (1.5, 2.0, 2.5), rtol=0.1)
    itself = field.on_grid((1, 1, 1), basis=np.eye(3)[::-1] * field.voxel_angstrom, shape=(40, 40, 40))
    np.testing.assert_allclose(itself, field.object((1, 1, 1)), atol=1e-5)


def test_a_crystal_too_large_for_its_box_is_refused() -> None:
    crystal = unrelaxed()
    with pytest.raises(InputError, match="raise 'voxels'"):
        crystal_field(crystal, crystal.sites, voxels=12)


def test_drawn_crystals_fit_their_box() -> None:
    options = CrystalRunOptions.read({"atoms": 3000, "voxels": 20, "twin": 0.5, "dislocation": 0.5})
    for number in range(8):
        crystal = draw_crystal(options, number)
        field = crystal_field(crystal, crystal.positions, voxels=20)
        assert 0.2 * len(crystal.sites) < field.n_atoms <= len(crystal.sites)
        assert field.density.max() < 1.6
