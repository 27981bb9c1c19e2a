"""Training for seconds: it learns, a resumed run ends where an unbroken one does, and hopeless input is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError, MissingDependencyError, PlanError
from friedel.core.observer import Note, Progress, Warned
from friedel.core.training.examples import Examples
from friedel.core.training.options import TrainingOptions, learning_rate_factor
from friedel.spi.networks.resnet import ResNet
from friedel.spi.training.classifier import flip_at_random, score, train_classifier, transpose_at_random

OPTIONS = TrainingOptions(epochs=4, batch=32)


@pytest.fixture(scope="module")
def rings_and_stripes():
    """Concentric fringes (single) and straight ones, in noise as strong: (training, validation)."""
    rng = np.random.default_rng(0)
    labels = rng.random(600) < 0.5
    y, x = np.mgrid[:32, :32] - 16
    phase = 2 * np.pi / rng.uniform(4, 8, 600)[:, None, None]
    signal = np.where(labels[:, None, None], np.cos(phase * np.hypot(y, x)), np.cos(phase * x))
    frames = signal + rng.normal(0, 1, signal.shape)
    return Examples(inputs=frames[:, None].astype(np.float16), labels=labels.astype(np.uint8)).split(0.2, rng=rng)


def _network():
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        return ResNet(1, 1, size=32, dropout=0.3)


@pytest.fixture(scope="module")
def unbroken(rings_and_stripes, tmp_path_factory):
    events = []
    folder = tmp_path_factory.mktemp("unbroken")
    trained = train_classifier(_network(), *rings_and_stripes, OPTIONS, folder=folder, seed=7, observer=events.append)
    return trained, events, folder


def test_it_learns_to_98_percent(unbroken, rings_and_stripes):
    trained, _, _ = unbroken
    assert trained.figures["accuracy"] >= 0.98
    assert trained.figures["pr_auc"] >= 0.99
    validation = rings_and_stripes[1]
    assert ((trained.logits > 0) == validation.truth).mean() == pytest.approx(trained.figures["accuracy"])
    assert set(trained.figures) == {"accuracy", "precision", "recall", "f1", "pr_auc"}


def test_the_observer_hears_of_the_last_step(unbroken):
    _, events, _ = unbroken
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.done == last.total == 4 * (480 // 32)
    assert {"loss", "accuracy"} <= set(last.figures)


def test_checkpoint_and_log_are_left(unbroken):
    folder = unbroken[2]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["epoch=0003.ckpt"]
    assert len(list((folder / "tensorboard").glob("events.out.tfevents.*"))) == 1


def _stop_in_epoch(epoch):
    def observer(event):
        if isinstance(event, Progress) and event.done > epoch * 15:
            raise KeyboardInterrupt

    return observer


def _assert_same_weights(one, other):
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_stopped_training_resumes_to_the_same_weights(unbroken, rings_and_stripes, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_classifier(_network(), *rings_and_stripes, OPTIONS, folder=tmp_path, seed=7, observer=_stop_in_epoch(2))
    damaged = tmp_path / "checkpoints" / "epoch=0099.ckpt"
    damaged.write_bytes((tmp_path / "checkpoints" / "epoch=0001.ckpt").read_bytes()[:5000])
    events = []
    resumed = train_classifier(
        _network(), *rings_and_stripes, OPTIONS, folder=tmp_path, seed=7, resume=True, observer=events.append
    )
    assert any(isinstance(event, Warned) and "damaged" in event.text for event in events)
    assert any(isinstance(event, Note) and "going on from epoch=0001.ckpt" in event.text for event in events)
    _assert_same_weights(resumed.network, unbroken[0].network)
    assert np.array_equal(resumed.logits, unbroken[0].logits)


def test_resuming_a_finished_training_trains_nothing(unbroken, rings_and_stripes):
    trained, _, folder = unbroken
    events = []
    again = train_classifier(
        _network(), *rings_and_stripes, OPTIONS, folder=folder, seed=7, resume=True, observer=events.append
    )
    assert not any(isinstance(event, Progress) and "loss" in event.figures for event in events)
    _assert_same_weights(again.network, trained.network)


def test_a_checkpoint_of_other_options_is_refused(unbroken, rings_and_stripes):
    other = OPTIONS.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(PlanError, match=r"learning_rate 0\.002 → 0\.0001"):
        train_classifier(_network(), *rings_and_stripes, other, folder=unbroken[2], seed=7, resume=True)


def test_the_callers_random_numbers_are_left_alone(rings_and_stripes, tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    short = OPTIONS.model_copy(update={"epochs": 1, "keep": "best", "average": 0.0, "schedule": "cosine"})
    trained = train_classifier(_network(), *rings_and_stripes, short, folder=tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert trained.figures["accuracy"] > 0.5
    assert len(list((tmp_path / "best").iterdir())) == 1


def test_frames_of_one_class_are_refused(rings_and_stripes, tmp_path):
    training, validation = rings_and_stripes
    only = training.select(np.flatnonzero(training.truth))
    with pytest.raises(InputError, match="both classes are needed for training"):
        train_classifier(_network(), only, validation, OPTIONS, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_inputs_with_nan_are_named(rings_and_stripes, tmp_path):
    training, validation = rings_and_stripes
    spoilt = replace(training, inputs=np.full_like(training.inputs, np.nan))
    with pytest.raises(InputError, match="look for NaN in the inputs"):
        train_classifier(_network(), spoilt, validation, OPTIONS, folder=tmp_path)


def test_frames_of_no_weight_teach_nothing(rings_and_stripes, tmp_path):
    training, validation = rings_and_stripes
    silent = replace(training, weights=np.zeros(len(training.inputs)))
    options = OPTIONS.model_copy(update={"epochs": 1, "weight_decay": 0.0})
    network = _network()
    before = network.scores.weight.detach().clone()
    trained = train_classifier(network, silent, validation, options, folder=tmp_path)
    assert torch.equal(trained.network.scores.weight, before)


def test_scores_do_not_depend_on_the_batch(unbroken, rings_and_stripes):
    network, validation = unbroken[0].network, rings_and_stripes[1]
    assert np.allclose(score(network, validation, batch=7), score(network, validation, batch=64), atol=1e-4)


def test_flips_move_pixels_and_nothing_else():
    torch.manual_seed(0)
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    seen = flip_at_random(image.repeat(64, 1, 1, 1))
    expected = [image, image.flip(-1), image.flip(-2), image.flip(-1).flip(-2)]
    counts = [sum(torch.equal(one, kind[0]) for one in seen) for kind in expected]
    assert sum(counts) == 64
    assert min(counts) >= 5


def test_spectra_are_flipped_about_their_own_centre():
    torch.manual_seed(0)
    images = torch.rand(40, 2, 6, 6)
    images[:, 0, 3, 3] = 9.0
    seen = flip_at_random(images, centred=(0,))
    assert (seen[:, 0, 3, 3] == 9).all()
    assert not torch.equal(seen[:, 0], images[:, 0])
    assert not torch.equal(seen[:, 1, 3, 3], images[:, 1, 3, 3])


def test_transposing_swaps_rows_and_columns_of_about_half():
    torch.manual_seed(0)
    images = torch.rand(64, 1, 4, 4)
    swapped = [torch.equal(one, other.mT) for one, other in zip(transpose_at_random(images), images, strict=True)]
    assert 16 < sum(swapped) < 48


def test_the_learning_rate_rises_and_falls():
    rates = [learning_rate_factor(step, 100, OPTIONS) for step in range(101)]
    assert np.argmax(rates) == 20
    assert rates[20] == pytest.approx(1)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    cosine = [learning_rate_factor(step, 100, OPTIONS.model_copy(update={"schedule": "cosine"})) for step in range(101)]
    assert cosine == sorted(cosine, reverse=True)


def test_without_lightning_the_line_that_installs_it_is_shown(monkeypatch):
    monkeypatch.delitem(sys.modules, "friedel.core.training.libraries")
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'friedel\[train\]'"):
        __import__("friedel.core.training.libraries")
