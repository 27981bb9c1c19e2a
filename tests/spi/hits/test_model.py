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


def of_sureness(logits: np.ndarray, run_bias: float) -> HitModel:
    """Return a model whose frames, told apart by their brightness, have these log odds; rings are everywhere."""

    class Told(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores = torch.nn.Linear(1, 2)
            torch.nn.init.zeros_(self.scores.bias)
            self.scores.weight.data = torch.tensor([[0.0], [1.0]])

        def features(self, images: torch.Tensor) -> torch.Tensor:
            light = images[:, 2].sum((1, 2))
            order = light.argsort().argsort()
            return torch.from_numpy(logits).float()[order][:, None]

    extra = {"temperature": 1.0, "run_bias": run_bias}
    card = ModelCard(name="told", architecture="hitnet", options={}, preprocessing="features", extra=extra)
    return HitModel(Told(), card, {}, torch.device("cpu"))


def ringed(n: int) -> np.ndarray:
    light = frames(1)[0] * np.linspace(1, 3, n)[:, None, None]
    return np.random.default_rng(1).poisson(light).astype(np.float32)


def test_where_hits_are_clear_middling_frames_are_less_sure() -> None:
    clear = np.concatenate([np.full(3, 2.0), np.full(45, 8.0)])
    as_they_are, judged = (of_sureness(clear, share).score(ringed(48)) for share in (0.0, 0.5))
    assert (as_they_are.good.sum(), judged.good.sum()) == (48, 45)
    middling = as_they_are.single < 0.9
    # Half of what the hits' odds of 8 have beyond those of 0.8.
    assert judged.single[middling] == pytest.approx(1 / (1 + np.exp(0.5 * (8 - np.log(4)) - 2)), abs=1e-3)
    weak = np.full(48, 1.5)
    assert of_sureness(weak, 0.5).score(ringed(48)).good.all()


def test_few_hits_have_no_bias_and_a_run_s_is_kept() -> None:
    model = of_sureness(np.full(19, 8.0), 0.5)
    assert model.measure(ringed(19)).bias == 0
    constants = of_sureness(np.full(30, 8.0), 0.5).measure(ringed(30))
    assert constants.bias == pytest.approx(0.5 * (8 - np.log(4)), abs=0.02)
    assert type(constants).from_bytes(constants.to_bytes()).bias == constants.bias
