"""The reliability curve, the calibration error and the reject band against values worked out by hand."""

import numpy as np
import pytest

from friedel.core.errors import InputError, PlanError
from friedel.spi.hits.probability.reliability import (
    Band,
    calibration_error,
    measured_reject_band,
    reject_band,
    reliability,
)


def test_error_by_hand():
    # 0.9 foretold four times, three came: gap 0.15; 0.1 foretold twice, none came: gap 0.1.
    curve = reliability([0.9] * 4 + [0.1] * 2, [1, 1, 1, 0, 0, 0], bins=10)
    assert curve.ece == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    assert curve.worst == pytest.approx(0.15)
    assert curve.counts.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 4, 0]
    assert np.isnan(curve.observed[1])


def test_opposite_errors_on_the_two_sides_do_not_cancel():
    assert calibration_error([0.8, 0.2], [0, 1]) == pytest.approx(0.8)


def test_ends_fall_into_the_outer_bins():
    curve = reliability([0.0, 1.0], [0, 1])
    assert (curve.counts[0], curve.counts[-1], curve.ece) == (1, 1, 0.0)


def test_probabilities_drawn_honestly_have_a_small_error():
    rng = np.random.default_rng(1)
    foretold = rng.random(50_000)
    labels = rng.random(foretold.size) < foretold
    assert calibration_error(foretold, labels) < 0.01
    assert calibration_error(foretold**2, labels) == pytest.approx(1 / 2 - 1 / 3, abs=0.01)


def test_the_band_is_where_the_likelier_class_errs_too_often():
    band = reject_band(0.1)
    assert band == Band(0.1, 0.9)
    assert band.holds([0.05, 0.1, 0.5, 0.9, 0.99, np.nan]).tolist() == [False, False, True, False, False, True]


def test_the_measured_band_finds_the_true_one_of_a_known_miscalibration():
    rng = np.random.default_rng(2)
    true = rng.random(100_000)
    labels = rng.random(true.size) < true
    band = measured_reject_band(true**2, labels, error=0.2)
    assert (band.low, band.high) == pytest.approx((0.04, 0.64), abs=0.03)


def test_no_band_where_nothing_errs():
    band = measured_reject_band([0.1] * 50 + [0.9] * 50, [0] * 50 + [1] * 50, error=0.4)
    assert band.high - band.low < 0.3
    assert not band.holds([0.1, 0.9]).any()


def test_nonsense_is_refused():
    with pytest.raises(PlanError, match="must lie between"):
        reject_band(0.5)
    with pytest.raises(InputError, match=r"in \[0, 1\]"):
        reliability([1.2], [1])
    with pytest.raises(InputError, match="n at least 1"):
        reliability([], [])
