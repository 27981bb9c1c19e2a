"""Where the model and not photons limits the fit: halves of what agrees, seeds that agree."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import count_photons, expected_intensities
from friedel.bcdi.phasing import solve
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.candidate import Candidate
from friedel.bcdi.phasing.rounds import _halves
from friedel.bcdi.phasing.support_choice import PHOTON_LIMITED
from friedel.bcdi.records import Diffraction

SHAPE = (32, 32, 32)


@pytest.fixture(scope="module")
def crystal():
    return random_crystal(SHAPE, seed=5, phase_range_rad=3.0).object


def test_halves_hold_what_agrees_and_leave_out_other_solutions(crystal):
    rng = np.random.default_rng(0)
    scatter = 0.1 * np.abs(crystal).max()
    support = torch.from_numpy(np.abs(crystal) > 0)

    def near(number, of, deviance):
        noise = rng.normal(size=(2, *SHAPE)) * scatter
        obj = torch.from_numpy((of + noise[0] + 1j * noise[1]).astype(np.complex64))
        return Candidate(obj, support, free_deviance=deviance, number=number)

    other = random_crystal(SHAPE, seed=6, phase_range_rad=3.0).object
    same = [near(k, crystal, 5.0 + 0.1 * k) for k in range(4)]
    first, second = _halves([near(7, other, 5.05), *same, near(8, crystal, 9.0)])
    assert {first.number, second.number} == {0, 1}
    single = align_to(same[0].confined.numpy(), crystal)[1]
    assert min(align_to(half.confined.numpy(), crystal)[1] for half in (first, second)) > single
    assert _halves(same[:3]) == []


def test_seeds_agree_where_no_crystal_explains_the_pattern(crystal):
    # Frames up to a tenth too bright or too dark, and another crystal's peak.
    scale = np.random.default_rng(3).uniform(0.9, 1.1, SHAPE[0]).astype(np.float32)
    expected = expected_intensities(crystal, n_photons=1e7) * scale[:, None, None]
    expected[25:27, 3:6, 4:7] += 0.02 * expected.max()
    pattern = Diffraction(intensities=count_photons(expected, seed=0), mask=np.ones(SHAPE, dtype=bool))
    first, second = (solve(pattern, seed=seed) for seed in (0, 1))
    assert first.quality.free_deviance > PHOTON_LIMITED
    assert first.quality.trusted
    assert any(reason.startswith("light: ") for reason in first.quality.reasons)
    factor = first.pattern.intensities.sum(axis=(1, 2)) / pattern.intensities.sum(axis=(1, 2))
    changed = np.abs(factor - 1) > 1e-3
    assert changed.sum() > 5
    # Of the frames' own light; 0.70 here, and by chance more than 0.5 once in a hundred times.
    assert np.corrcoef(np.log(factor[changed]), -np.log(scale[changed]))[0, 1] > 0.5
    assert align_to(second.object, first.object)[1] > 0.995
    assert align_to(first.object, crystal)[1] > 0.99
