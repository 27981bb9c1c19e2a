"""The voxel model against the kinematic sum over every atom, Σ exp(−iQ·r), at the true Q of a rocking scan's voxels.

This pins the sign of the strain, the skewed frame and the conjugate grid together, with nothing shared but the angles.
"""

import numpy as np
import pytest

from friedel.bcdi.crystals import displacement
from friedel.bcdi.crystals.lattice import GOLD_LATTICE_CONSTANT_ANGSTROM, LatticeCrystal, fcc_atoms, turned_to
from friedel.bcdi.forward.bragg import expected_intensities
from friedel.bcdi.forward.scan import ScanGeometry, gold_111_geometry
from friedel.core import outlines

BOX = (16, 17, 18)


@pytest.fixture(scope="module")
def geometry() -> ScanGeometry:
    """Return a geometry with steps so coarse that a crystal of some thousand atoms fills a third of the box."""
    return gold_111_geometry(BOX, step_deg=0.45, pixel_m=2.4e-3)


def crystal(geometry: ScanGeometry, u: displacement.Displacement) -> tuple[LatticeCrystal, np.ndarray]:
    rotation = turned_to(geometry.grid.q_bragg, (1, 1, 1), seed=1)
    spacing = GOLD_LATTICE_CONSTANT_ANGSTROM
    outline = outlines.wulff({(1, 1, 1): 5.45 * spacing, (1, 0, 0): 6.25 * spacing}).transformed(rotation)
    lattice = LatticeCrystal(outline=outline, displacement=u)
    return lattice, fcc_atoms(outline, lattice_constant=spacing, rotation=rotation)


def atom_sum(atoms: np.ndarray, q: np.ndarray) -> np.ndarray:
    flat = q.reshape(-1, 3)
    parts = [np.exp(-1j * (chunk @ atoms.T)).sum(axis=1) for chunk in np.array_split(flat, 48)]
    return np.abs(np.concatenate(parts).reshape(q.shape[:-1])) ** 2


def voxel_q(geometry: ScanGeometry) -> np.ndarray:
    offsets = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in BOX], indexing="ij"), axis=-1)
    return geometry.grid.q_bragg + offsets @ geometry.grid.basis


def voxel_pattern(lattice: LatticeCrystal, geometry: ScanGeometry, sign: int) -> np.ndarray:
    """Return the voxel model's intensities in the box, from voxels three times finer so that they don't alias."""
    fine = (3 * BOX[0], 3 * BOX[1], 3 * BOX[2])
    h = sign * geometry.grid.q_bragg
    psi = lattice.on_grid(basis=geometry.grid.object_basis(fine), h=h, shape=fine)
    pattern = expected_intensities(psi, n_photons=1.0)
    return pattern[tuple(slice(f // 2 - n // 2, f // 2 - n // 2 + n) for f, n in zip(fine, BOX, strict=True))]


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(np.sqrt(first).ravel(), np.sqrt(second).ravel())[0, 1])


def test_atoms_and_voxels_diffract_alike_and_the_wrong_sign_does_not(geometry: ScanGeometry) -> None:
    n = geometry.grid.q_bragg / np.linalg.norm(geometry.grid.q_bragg)

    def u(positions: np.ndarray) -> np.ndarray:
        height = positions @ n
        across = positions @ np.array([0.3, 0.8, -0.2])
        return (0.25 * height**2 / 400 + 0.006 * height + 0.006 * across * height / 20)[..., None] * n

    lattice, atoms = crystal(geometry, u)
    truth = atom_sum(atoms + u(atoms), voxel_q(geometry))
    right, wrong = voxel_pattern(lattice, geometry, 1), voxel_pattern(lattice, geometry, -1)
    assert correlation(truth, right) > 0.998
    assert correlation(truth, wrong) < 0.96


@pytest.mark.parametrize("strain", [0.008, -0.008])
def test_a_larger_lattice_spacing_moves_the_peak_to_smaller_q(geometry: ScanGeometry, strain: float) -> None:
    lattice, atoms = crystal(geometry, displacement.homogeneous(np.eye(3) * strain))
    q = voxel_q(geometry)
    h = geometry.grid.q_bragg
    voxels = expected_intensities(lattice.on_grid(basis=geometry.grid.object_basis(BOX), h=h, shape=BOX), n_photons=1.0)
    for pattern in (atom_sum(atoms * (1 + strain), q), voxels):
        length = np.linalg.norm(np.average(q.reshape(-1, 3), axis=0, weights=pattern.ravel() ** 2))
        assert length / np.linalg.norm(h) - 1 == pytest.approx(-strain, rel=0.1)
