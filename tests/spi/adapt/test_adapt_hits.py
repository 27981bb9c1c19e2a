"""Adapting a model to a run, from the frames it asks for to the file that load_model opens."""

import csv

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from friedel.cli.main import app
from friedel.core.errors import InputError
from friedel.core.networks import ModelCard, save_weights
from friedel.core.observer import Warned
from friedel.spi.adapt.adapt import adapt_to_run
from friedel.spi.adapt.labelled_run import sample_run
from friedel.spi.adapt.suggest import GALLERY, SHEET, suggest_labels
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.features.features import CHANNELS, NAME
from friedel.spi.hits.model import load_model
from friedel.spi.networks.hitnet import HitNet


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a file of frames with rings, smooth or cut by a second particle's stripes, and which are smooth."""
    rng = np.random.default_rng(4)
    n, half = 240, 32
    single = rng.random(n) < 0.5
    y, x = np.mgrid[-half:half, -half:half] + 0.5
    ring = 60 * np.exp(-np.hypot(x, y) / 14) * (1 + np.cos(np.hypot(x, y) * rng.uniform(0.7, 0.9, (n, 1, 1))))
    turn = rng.uniform(0, np.pi, (n, 1, 1))
    stripes = 1 + np.cos(1.6 * (x * np.cos(turn) + y * np.sin(turn)))
    frames = rng.poisson(np.where(single[:, None, None], ring, ring * stripes)).astype(np.uint16)
    frames[11] = 7
    path = tmp_path_factory.mktemp("run") / "run.npy"
    np.save(path, frames)
    return path, single


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return the path of a model with random weights."""
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    card = ModelCard(
        name="random",
        architecture="hitnet",
        options={"channels": CHANNELS, "width": 8},
        preprocessing=NAME,
        extra={"temperature": 2.0, "bias": 0.5},
    )
    save_weights(path, HitNet(CHANNELS, 8), card)
    return path


def _sheet(path, numbers, single):
    rows = [(number, int(single[number])) for number in numbers]
    path.write_text("frame,label\n" + "\n".join(f"{number},{label}" for number, label in rows))
    return path


def test_twenty_labels_a_class_make_a_model_that_scores_the_run(run, weights, tmp_path):
    path, single = run
    files = FrameFiles(paths=(path,))
    single_ones, others = (np.setdiff1d(np.flatnonzero(kind), [11])[:20] for kind in (single, ~single))
    labelled = np.r_[single_ones, others]
    labels = _sheet(tmp_path / "labels.csv", labelled, single)
    result = adapt_to_run(files, labels, tmp_path / "model", load_model(weights), model=weights)
    adapted = load_model(tmp_path / "model")
    held = np.setdiff1d(np.arange(len(single)), np.append(labelled, 11))
    scores = adapted.score(np.load(path))
    right = np.mean((scores.single > 0.5)[held] == single[held])
    assert right > 0.95
    assert right == pytest.approx(result.adapted.accuracy, abs=0.06)
    assert (result.n_single, result.n_other, result.seconds < 60) == (20, 20, True)
    assert adapted.card.name == "random-adapted"
    assert "run.npy from 20 single hits and 20 other frames" in adapted.card.data
    assert adapted.card.extra["temperature"] == 1.0
    assert "bias" not in adapted.card.extra


def test_few_labels_warn_and_unusable_ones_are_refused(run, weights, tmp_path):
    path, single = run
    heard = []
    labels = _sheet(tmp_path / "few.csv", [*np.flatnonzero(single)[:3], *np.flatnonzero(~single)[:3]], single)
    adapt_to_run(
        FrameFiles(paths=(path,)), labels, tmp_path / "m", load_model(weights), model=weights, observer=heard.append
    )
    assert any(isinstance(event, Warned) and "only 3 of one class" in event.text for event in heard)
    labels = _sheet(tmp_path / "constant.csv", [11, 12, 13, 14, 15, 16, 17, 18], single)
    with pytest.raises(InputError, match="frame 11 can't be used"):
        adapt_to_run(FrameFiles(paths=(path,)), labels, tmp_path / "n", load_model(weights), model=weights)
    assert not (tmp_path / "n").exists()


def test_suggested_frames_are_different_and_come_with_a_picture(run, weights, tmp_path):
    path, _ = run
    chosen = suggest_labels(FrameFiles(paths=(path,)), tmp_path / "look", load_model(weights), count=24)
    with (tmp_path / "look" / SHEET).open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == [item.number for item in chosen]
    assert len({item.number for item in chosen}) == 24
    reasons = {row["why"] for row in rows}
    assert {"group 0", "group 1", "between groups", "doubtful"} <= reasons
    assert all(row["label"] == "" for row in rows)
    assert 11 not in {item.number for item in chosen}
    assert (tmp_path / "look" / GALLERY).stat().st_size > 10_000


def test_a_sample_is_even_and_keeps_what_was_asked_for(run, weights):
    sample = sample_run(FrameFiles(paths=(run[0],)), load_model(weights), size=10, also=[7, 8, 11])
    assert {7, 8} < set(sample.numbers.tolist())
    assert sample.numbers[[0, -1]].tolist() == [0, 239]
    assert sample.frames.shape == (12, 64, 64)
    assert sample.features.shape == (12, 64)


def test_the_command_needs_one_of_its_two_jobs(run, tmp_path):
    result = CliRunner().invoke(app, ["adapt", str(run[0]), "-o", str(tmp_path / "x")])
    assert result.exit_code == 2
    assert "either --labels FILE to adapt, or --suggest" in result.stderr


def test_the_command_suggests_and_adapts(run, weights, tmp_path):
    path, single = run
    look = CliRunner().invoke(
        app, ["adapt", str(path), "--suggest", "-o", str(tmp_path / "look"), "--model", str(weights), "--count", "16"]
    )
    assert "16 frames to label" in look.stdout
    with (tmp_path / "look" / SHEET).open() as file:
        numbers = [int(row["frame"]) for row in csv.DictReader(file)]
    labels = _sheet(tmp_path / "labels.csv", numbers, single)
    done = CliRunner().invoke(
        app,
        ["adapt", str(path), "--labels", str(labels), "-o", str(tmp_path / "model"), "--model", str(weights)],
    )
    assert done.exit_code == 0, done.stderr
    assert "right on labels left out" in done.stdout
    assert load_model(tmp_path / "model").card.name == "random-adapted"
