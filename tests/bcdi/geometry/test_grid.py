"""The reciprocal grid as a record: duality with the object's voxels, binning, shifting."""

import numpy as np
import pytest

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.core.errors import InputError


@pytest.fixture
def skewed():
    basis = np.array([[1.0, 0.2, 0.0], [0.0, 0.8, -0.1], [0.3, 0.0, 1.1]]) * 1e-3
    return ReciprocalGrid(basis=basis, q_bragg=np.array([1.0, 2.0, 2.0]), wavelength_angstrom=1.4)


@pytest.mark.parametrize("shape", [(8, 10, 12), (7, 9, 11)])
def test_the_object_voxels_are_dual_to_the_grid(skewed, shape):
    # q·r = 2π Σ n_k m_k / N_k for any two index offsets.
    rng = np.random.default_rng(0)
    n, m = rng.integers(-5, 5, size=(2, 20, 3))
    q, r = m @ skewed.basis, n @ skewed.object_basis(shape)
    np.testing.assert_allclose((q * r).sum(axis=1), 2 * np.pi * (n * m / np.array(shape)).sum(axis=1), atol=1e-12)


def test_a_cubic_grid_gives_cubic_voxels_of_2_pi_over_the_window():
    grid = ReciprocalGrid(basis=np.eye(3) * 1e-3, q_bragg=np.array([0.0, 0.0, 2.0]), wavelength_angstrom=1.0)
    np.testing.assert_allclose(grid.object_basis((64, 64, 64)), np.eye(3) * 2 * np.pi / 0.064)
    assert grid.d_spacing_angstrom == pytest.approx(np.pi)


def test_binning_keeps_the_centre_and_the_object_voxel_of_the_smaller_array(skewed):
    binned = skewed.binned((1, 2, 4))
    np.testing.assert_allclose(binned.basis, skewed.basis * np.array([[1], [2], [4]]))
    np.testing.assert_array_equal(binned.q_bragg, skewed.q_bragg)
    np.testing.assert_allclose(binned.object_basis((8, 8, 8)), skewed.object_basis((8, 16, 32)))


def test_shifting_moves_the_centre_along_the_steps(skewed):
    np.testing.assert_allclose(
        skewed.shifted((2, 0, -1)).q_bragg, skewed.q_bragg + 2 * skewed.basis[0] - skewed.basis[2]
    )


@pytest.mark.parametrize(
    ("basis", "q", "words"),
    [
        (np.eye(2), np.zeros(3), "basis"),
        (np.eye(3), np.zeros(2), "q_bragg"),
        (np.diag([1.0, 1.0, 0.0]), np.ones(3), "one plane"),
    ],
)
def test_a_grid_that_spans_no_volume_is_refused(basis, q, words):
    with pytest.raises(InputError, match=words):
        ReciprocalGrid(basis=basis, q_bragg=q, wavelength_angstrom=1.0)
