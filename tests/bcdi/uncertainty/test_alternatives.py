"""Which share of a difference is the solution's own error, and what going on from a solution finds."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.records import Diffraction
from friedel.bcdi.uncertainty.alternatives import THRESHOLDS, judged, nearby, own_share


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
