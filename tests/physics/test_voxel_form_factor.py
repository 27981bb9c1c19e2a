"""A voxel crystal diffracts like the exact form factor of its polyhedron."""

import numpy as np
import pytest

from friedel.bcdi.crystals import displacement
from friedel.bcdi.crystals.lattice import LatticeCrystal
from friedel.bcdi.forward.bragg import expected_intensities, voxel_transfer
from friedel.bcdi.forward.scan import gold_111_geometry
from friedel.core import outlines
from friedel.core.polyhedra import form_factor


@pytest.mark.parametrize("box", [(48, 48, 48), (45, 50, 47)])
def test_antialiased_voxels_follow_the_exact_form_factor(box: tuple[int, int, int]) -> None:
    grid = gold_111_geometry(box).grid
    basis = grid.object_basis(box)
    outline = outlines.rotated(outlines.truncated_octahedron(1.0), np.random.default_rng(2))
    outline = outline.transformed(np.eye(3) * 2400 / outline.extent.mean())
    psi = LatticeCrystal(outline=outline, displacement=displacement.none).on_grid(
        basis=basis, h=grid.q_bragg, shape=box
    )
    offsets = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in box], indexing="ij"), axis=-1)
    exact = np.abs(form_factor(outline, offsets @ grid.basis) * voxel_transfer(box)) ** 2
    voxels = expected_intensities(psi, n_photons=exact.sum())
    inner = tuple(slice(n // 4, n - n // 4) for n in box)
    difference = np.linalg.norm(np.sqrt(voxels[inner]) - np.sqrt(exact[inner])) / np.linalg.norm(np.sqrt(exact[inner]))
    assert difference < 0.02
