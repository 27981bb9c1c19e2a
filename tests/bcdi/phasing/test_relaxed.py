"""A dozen projections bring a rough prediction nearer the crystal, at any size; without them it is only cut out."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.prediction.model import PROJECTIONS
from friedel.bcdi.phasing.prediction.relaxed import cut_out, relaxed
from friedel.bcdi.records import Diffraction


def _rough(shape):
    crystal = random_crystal(shape, seed=3, phase_range_rad=4.0, oversampling=2.2).object
    pattern = Diffraction(intensities=diffract(crystal, n_photons=1e7, seed=1), mask=np.ones(shape, bool))
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 0.6, (*shape, 2)) @ [1, 1j]
    prediction = crystal * np.exp(1j * np.sin(np.arange(shape[1]) / 3))[:, None] + 0.1 * errors
    return crystal, measured_from(pattern), torch.from_numpy(prediction.astype(np.complex64))


@pytest.mark.parametrize("shape", [(32, 32, 32), (48, 36, 40)])
def test_a_prediction_comes_nearer_in_fit_and_in_truth(shape):
    crystal, measured, prediction = _rough(shape)
    before, _ = relaxed(prediction, measured, "")
    after, support = relaxed(prediction, measured, PROJECTIONS)
    assert after.shape == support.shape == shape
    assert not after[~support].any()
    chis = chi_of(torch.stack([before, after]), measured)
    assert float(chis[1]) < 0.6 * float(chis[0])
    assert align_to(after.numpy(), crystal)[1] > align_to(before.numpy(), crystal)[1]


def test_without_projections_it_is_cut_out_only():
    _, measured, prediction = _rough((32, 32, 32))
    obj, support = relaxed(prediction, measured, "")
    assert torch.equal(obj, cut_out(prediction)[0])
    assert torch.equal(obj[support], prediction[support])
    assert 0.02 < float(support.float().mean()) < 0.3
