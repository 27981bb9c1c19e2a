"""A shipped head meets a new experiment: it stays where it is right, and learns where it isn't."""

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError, WeightsError
from friedel.spi.hits.last_layer import AdaptOptions, Head, adapt_head
from friedel.spi.networks.hitnet import HitNet

D = 32


def _frames(rng, n, turn=0.0, shift=0.0):
    """Return features and truth; the classes lie apart along a direction turned by ``turn`` from the shipped one."""
    truth = np.arange(n) % 2 == 0
    features = rng.normal(0, 1, (n, D)) * np.linspace(0.5, 3, D)
    direction = np.zeros(D)
    direction[0], direction[1] = np.cos(turn), np.sin(turn)
    features[:, :2] = rng.normal(0, 0.5, (n, 2))
    return features + np.outer(np.where(truth, 1.6, -1.6), direction) + shift * np.eye(D)[0], truth


def _accuracy(head, features, truth):
    return np.mean((head.logits(features) > 0) == truth)


@pytest.fixture
def shipped():
    weights = np.zeros(D)
    weights[0] = 4.0
    return Head(weights, 0.0)


@pytest.mark.parametrize(("turn", "shift"), [(np.pi / 2, 0.0), (0.0, 3.0), (np.pi * 0.75, 1.0)])
def test_twenty_labels_a_class_mend_a_wrong_decision(shipped, turn, shift):
    rng = np.random.default_rng(7)
    features, truth = _frames(rng, 40, turn, shift)
    run, run_truth = _frames(rng, 2000, turn, shift)
    adapted = adapt_head(features, truth, shipped, run=run)
    assert _accuracy(shipped, run, run_truth) < 0.75
    assert _accuracy(adapted.head, run, run_truth) > 0.9
    assert adapted.accuracy > adapted.shipped_accuracy
    assert 1 <= adapted.temperature <= 5


def test_what_is_right_stays_as_it_is(shipped):
    rng = np.random.default_rng(3)
    features, truth = _frames(rng, 20)
    run, run_truth = _frames(rng, 3000)
    adapted = adapt_head(features, truth, shipped)
    assert _accuracy(adapted.head, run, run_truth) > _accuracy(shipped, run, run_truth) - 0.005
    assert np.corrcoef(adapted.head.weights, shipped.weights)[0, 1] > 0.98


def test_a_strong_prior_only_shifts_and_scales(shipped):
    rng = np.random.default_rng(3)
    features, truth = _frames(rng, 60, turn=1.0, shift=1.0)
    adapted = adapt_head(features, truth, shipped, options=AdaptOptions(strengths=(1e9,)))
    other = np.delete(adapted.head.weights, 0)
    assert np.abs(other).max() < 1e-3
    assert adapted.head.bias < -1


def test_uneven_labels_weigh_alike(shipped):
    rng = np.random.default_rng(9)
    features, truth = _frames(rng, 400, turn=np.pi / 2)
    uneven = np.r_[np.flatnonzero(truth)[:190], np.flatnonzero(~truth)[:10]]
    run, run_truth = _frames(rng, 2000, turn=np.pi / 2)
    head = adapt_head(features[uneven], truth[uneven], shipped, run=run).head
    logits = head.logits(run) > 0
    assert np.mean(logits[~run_truth]) < 0.05


def test_a_feature_that_never_changes_is_left_alone(shipped):
    rng = np.random.default_rng(1)
    features, truth = _frames(rng, 40, turn=0.5)
    features[:, 5] = 2.0
    assert adapt_head(features, truth, shipped).head.weights[5] == 0


def test_the_head_goes_into_a_network_and_comes_out_again():
    torch.manual_seed(0)
    network = HitNet(3, 4).eval()
    images = torch.rand(3, 3, 64, 64)
    features = network.features(images).detach().numpy()
    head = Head.of(network)
    scores = network(images).detach().numpy()
    assert head.logits(features) == pytest.approx(scores[:, 1] - scores[:, 0], abs=1e-5)
    changed = Head(-2 * head.weights, 0.3)
    changed.put_into(network)
    scores = network(images).detach().numpy()
    assert scores[:, 0] == pytest.approx(0.0)
    assert scores[:, 1] == pytest.approx(changed.logits(features), abs=1e-5)
    with pytest.raises(WeightsError, match="can't be adapted"):
        Head.of(torch.nn.Flatten())


def test_too_few_labels_are_refused(shipped):
    with pytest.raises(InputError, match="1 labels are single and 3 are not"):
        adapt_head(np.zeros((4, D)), [1, 0, 0, 0], shipped)
    with pytest.raises(InputError, match="don't fit a model of 32 features"):
        adapt_head(np.zeros((4, 3)), [1, 0, 0, 0], shipped)
