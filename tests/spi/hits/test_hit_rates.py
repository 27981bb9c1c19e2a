"""Figures at a stated hit rate against values by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from friedel.core.errors import InputError, PlanError
from friedel.core.statistics import share
from friedel.spi.hits.probability.hit_rates import figures_at_rate, precision_recall, selection_figures


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    truth = rng.random(3000) < 0.3
    return np.clip(rng.normal(np.where(truth, 0.65, 0.35), 0.2), 0, 1).round(2), truth


def test_at_the_samples_own_rate_they_are_the_usual_figures(scored):
    scores, truth = scored
    found = selection_figures(scores, truth, rate=truth.mean())
    precision, recall, f1, _ = precision_recall_fscore_support(truth, scores >= 0.5, average="binary")
    expected = {"precision": precision, "recall": recall, "f1": f1, "pr_auc": average_precision_score(truth, scores)}
    assert found == pytest.approx(expected)


def test_rare_hits_cost_precision_as_bayes_says():
    # Of single hits 80 % are found, of other frames 10 % selected.
    scores = np.r_[np.full(8, 0.9), np.full(2, 0.1), np.full(1, 0.9), np.full(9, 0.1)]
    truth = np.arange(20) < 10
    found = selection_figures(scores, truth, rate=0.01)
    assert found["recall"] == pytest.approx(0.8)
    assert found["precision"] == pytest.approx(0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.1))


def test_intervals_hold_the_value_and_narrow_with_more_frames(scored):
    scores, truth = scored
    few = figures_at_rate(scores[:200], truth[:200], rate=0.05, repeats=100)
    many = figures_at_rate(scores, truth, rate=0.05, repeats=100)
    for name, found in many.items():
        assert found.low <= found.value <= found.high
        assert found.high - found.low < few[name].high - few[name].low


def test_the_curve_ends_where_everything_is_selected(scored):
    precision, recall = precision_recall(*scored, rate=0.2)
    assert (precision[-1], recall[-1]) == pytest.approx((0.2, 1.0))
    assert (np.diff(recall) >= 0).all()


def test_a_selection_of_nothing_has_no_precision(scored):
    assert selection_figures(*scored, rate=0.5, threshold=2.0)["precision"] == 0.0


def test_wilsons_interval_is_the_textbooks():
    found = share(8, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-3)
    assert share(0, 50).low == 0.0


def test_nonsense_is_refused(scored):
    with pytest.raises(PlanError, match="between 0 and 1"):
        selection_figures(*scored, rate=0.0)
    with pytest.raises(InputError, match="both classes"):
        selection_figures([0.1], [1], rate=0.5)
    with pytest.raises(InputError, match="at least one"):
        share(0, 0)
