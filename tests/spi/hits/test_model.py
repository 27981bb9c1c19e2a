"""A loaded model scores frames: shapes, statuses, the default selection, and errors that say what to do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError, WeightsError
from friedel.core.networks import ModelCard, save_weights
from friedel.facade import classify
from friedel.spi.hits.model import HitModel, load_model
from friedel.spi.networks.hitnet import HitNet
from friedel.spi.records import FrameStatus

EXTRA = {"temperature": 2.0, "fringes_from": 5.0, "single_from": 0.4, "reject_low": 0.2, "reject_high": 0.8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    where = tmp_path_factory.mktemp("model")
    card = ModelCard(name="tiny", architecture="hitnet", options={"width": 4}, preprocessing="features", extra=EXTRA)
    statistics = {"feature_mean": torch.zeros(32), "feature_whitening": torch.eye(32)}
    save_weights(where / "model", HitNet(width=4), card, statistics=statistics)
    return where


@pytest.fixture(scope="module")
def model(folder: Path) -> HitModel:
    return load_model(folder, device="cpu")


def frames(n: int = 6) -> np.ndarray:
    radius = np.hypot(*(np.indices((96, 96)) - 48))
    light = 500 * np.exp(-radius / 9) * np.cos(radius / 4) ** 2 + 0.1
    return np.random.default_rng(0).poisson(light, (n, 96, 96)).astype(np.float32)


def test_every_frame_gets_its_scores(folder: Path) -> None:
    scores = classify(frames(), model=folder, device="cpu")
    assert len(scores) == 6
    assert scores.model.startswith("tiny ")
    assert ((scores.single >= 0) & (scores.single <= 1)).all()
    assert (scores.fringes > 20).all()
    assert (scores.out_of_distribution > 0).all()
    assert np.array_equal(scores.good, (scores.single >= 0.4) & (scores.fringes >= 5))
    assert np.array_equal(scores.reject_band, (scores.single > 0.2) & (scores.single < 0.8))


def test_frames_without_a_score_say_why_and_are_never_good(model: HitModel) -> None:
    odd = frames()
    odd[1], odd[2] = 3.0, np.nan
    scores = model.score(odd)
    assert scores.status.tolist() == [0, FrameStatus.CONSTANT, FrameStatus.MASKED, 0, 0, 0]
    assert not scores.good[1:3].any()
    assert (scores.single[1:3] == 0).all()
    assert np.isfinite(scores.single).all()


def test_parts_of_a_run_score_as_the_whole_does(model: HitModel) -> None:
    whole = frames(300)
    run = model.measure(whole)
    together = model.score(whole, run=run)
    apart = [model.score(part, run=run) for part in (whole[:100], whole[100:])]
    assert np.concatenate([part.single for part in apart]) == pytest.approx(together.single, abs=5e-3)
    assert np.array_equal(np.concatenate([part.fringes for part in apart]), together.fringes)


def test_detector_units_and_photons_score_alike(model: HitModel) -> None:
    photons = frames(64)
    units = photons * 30
    units += np.random.default_rng(1).normal(0, 1.0, units.shape)
    one, other = model.score(photons), model.score(units)
    assert other.fringes == pytest.approx(one.fringes, rel=0.2)
    assert np.abs(other.single - one.single).max() < 0.1


def test_no_frames_give_no_scores_and_features_one_row_each(model: HitModel) -> None:
    assert len(model.score(frames(0))) == 0
    assert model.features(frames(3)).shape == (3, 32)
    assert model.features(frames(0)).shape == (0, 32)


def test_wrong_arrays_masks_and_models_are_told(model: HitModel, folder: Path) -> None:
    with pytest.raises(InputError, match="axes"):
        model.score(frames()[0])
    with pytest.raises(InputError, match="doesn't fit"):
        classify(frames(), mask=np.ones((3, 3), dtype=bool), model=folder)
    with pytest.raises(WeightsError, match="no such weights"):
        load_model(folder / "other.safetensors")
