"""Calibration gives back temperatures and curves that are known by construction."""

import json

import numpy as np
import pytest
from scipy.special import expit

from friedel.core.errors import InputError
from friedel.spi.hits.probability.calibration import (
    Calibration,
    Isotonic,
    Platt,
    Temperature,
    calibration_from,
    log_odds,
)
from friedel.spi.hits.probability.reliability import calibration_error


@pytest.fixture
def overconfident():
    """Return logits three times too large, and labels drawn from the true ones."""
    rng = np.random.default_rng(5)
    true = rng.normal(0.3, 2.0, 20_000)
    return 3.0 * true, rng.random(true.size) < expit(true)


def test_temperature_is_found(overconfident):
    logits, labels = overconfident
    found = Temperature.fit(logits, labels)
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    assert calibration_error(found(logits), labels) < 0.015
    assert calibration_error(expit(logits), labels) > 0.05


def test_a_bias_is_found_that_a_temperature_leaves(overconfident):
    logits, labels = overconfident
    found = Platt.fit(logits + 4.5, labels)  # the true log odds are (logit − 4.5) / 3
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    assert found.bias == pytest.approx(-1.5, abs=0.1)
    assert calibration_error(found(logits + 4.5), labels) < 0.015
    assert calibration_error(Temperature.fit(logits + 4.5, labels)(logits + 4.5), labels) > 0.05


def test_isotonic_mends_what_a_temperature_cannot(overconfident):
    logits, labels = overconfident
    bent = np.where(logits > 0, logits * 4 + 1, logits / 4)
    fitted, held = slice(None, None, 2), slice(1, None, 2)
    straight = Temperature.fit(bent[fitted], labels[fitted])(bent[held])
    isotonic = Isotonic.fit(bent[fitted], labels[fitted])(bent[held])
    assert calibration_error(isotonic, labels[held]) < 0.02
    assert calibration_error(straight, labels[held]) > 2 * calibration_error(isotonic, labels[held])


@pytest.mark.parametrize("kind", [Temperature, Platt, Isotonic])
def test_order_is_kept_and_numbers_bring_it_back(kind, overconfident):
    logits, labels = overconfident
    fitted = kind.fit(logits[:500], labels[:500])
    assert isinstance(fitted, Calibration)
    grid = np.linspace(-40, 40, 200)
    assert np.all(np.diff(fitted(grid)) >= 0)
    card = json.loads(json.dumps({"strange_99": 2.0, **fitted.numbers()}))
    assert np.array_equal(calibration_from(card)(grid), fitted(grid))


def test_isotonic_never_claims_certainty():
    fitted = Isotonic.fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert fitted([-9.0, 9.0]) == pytest.approx([1 / 6, 5 / 6])


def test_log_odds_undo_the_logistic_function_and_stay_finite():
    assert log_odds(expit([-3.0, 0.0, 5.0])) == pytest.approx([-3.0, 0.0, 5.0])
    assert np.isfinite(log_odds([0.0, 1.0])).all()


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        ([1.0, 2.0], [1], "one entry a frame"),
        ([1.0, np.nan], [1, 0], "1 logits are not finite"),
        ([1.0, 2.0], [1, 1], "both classes, got 2 single of 2"),
    ],
)
def test_data_that_cannot_calibrate_are_refused(logits, labels, words):
    with pytest.raises(InputError, match=words):
        Temperature.fit(logits, labels)


def test_damaged_numbers_are_refused():
    with pytest.raises(InputError, match="no calibration among"):
        calibration_from({"threshold": 0.5})
    with pytest.raises(InputError, match="positive"):
        calibration_from({"temperature": 0.0})
    with pytest.raises(InputError, match="rising"):
        calibration_from({"isotonic_logits": [0.0, 1.0], "isotonic_probabilities": [0.9, 0.1]})
