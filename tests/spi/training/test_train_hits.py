"""A plan becomes a model that scores frames; it resumes, and says clearly what it can't learn from."""

import errno
import os

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from friedel.cli.main import app
from friedel.core.errors import InputError, PlanError
from friedel.core.networks import ModelCard, load_statistics, load_weights
from friedel.core.observer import Note, Progress
from friedel.spi.hits.model import load_model
from friedel.spi.simulation.layout import read_truth
from friedel.spi.training import train
from friedel.spi.training.plan import LabelledFile, TrainingData, TrainingPlan
from friedel.spi.training.runs import labelled_run, training_files
from friedel.spi.training.train import held_back, train_hits

RNG = np.random.default_rng(0)


def _rings_and_stripes(n):
    labels = RNG.random(n) < 0.5
    y, x = np.mgrid[:64, :64] - 32
    phase = 2 * np.pi / RNG.uniform(6, 12, n)[:, None, None]
    signal = np.where(labels[:, None, None], np.cos(phase * np.hypot(y, x)), np.cos(phase * x))
    return RNG.poisson(6 * (1 + signal)).astype(np.uint16), labels.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of one labelled run and a plan that learns from it."""
    folder = tmp_path_factory.mktemp("training")
    frames, labels = _rings_and_stripes(240)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "labels.npy", labels)
    plan = {
        "name": "rings",
        "data": {"files": [{"path": "frames.npy", "labels": "labels.npy"}], "validation": 0.25},
        "model": {"options": {"n": 1, "m": 1, "dropout": 0.2}},
        "training": {"epochs": 6, "batch": 16},
        "seed": 4,
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return folder


@pytest.fixture(scope="module")
def plan(folder):
    return TrainingPlan.load(folder / "plan.yaml")


@pytest.fixture(scope="module")
def trained(folder, plan):
    events = []
    return train_hits(plan, folder / "model", observer=events.append), events


def test_it_learns_and_says_how_well(trained):
    card = trained[0].card
    assert card.figures["accuracy"] >= 0.95
    assert set(card.figures) >= {"precision", "recall", "f1", "pr_auc", "calibration_error", "validation_frames"}
    assert card.figures["validation_frames"] == 60
    assert card.extra["temperature"] > 0
    assert 0 <= card.extra["reject_low"] <= card.extra["reject_high"] <= 1
    assert "240 frames of 1 run(s)" in card.data


def test_the_model_scores_frames_as_it_did_when_it_was_trained(trained):
    frames, labels = _rings_and_stripes(60)
    model = load_model(trained[0].weights.parent, device="cpu")
    scores = model.score(frames)
    assert ((scores.single > 0.5) == labels).mean() >= 0.9
    assert scores.model.startswith("rings ")
    assert (scores.out_of_distribution < 2).mean() > 0.9
    assert {"mean", "deviation", "feature_mean", "feature_whitening"} == set(load_statistics(trained[0].weights))


def test_the_plan_beside_the_model_is_complete_and_makes_it_again(trained, plan):
    assert TrainingPlan.load(trained[0].weights.with_suffix(".yaml")) == plan


def test_a_second_training_must_be_asked_for(trained, plan, folder):
    with pytest.raises(PlanError, match=r"--resume, or train anew with --fresh"):
        train_hits(plan, folder / "model")


def test_stopped_and_resumed_it_becomes_the_same_model(trained, plan, folder, tmp_path):
    def stop_half_way(event):
        if isinstance(event, Progress) and event.task == "training" and event.done > event.total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_hits(plan, tmp_path, observer=stop_half_way)
    assert not (tmp_path / "model.safetensors").exists()
    events = []
    again = train_hits(plan, tmp_path, resume=True, observer=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("prepared before are used again" in note for note in notes)
    assert any("going on from epoch=0002.ckpt" in note for note in notes)
    assert again.card.sha256 == trained[0].card.sha256


def test_experiments_are_simulated_once_and_held_back_whole(tmp_path):
    data = TrainingData(domain_randomisation={"count": 3, "frames": 24}, hold="runs", without_kinds=["droplet"])
    plan = TrainingPlan(
        data=data,
        model={"architecture": "hitnet", "options": {"width": 4}, "preprocessing": "features"},
        training={"epochs": 1, "batch": 8, "centred_channels": [0], "transpose": True},
        calibration={"method": "none"},
    )
    card = train_hits(plan, tmp_path).card
    made = sorted((tmp_path / "data").glob("experiment_*.cxi"))
    assert len(made) == 3
    assert card.figures["validation_frames"] <= 24
    assert "temperature" not in card.extra
    before = [path.stat().st_mtime_ns for path in made]
    more = data.model_copy(update={"domain_randomisation": data.domain_randomisation.model_copy(update={"count": 4})})
    assert len(training_files(more, tmp_path / "data")) == 4
    assert [path.stat().st_mtime_ns for path in made] == before
    other = data.model_copy(update={"domain_randomisation": data.domain_randomisation.model_copy(update={"seed": 1})})
    with pytest.raises(InputError, match="experiments of another plan"):
        training_files(other, tmp_path / "data")
    assert len(training_files(other, tmp_path / "data", fresh=True)) == 3
    assert len(list((tmp_path / "data").glob("experiment_*.cxi"))) == 3
    run = labelled_run(LabelledFile(path=made[0]), TrainingData(shapes=("nothing",)))
    assert len(run.rows) == 0


def test_what_bad_frames_of_experiments_show_can_be_chosen(tmp_path):
    wanted = {"count": 2, "frames": 16, "bad_kinds": {"touching": 1.0}}
    files = training_files(TrainingData(domain_randomisation=wanted), tmp_path)
    kinds = np.concatenate([read_truth(file.path, "kind").astype(str) for file in files])
    assert set(kinds) == {"single", "touching"}


def test_a_simulation_of_another_plan_is_replaced_only_if_asked(tmp_path):
    def data(seed):
        run = {"frame_shape": [64, 64], "seed": seed, "chunk": 4}
        return TrainingData(simulations=({"frames": 4, "run": run, "detector": None},))

    first = training_files(data(1), tmp_path)[0].path.read_bytes()
    with pytest.raises(InputError, match="--fresh"):
        training_files(data(2), tmp_path)
    assert training_files(data(2), tmp_path, fresh=True)[0].path.read_bytes() != first


def _run(folder, labels):
    np.savetxt(folder / "given.txt", labels)
    return LabelledFile(path=folder / "frames.npy", labels=folder / "given.txt")


def test_labels_must_fit_the_frames(folder):
    with pytest.raises(InputError, match=r"\(3,\) labels for 240 frames"):
        labelled_run(_run(folder, [0, 1, 1]), TrainingData())
    with pytest.raises(InputError, match=r"labels are 1 \(single hit\) or 0"):
        labelled_run(_run(folder, np.full(240, 2)), TrainingData())
    with pytest.raises(InputError, match="labels can't be read"):
        labelled_run(LabelledFile(path=folder / "frames.npy", labels=folder / "plan.yaml"), TrainingData())


def test_frames_of_one_class_are_refused(folder):
    run = labelled_run(_run(folder, np.ones(240)), TrainingData())
    with pytest.raises(InputError, match="240 of the 240 chosen frames are labelled single"):
        held_back([run], TrainingData(), seed=0)


def test_one_run_can_not_be_held_back_whole(folder):
    run = labelled_run(_run(folder, np.arange(240) % 2), TrainingData())
    with pytest.raises(InputError, match="there is one run"):
        held_back([run], TrainingData(hold="runs"), seed=0)


def test_a_full_disk_is_said_before_the_work(plan, tmp_path, monkeypatch):
    def no_room(*given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(InputError, match=r"no room for .* GB of inputs \(No space left"):
        train_hits(plan, tmp_path)
    assert [path.name for path in (tmp_path / "inputs").iterdir()] == []


def test_frames_without_an_error_prove_no_more_certainty_than_the_network_claims(tmp_path):
    frames, labels = np.zeros((60, 64, 64), np.float32), np.arange(60) % 2
    frames += RNG.normal(0, 0.1, frames.shape)
    frames[labels == 1, 20:44, 20:44] += 10
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "labels.npy", labels)
    files = [{"path": tmp_path / "frames.npy", "labels": tmp_path / "labels.npy"}]
    card = train_hits(
        TrainingPlan.read(
            {
                "data": {"files": files, "validation": 0.3},
                "model": {"options": {"n": 1, "m": 1}},
                "training": {"epochs": 4, "batch": 8},
            }
        ),
        tmp_path / "model",
    ).card
    assert card.figures["accuracy"] == 1
    assert card.extra["temperature"] >= 1


def test_names_in_the_plan_are_checked_before_any_work(plan, tmp_path):
    wrong = plan.model_copy(update={"model": plan.model.model_copy(update={"preprocessing": "sharpen"})})
    with pytest.raises(PlanError, match="'sharpen'; known: features, standardise"):
        train_hits(wrong, tmp_path)
    with pytest.raises(PlanError, match="names no frames"):
        train_hits(TrainingPlan(), tmp_path)
    with pytest.raises(PlanError, match="no folder for the model"):
        train_hits(plan)
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_a_wrong_key_and_a_missing_plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("data: {files: [{path: a.npy}]}\ntraining: {epoch: 3}\n")
    result = CliRunner().invoke(app, ["train", "hits", "--plan", str(path), "-o", str(tmp_path / "model")])
    assert result.exit_code == 2
    assert "did you mean 'epochs'" in result.stderr
    missing = CliRunner().invoke(app, ["train", "hits", "--plan", str(tmp_path / "none.yaml")])
    assert missing.exit_code == 2
    assert "can't read the plan" in missing.stderr


def test_a_training_starts_from_weights_of_the_same_network_only() -> None:
    before = load_weights("default")[0].state_dict()
    shipped = {"architecture": "hitnet", "options": {"depth": 2, "placed": True}, "preprocessing": "features"}
    plan = TrainingPlan.read({"model": {**shipped, "start": "default"}})
    assert all(torch.equal(value, before[name]) for name, value in train._network(plan).state_dict().items())
    other = TrainingPlan.read({"model": {"architecture": "hitnet", "start": "default", "options": {"width": 8}}})
    with pytest.raises(PlanError, match="start from weights of the same network"):
        train._network(other)


def test_layers_that_the_weights_started_from_lack_change_nothing_at_first() -> None:
    whole = {"model": {"architecture": "hitnet", "preprocessing": "features"}, "seed": 3}
    shallow = train._network(TrainingPlan.read(whole))
    model = {**whole["model"], "options": {"depth": 2, "placed": True}, "start": "before"}
    deep, images = TrainingPlan.read({**whole, "model": model}), torch.randn(4, 4, 64, 64)
    with pytest.MonkeyPatch.context() as patch:
        card = ModelCard(name="before", architecture="hitnet", options={}, preprocessing="features")
        patch.setattr(train, "load_weights", lambda name: (shallow, card))
        grown = train._network(deep)
        assert sum(p.numel() for p in grown.parameters()) > sum(p.numel() for p in shallow.parameters())
        assert torch.equal(grown.eval()(images), shallow.eval()(images))
        with pytest.raises(PlanError, match="without blend"):
            train._network(TrainingPlan.read({**whole, "model": {**model, "blend": 0.5}}))
