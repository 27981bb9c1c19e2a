"""What one crystal's pattern and solution have, and those of none, of two, or of a broken support haven't."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.verdict.assess import MIN_FRINGES, MIN_PIECE, MIN_UNIFORMITY
from friedel.bcdi.phasing.verdict.plausible import amplitude_uniformity, count_fringes, largest_piece
from friedel.bcdi.records import Diffraction

SHAPE = (32, 32, 32)
RNG = np.random.default_rng(0)
AWAY = np.sum((np.indices(SHAPE) - 16.0) ** 2, axis=0)


def _pattern(photons, mask=None):
    return Diffraction(intensities=np.asarray(photons, np.float32), mask=np.ones(SHAPE, bool) if mask is None else mask)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("over_sphere", [1.2, 2.5])
def test_a_crystals_pattern_has_fringes_even_at_few_photons(seed, over_sphere):
    obj = wavy_crystal(SHAPE, seed=seed, over_sphere=over_sphere)
    assert count_fringes(_pattern(diffract(obj, n_photons=1e5, seed=1))) > MIN_FRINGES


@pytest.mark.parametrize("width", [1.5, 3.0, 5.0])
@pytest.mark.parametrize("counts", [1e2, 1e4, 1e6])
def test_a_blob_has_none(width, counts):
    assert count_fringes(_pattern(RNG.poisson(counts * np.exp(-AWAY / (2 * width**2))))) == 0


def test_noise_has_none_and_unknown_voxels_make_none():
    flat = RNG.poisson(50.0, SHAPE).astype(np.float32)
    assert count_fringes(_pattern(flat)) == 0
    mask = np.ones(SHAPE, bool)
    mask[:, 14:18] = False
    assert count_fringes(_pattern(np.where(mask, flat, 0), mask)) == 0
    assert count_fringes(_pattern(np.where(mask, flat, 0))) > 1000


def test_one_crystal_is_even_and_in_one_piece():
    crystal = random_crystal(SHAPE, seed=3, phase_range_rad=4.0)
    assert amplitude_uniformity(crystal.object, crystal.support) > MIN_UNIFORMITY + 0.1
    assert largest_piece(crystal.object, crystal.support) == 1.0


def test_bright_and_dark_regions_are_uneven():
    crystal = random_crystal(SHAPE, seed=3)
    half = np.where(np.arange(32) < 16, 1.0, 0.5)
    assert amplitude_uniformity((crystal.object * half).astype(np.complex64), crystal.support) < MIN_UNIFORMITY
    thin = np.zeros(SHAPE, bool)
    thin[16, 16] = True
    assert np.isnan(amplitude_uniformity(crystal.object, thin))


@pytest.mark.parametrize("second", [0.4, 0.5, 1.0])
@pytest.mark.parametrize("loose", [1, 2, 3])
def test_a_loose_support_changes_nothing(loose, second):
    crystal = random_crystal(SHAPE, seed=3)
    obj = (crystal.object * np.where(np.arange(32) < 16, 1.0, second)).astype(np.complex64)
    tight = amplitude_uniformity(obj, crystal.support)
    assert amplitude_uniformity(obj, binary_dilation(crystal.support, iterations=loose)) == pytest.approx(
        tight, abs=0.1
    )


def test_two_pieces_are_counted_by_density():
    support = np.zeros(SHAPE, bool)
    support[4:12, 4:12, 4:12] = support[20:28, 20:28, 20:28] = True
    obj = np.where(support, 1.0, 0).astype(np.complex64)
    assert largest_piece(obj, support) == pytest.approx(0.5)
    assert MIN_PIECE > 0.5
    obj[20:28] *= 0.1
    assert largest_piece(obj, support) > MIN_PIECE
    assert largest_piece(obj * 0, support * False) == 0.0
