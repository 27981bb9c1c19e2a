"""The losses see what intensities can tell, and nothing else."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.phasing.ambiguities import align_to, shifted, twin
from friedel.bcdi.training.losses import blind_correlation, confined, misfit, own_diffraction
from friedel.core.fourier import fourier, inverse_fourier

SHAPES = [(16, 20, 18), (17, 15, 19)]


def _crystal(shape, seed):
    return random_crystal(shape, seed=seed, oversampling=2.2, phase_range_rad=4.0).object


def _diffraction(obj):
    return fourier(torch.from_numpy(np.ascontiguousarray(obj)))[None]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighting", [1.0, 0.5])
def test_shift_twin_global_phase_and_scale_do_not_count(shape, weighting):
    obj = _crystal(shape, 1)
    for same in (np.roll(obj, (3, -2, 1), (0, 1, 2)), twin(obj), obj * 7 * np.exp(2j), np.roll(twin(obj), 2, 1) * -3):
        found = blind_correlation(_diffraction(same.astype(np.complex64)), _diffraction(obj), weighting=weighting)
        assert float(found) == pytest.approx(1, abs=1e-4)


def test_it_is_the_correlation_after_alignment():
    obj, other = _crystal(SHAPES[0], 1), _crystal(SHAPES[0], 2)
    _, expected = align_to(other, obj)
    assert float(blind_correlation(_diffraction(other), _diffraction(obj))) == pytest.approx(expected, abs=0.02)
    half = shifted(obj, (0.5, 0.0, 0.0))
    assert 0.9 < float(blind_correlation(_diffraction(half), _diffraction(obj))) < 0.999


def test_each_object_is_judged_alone():
    crystals = torch.cat([_diffraction(_crystal(SHAPES[0], seed)) for seed in (1, 2, 3)])
    alone = [float(blind_correlation(crystals[k : k + 1], crystals[:1])) for k in range(3)]
    assert blind_correlation(crystals, crystals[:1].expand_as(crystals)).tolist() == pytest.approx(alone, abs=1e-5)


def test_weak_fringes_count_more_with_less_weighting():
    truth = _diffraction(_crystal(SHAPES[0], 1))
    strong = truth.abs() > 0.1 * truth.abs().max()
    wrong = torch.where(strong, truth, truth.abs() * 1j)
    by_object, by_fringes = (float(blind_correlation(wrong, truth, weighting=w)) for w in (1.0, 0.3))
    assert by_fringes < by_object - 0.1


def test_the_misfit_is_chi_on_measured_voxels():
    truth = _diffraction(_crystal(SHAPES[0], 1))
    measured = torch.ones(truth.shape)
    assert float(misfit(truth * 3, truth.abs(), measured)) < 1e-4
    measured[:, 3] = 0
    spoiled = truth.abs().clone()
    spoiled[:, 3] = 100.0
    assert float(misfit(truth, spoiled, measured)) < 1e-4
    assert float(misfit(truth, spoiled, torch.ones(truth.shape))) > 0.5


def test_a_phase_that_makes_no_crystal_does_not_fit():
    truth = _diffraction(_crystal((24, 24, 24), 1))
    amplitude, measured = truth.abs(), torch.ones(truth.shape)
    good = own_diffraction(torch.from_numpy(_crystal((24, 24, 24), 1))[None])
    chance = torch.polar(amplitude, 6.28 * torch.rand(truth.shape, generator=torch.Generator().manual_seed(1)))
    bad = own_diffraction(inverse_fourier(chance))
    assert float(misfit(good, amplitude, measured)) < 0.1
    assert float(misfit(bad, amplitude, measured)) > 0.3


def test_confined_keeps_the_crystal():
    obj = torch.from_numpy(_crystal((24, 24, 24), 4))[None]
    noisy = obj + 0.02 * torch.randn(obj.shape, generator=torch.Generator().manual_seed(2))
    kept = confined(noisy)
    assert (kept == 0).float().mean() > 0.7
    assert float((kept - obj).abs().square().sum() / obj.abs().square().sum()) < 0.02


@pytest.mark.parametrize("weighting", [1.0, 0.4])
def test_gradients_are_finite_and_lead_upwards(weighting):
    truth = _diffraction(_crystal(SHAPES[0], 1))
    prediction = _diffraction(_crystal(SHAPES[0], 2)).requires_grad_(True)
    before = blind_correlation(prediction, truth, weighting=weighting)
    chi = misfit(prediction, truth.abs(), torch.ones(truth.shape))
    (chi.sum() - before.sum()).backward()
    assert torch.isfinite(torch.view_as_real(prediction.grad)).all()
    step = 0.05 * prediction.detach().norm() / prediction.grad.norm()
    better = blind_correlation(prediction.detach() - step * prediction.grad, truth, weighting=weighting)
    assert float(better.detach()) > float(before.detach())
    assert torch.isfinite(misfit(torch.zeros_like(truth), truth.abs(), torch.ones(truth.shape))).all()
