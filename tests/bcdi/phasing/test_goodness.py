"""The goal of a fit is absolute: the right model reaches it at any number of photons, a wrong one doesn't."""

from dataclasses import replace

import pytest
import torch

from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.support import grown
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.phasing.verdict.goodness import goodness, noise_threshold
from friedel.bcdi.records import Diffraction


def _noisy(truth, photons: float, *, held_out: float) -> tuple[Measured, torch.Tensor]:
    share = photons / float(truth.diffraction.intensities.sum())
    mean = torch.from_numpy(truth.diffraction.intensities) * share
    counts = torch.poisson(mean, generator=torch.Generator().manual_seed(0)).numpy()
    pattern = Diffraction(intensities=counts, mask=truth.diffraction.mask)
    return measured_from(pattern, held_out_fraction=held_out, seed=1), truth.obj[0]


@pytest.mark.parametrize("photons", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("held_out", [0.0, 0.3])
def test_the_right_model_is_at_the_limit(truth, photons, held_out):
    measured, obj = _noisy(truth, photons, held_out=held_out)
    fit = goodness(obj, 0, measured)
    assert abs(fit.deviance - fit.expected) < 4 * fit.spread
    assert fit.explained


def test_stripes_are_beyond_it(truth):
    measured, obj = _noisy(truth, 1e8, held_out=0.05)
    z = torch.arange(obj.shape[0])[:, None, None]
    striped = obj * torch.polar(torch.ones(1), 0.2 * torch.cos(2.0 * z))
    fit = goodness(striped, 0, measured)
    assert fit.factor > 2
    assert not fit.explained


def test_free_values_lower_what_fitted_voxels_leave_and_raise_the_others(truth):
    measured, obj = _noisy(truth, 1e6, held_out=0.05)
    blank = replace(measured, held_out=None)
    assert goodness(obj, 500, measured).expected > goodness(obj, 0, measured).expected
    assert goodness(obj, 500, blank).expected < goodness(obj, 0, blank).expected


@pytest.mark.parametrize("photons", [1e6, 1e8])
def test_of_what_is_empty_hardly_a_voxel_stands_out_of_photon_noise(truth, photons):
    measured, obj = _noisy(truth, photons, held_out=0.05)
    scaled, body = obj * (photons / float(obj.abs().square().sum())) ** 0.5, obj != 0
    wide = grown(body, 1)
    with torch.no_grad():
        found = refine(scaled, wide, measured, RefineOptions(steps=12, early_stop=False)).obj
    level = noise_threshold(found, measured)
    bulk = float((found.abs() ** 4).sum() / (found.abs() ** 2).sum()) ** 0.5
    empty = found.abs()[wide & ~body] / bulk
    assert float((empty > level).float().mean()) < 0.03
    assert 2.0 < level / float(empty.square().mean().sqrt()) < 6.0
    assert level < 0.3
