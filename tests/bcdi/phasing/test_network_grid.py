"""A pattern of any shape comes to the network's grid, and a prediction comes back, as physics has it."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract, expected_intensities
from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.phasing.ambiguities import correlation
from friedel.bcdi.phasing.prediction.network_grid import network_grid, network_pattern
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError, PlanError
from friedel.core.fourier import fourier


def _measured(shape, oversampling, *, seed=1, phase_range_rad=3.0, n_photons=1e7, mask=None):
    crystal = random_crystal(shape, seed=seed, phase_range_rad=phase_range_rad, oversampling=oversampling)
    intensities = diffract(crystal.object, n_photons=n_photons, seed=seed)
    mask = np.ones(shape, bool) if mask is None else mask
    return crystal.object, Diffraction(intensities=np.where(mask, intensities, 0), mask=mask)


def _chi(obj, pattern):
    modulus, amplitude = (
        fourier(torch.from_numpy(obj)).abs().numpy()[pattern.mask],
        np.sqrt(pattern.intensities[pattern.mask]),
    )
    scale = (modulus @ amplitude) / (modulus @ modulus)
    return float(np.linalg.norm(scale * modulus - amplitude) / np.linalg.norm(amplitude))


@pytest.mark.parametrize("n_photons", [1e5, 1e7])
@pytest.mark.parametrize(("phase_range_rad", "scatter"), [(1.0, 0.2), (12.0, 0.5)])
def test_the_oversampling_is_found_axis_by_axis(n_photons, phase_range_rad, scatter):
    ratios = []
    for seed, wanted in enumerate([(3.5, 2.0, 2.6), (2.2, 3.8, 3.0), (2.6, 2.4, 3.3)]):
        _, diffraction = _measured(
            (40, 36, 44), wanted, seed=seed, phase_range_rad=phase_range_rad, n_photons=n_photons
        )
        ratios.append(np.array(estimate_oversampling(diffraction.intensities, diffraction.mask)) / wanted)
    assert np.median(ratios) == pytest.approx(1, abs=0.12)
    assert np.abs(np.array(ratios) - 1).max() < scatter


def test_a_crystal_that_nearly_fills_its_box_is_seen_to():
    _, tight = _measured((32, 32, 32), (1.3, 3.0, 1.5), seed=4)
    z, y, x = estimate_oversampling(tight.intensities, tight.mask)
    assert z < 1.8
    assert x < 1.9
    assert y == pytest.approx(3.0, rel=0.2)


@pytest.mark.parametrize("shape", [(48, 40, 36), (33, 45, 39), (64, 64, 64)])
def test_the_pattern_on_the_networks_grid_is_that_of_the_object_on_it(shape):
    obj, diffraction = _measured(shape, (2.5, 3.1, 2.2), n_photons=1e8)
    pattern = network_pattern(diffraction)
    lowered = pattern.grid.lower(obj)
    assert lowered.shape == pattern.intensities.shape == (32, 32, 32)
    assert _chi(lowered, pattern) < 0.06
    assert abs(correlation(pattern.grid.lift(lowered), obj)) > 0.99


def test_the_crystal_fills_the_networks_box_as_wanted():
    obj, diffraction = _measured((48, 48, 48), (2.4, 3.2, 2.8))
    for wanted in (1.5, 2.0):
        lowered = network_grid(diffraction, oversampling=wanted).lower(obj)
        inside = np.abs(lowered) > 0.3
        for axis in range(3):
            occupied = inside.any(axis=tuple(other for other in range(3) if other != axis)).sum()
            assert 32 / occupied == pytest.approx(wanted, rel=0.25)


def test_fine_sampling_averages_noise_away():
    obj, diffraction = _measured((72, 72, 72), 5.0, n_photons=1e5)
    expected = np.sqrt(expected_intensities(obj, n_photons=1e5))
    noise = np.linalg.norm(np.sqrt(diffraction.intensities) - expected) / np.linalg.norm(expected)
    pattern = network_pattern(diffraction)
    assert _chi(pattern.grid.lower(obj), pattern) < 0.6 * noise


def test_unknown_voxels_take_no_part():
    mask = np.ones((48, 48, 48), bool)
    mask[:, 28:32, :] = False
    mask[10:13] = False
    obj, diffraction = _measured((48, 48, 48), (2.5, 2.4, 2.6), n_photons=1e8, mask=mask)
    poisoned = Diffraction(intensities=np.where(mask, diffraction.intensities, 1e9).astype(np.float32), mask=mask)
    pattern = network_pattern(diffraction)
    assert np.array_equal(network_pattern(poisoned).intensities, pattern.intensities)
    assert 0.4 < pattern.mask.mean() < 0.95
    assert _chi(pattern.grid.lower(obj), pattern) < 0.15


def test_a_coarse_pattern_leaves_the_rim_unknown():
    _, diffraction = _measured((32, 32, 32), 3.0)
    pattern = network_pattern(diffraction)
    assert not pattern.mask[0].any()
    assert pattern.mask[16, 16].sum() == pytest.approx(16, abs=3)
    assert (pattern.intensities[~pattern.mask] == 0).all()


def test_what_can_not_be_is_told():
    _, diffraction = _measured((24, 24, 24), 2.0)
    with pytest.raises(PlanError, match=r"got 4, 1\.5"):
        network_pattern(diffraction, size=4)
    with pytest.raises(PlanError, match=r"got 32, 0\.5"):
        network_pattern(diffraction, oversampling=0.5)
    dark = Diffraction(intensities=np.zeros((24, 24, 24), np.float32), mask=np.ones((24, 24, 24), bool))
    with pytest.raises(InputError, match="nothing measured"):
        network_pattern(dark)
