"""Which share of a difference is the solution's own error, and what going on from a solution finds."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import blur_by_coherence, count_photons, diffract, expected_intensities
from friedel.bcdi.phasing.ambiguities import align_to, even_phase
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.records import Diffraction
from friedel.bcdi.uncertainty.alternatives import THRESHOLDS, judged, nearby, own_share, without_even_phase


@pytest.mark.parametrize(
    ("own", "other", "share"),
    [(1.0, 1.0, 0.5), (1.5, 1.0, 1.0), (1.0, 1.5, 0.0), (1.01, 1.0, 0.67)],
    ids=["as good", "other is better", "own is better", "a little better"],
)
def test_the_better_fit_has_the_smaller_share_of_the_difference(own: float, other: float, share: float):
    assert own_share(own, [other], limit=1.0, scatter=0.01)[0] == pytest.approx(share, abs=0.03)


def test_shares_of_no_other_solution_are_none():
    assert own_share(1.0, [], limit=1.0, scatter=0.01).shape == (0,)


@pytest.mark.parametrize("low_dose", [True, False])
def test_going_on_from_the_truth_stays_near_it(low_dose: bool):
    truth = wavy_crystal((24, 24, 24), seed=5)
    counts = diffract(truth, n_photons=1e7, seed=5)
    measured = measured_from(Diffraction(intensities=counts, mask=np.ones(truth.shape, dtype=bool)))
    obj = truth * np.float32(np.sqrt(1e7) / np.linalg.norm(truth))
    support = torch.from_numpy(np.abs(truth) > 0.1)
    with torch.no_grad():
        found = nearby(torch.from_numpy(obj), support, measured, threshold=0.13, low_dose=low_dose)
        own = judged(obj, measured)
    assert len(found) == len(THRESHOLDS)
    assert own.deviance == pytest.approx(1.0, abs=0.1)
    for other in found:
        assert align_to(other.object, obj)[1] > 0.99


def plate(even: float, odd: float) -> np.ndarray:
    """Return a centro-symmetric plate with a phase of an even and an odd part, radians at the most."""
    z, y, x = (np.indices((32, 32, 32)) - 16) / 6
    inside = (np.abs(z) < 0.6) & (x**2 + y**2 < 1)
    return (inside * np.exp(1j * (even * (x**2 - y**2) + odd * 3 * x * (y**2 - 0.2)))).astype(np.complex64)


def test_the_even_phase_is_what_twins_differ_in():
    obj = plate(0.3, 0.5)
    even, symmetry = even_phase(obj)
    inside = obj != 0
    expected = np.angle(plate(0.3, 0.0))
    assert symmetry == pytest.approx(1.0, abs=1e-3)
    difference = (even - expected)[inside]
    assert difference.std() < 0.02
    assert even_phase(wavy_crystal((24, 24, 24), seed=5))[1] < 0.97


@pytest.mark.parametrize("seed", range(3))
def test_blur_may_pass_for_an_even_phase_of_a_symmetric_body_and_another_body_has_no_say(seed: int):
    truth = plate(0.2, 0.5)
    blurred = blur_by_coherence(expected_intensities(truth, n_photons=1e7), (16.0, 20.0, 16.0))
    counts = count_photons(blurred, seed=seed)
    measured = measured_from(Diffraction(intensities=counts, mask=np.ones(truth.shape, dtype=bool)))
    obj = plate(0.5, 0.5) * np.float32(np.sqrt(1e7) / np.linalg.norm(truth))
    with torch.no_grad():
        found = without_even_phase(torch.from_numpy(obj), torch.from_numpy(np.abs(obj) > 0), measured)
        other = torch.from_numpy(wavy_crystal((32, 32, 32), seed=seed))
        assert without_even_phase(other, other.abs() > 0.1, measured) is None
    assert found is not None
    assert found.deviance < judged(obj, measured).deviance
    assert np.abs(even_phase(found.object)[0][np.abs(obj) > 0]).std() > 0.02
