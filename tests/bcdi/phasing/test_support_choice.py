"""The choice of the support's threshold: each rule on a scan made for it, and a reason that says which ruled."""

import numpy as np
import pytest

from friedel.bcdi.phasing.support_choice import ThresholdScan, choose_threshold, model_limited

THRESHOLDS = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])


def threshold_scan(voxels: list[int], free: list[float]) -> ThresholdScan:
    chi = np.linspace(0.03, 0.08, len(voxels))  # always falls as the support grows: it must not decide
    return ThresholdScan(thresholds=THRESHOLDS, voxels=np.array(voxels), chi=chi, free_deviance=np.array(free))


def test_where_photons_limit_the_tightest_that_predicts_as_well_is_taken() -> None:
    choice = choose_threshold(threshold_scan([2000, 1600, 1500, 1450, 1400, 900], [1.4, 1.3, 1.12, 1.15, 1.3, 1.6]))
    assert choice.threshold == pytest.approx(0.2)
    clear = choose_threshold(threshold_scan([2000, 1600, 1500, 1450, 1400, 900], [1.4, 1.3, 1.12, 1.25, 1.3, 1.6]))
    assert clear.threshold == pytest.approx(0.15)
    assert "predicts the held-out voxels as well" in choice.reason
    assert "1500 voxels" in clear.reason


@pytest.mark.parametrize("free", [[40.0, 45, 50, 55, 60, 90], [np.nan] * 6], ids=["poor", "none"])
def test_where_the_held_out_voxels_cannot_decide_the_crystal_does(free: list[float]) -> None:
    choice = choose_threshold(threshold_scan([9000, 4000, 2500, 2450, 2400, 1500], free))
    assert 0.13 <= choice.threshold <= 0.25
    assert "predicts the held-out voxels" not in choice.reason
    assert f"{choice.threshold:.3g}" in choice.reason


def test_a_scan_ends_early_only_where_tighter_thresholds_cannot_help() -> None:
    assert model_limited([5.0])
    assert model_limited([2.5, 2.6])
    assert not model_limited([3.5])
    assert not model_limited([2.5, 2.2])
    assert not model_limited([1.2, 1.3])
    assert not model_limited([np.nan])
