"""Error bars of whole solutions: what alignment takes out, sizes, calibration, and the verdict they lead to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to, shifted
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.records import Diffraction, Uncertainty
from friedel.bcdi.uncertainty import Solved, estimate_uncertainty, with_error_bars
from friedel.bcdi.uncertainty.estimate import bulk_of, diameter_of, without_ambiguities
from friedel.core.observer import Recorder, Warned

SHAPE = (24, 24, 24)


def measured(truth: np.ndarray, n_photons: float, seed: int) -> tuple[Diffraction, Solved]:
    """Return a crystal's pattern, and the object that fits it best near the truth."""
    counts = diffract(truth, n_photons=n_photons, seed=seed)
    pattern = Diffraction(intensities=counts, mask=np.ones(truth.shape, dtype=bool))
    support = np.abs(truth) > 0.01 * np.abs(truth).max()
    start = torch.from_numpy(truth * np.float32(np.sqrt(n_photons) / np.linalg.norm(truth)))
    options = RefineOptions(early_stop=False)
    found = refine(start, torch.from_numpy(support), measured_from(pattern), options).obj.numpy()
    return pattern, Solved(object=found, support=support, threshold=0.1)


def deviations_in_errors(truth: np.ndarray, solved: Solved, found: Uncertainty) -> np.ndarray:
    """Return the phase errors inside, in their standard errors, after an alignment exact to first order."""
    obj = solved.object
    aligned, _ = align_to(truth, obj)
    aligned = aligned * np.float32(np.linalg.norm(obj) / np.linalg.norm(aligned))
    whole = np.ones(obj.shape, dtype=bool)
    aligned = obj - without_ambiguities((obj - aligned).reshape(1, -1), obj, whole).reshape(obj.shape)
    inside = solved.support & (np.abs(obj) >= 0.5 * bulk_of(obj, solved.support))
    off = np.angle(obj * np.conj(aligned))[inside]
    return np.asarray(np.abs(off - off.mean()) / found.phase_rad[inside])


@pytest.mark.parametrize("n_photons", [1e6, 1e7, 1e8])
def test_two_voxels_in_three_are_within_one_standard_error_of_the_truth(n_photons: float):
    off = []
    for seed in range(4):
        made = wavy_crystal(SHAPE, seed=seed) if seed % 2 else random_crystal(SHAPE, seed=seed).object
        pattern, solved = measured(made, n_photons, seed)
        found = estimate_uncertainty(pattern, solved, kind="photons", seed=seed)
        off.append(deviations_in_errors(made, solved, found))
    shares = [float(np.mean(np.concatenate(off) < limit)) for limit in (1, 2)]
    assert 0.58 <= shares[0] <= 0.80
    assert shares[1] >= 0.90


def test_error_bars_shrink_as_the_root_of_the_photons():
    made = wavy_crystal(SHAPE, seed=2)
    errors = [
        estimate_uncertainty(*measured(made, n_photons, 2), kind="photons").photons_rad for n_photons in (1e7, 1e9)
    ]
    assert errors[0] / errors[1] == pytest.approx(10.0, rel=0.2)


def test_a_solution_that_another_one_contradicts_has_larger_error_bars():
    made = wavy_crystal(SHAPE, seed=4)
    pattern, solved = measured(made, 1e7, 4)
    z, _, _ = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    other = (solved.object * np.exp(0.3j * np.cos(1.2 * z))).astype(np.complex64)
    alone = estimate_uncertainty(pattern, solved, kind="photons")
    wrong = replace(solved, object=other, others=(solved.object,))
    beside = estimate_uncertainty(pattern, wrong, kind="photons")
    assert (alone.n_solutions, alone.solutions_rad) == (0, 0.0)
    # The true one fits far better, so that the whole difference is the wrong one's error: 0.3 rad / √2.
    assert beside.solutions_rad == pytest.approx(0.21, abs=0.06)
    assert set(beside.origins) == {"photons", "solutions"}


def test_shift_and_global_phase_are_no_errors():
    obj = wavy_crystal(SHAPE, seed=1)
    support = np.ones(SHAPE, dtype=bool)
    moved = shifted(obj, (0.01, -0.02, 0.01)) * np.exp(0.01j)
    rest = without_ambiguities((moved - obj).reshape(1, -1), obj, support)
    assert np.linalg.norm(rest) < 0.05 * np.linalg.norm(moved - obj)


def test_the_diameter_of_a_ball_is_its_diameter():
    z, y, x = np.meshgrid(*(np.arange(40) - 20,) * 3, indexing="ij")
    share = np.clip(9.5 - np.sqrt(z**2 + y**2 + x**2) + 0.5, 0, 1)
    assert diameter_of(3.0 * share, share == 1.0) == pytest.approx(19.0, rel=0.01)


def test_the_same_seed_gives_the_same_error_bars():
    pattern, solved = measured(wavy_crystal(SHAPE, seed=6), 1e7, 6)
    first, second = (estimate_uncertainty(pattern, solved, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.phase_rad, second.phase_rad)
    assert first.figures() == second.figures()
    assert np.isnan(first.phase_rad[~solved.support]).all()
    assert np.isfinite(first.phase_rad[solved.support]).all()


def test_large_errors_take_the_trust_away_and_are_warned_of(finished):
    quality = finished(trusted=True).quality
    recorder = Recorder()
    pattern, solved = measured(wavy_crystal(SHAPE, seed=6), 1e7, 6)
    small = estimate_uncertainty(pattern, solved, kind="photons")
    kept = with_error_bars(quality, small, recorder)
    assert (kept.trusted, kept.phase_error_rad) == (True, small.phase_rms_rad)
    lost = with_error_bars(quality, replace(small, phase_rms_rad=0.5), recorder)
    assert not lost.trusted
    assert "0.5 rad" in lost.reasons[-1]
    assert isinstance(recorder.events[-1], Warned)
