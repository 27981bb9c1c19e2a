"""A reconstruction's derived views."""

import numpy as np
import pytest

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import Provenance, Quality, Reconstruction


@pytest.fixture
def made():
    quality = Quality(
        chi=0.05, support_voxels=4, support_fraction=0.01, support_threshold=0.2, n_starts=1, n_agreeing=1,
        isosurface_level=0.5, trusted=True, reasons=(),
    )  # fmt: skip
    provenance = Provenance(plan={}, seed=0, versions={}, source="test", started="2026-01-01T00:00:00Z", seconds=1.0)
    obj = np.zeros((4, 5, 6), np.complex64)
    obj[2, 2, 3] = 2j
    return Reconstruction(object=obj, support=obj != 0, quality=quality, provenance=provenance)


def test_amplitude_and_phase_are_views_of_the_object(made):
    assert made.amplitude.dtype == made.phase.dtype == np.float32
    assert made.amplitude[2, 2, 3] == 2.0
    assert made.phase[2, 2, 3] == pytest.approx(np.pi / 2)


def test_without_geometry_there_is_no_voxel_size(made):
    assert made.voxel_basis_angstrom is None


def test_with_geometry_the_voxels_follow_the_grid(made):
    from dataclasses import replace

    grid = ReciprocalGrid(basis=np.eye(3) * 1e-3, q_bragg=np.array([0, 0, 2.0]), wavelength_angstrom=1.0)
    sized = replace(made, grid=grid)
    np.testing.assert_allclose(np.diag(sized.voxel_basis_angstrom), 2 * np.pi / (1e-3 * np.array([4, 5, 6])))
