"""`friedel.predict`: any pattern, a saved model, a reconstruction that is never called trusted."""

import numpy as np
import pytest
import torch

import friedel
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.networks.cdi_nn import CdiNN
from friedel.bcdi.networks.phase_unet import PhaseUNet
from friedel.bcdi.phasing.prediction.model import DEFAULT, load_phasing_model
from friedel.core.errors import InputError, WeightsError
from friedel.core.networks import ModelCard, save_weights, shipped_models


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    options = {"width": 4, "levels": 2}
    save_weights(folder / "unet", PhaseUNet(**options), ModelCard(name="u", architecture="phase_unet", options=options))
    extra = {"grid_size": 16.0}
    save_weights(folder / "cdi", CdiNN(), ModelCard(name="c", architecture="cdi_nn", extra=extra))
    return folder


def _pattern(shape=(32, 28, 36)):
    crystal = random_crystal(shape, seed=2, oversampling=2.5, phase_range_rad=2.0)
    return diffract(crystal.object, n_photons=1e6, seed=3)


@pytest.mark.parametrize("name", ["unet", "cdi"])
def test_it_returns_a_reconstruction_that_is_not_called_trusted(models, name):
    result = friedel.predict(_pattern(), model=models / f"{name}.safetensors", device="cpu")
    assert result.object.shape == result.support.shape == (32, 28, 36)
    assert result.object.dtype == np.complex64
    assert np.isfinite(result.object).all()
    assert 0 < result.quality.support_voxels < result.support.size
    assert 0 < result.quality.chi < 1
    assert not result.quality.trusted
    assert "not refined" in result.quality.reasons[0]
    assert result.provenance.plan["model"]["sha256"]
    assert "torch" in result.provenance.versions


def test_a_loaded_model_gives_the_same_as_its_file(models, tmp_path):
    pattern, path = _pattern(), models / "unet.safetensors"
    loaded = load_phasing_model(path, device="cpu")
    first, again = (friedel.predict(pattern, model=model, device="cpu") for model in (loaded, path))
    assert np.array_equal(first.object, again.object)
    assert first.save(tmp_path / "prediction.npz").is_file()


def test_unknown_voxels_are_left_out(models):
    pattern, mask = _pattern(), np.ones((32, 28, 36), bool)
    mask[:, 18:20] = False
    poisoned, nan = np.where(mask, pattern, 1e8), np.where(mask, pattern, np.nan)
    model = load_phasing_model(models / "unet.safetensors", device="cpu")
    results = [friedel.predict(poisoned, mask=mask, model=model), friedel.predict(nan, model=model)]
    assert np.array_equal(results[0].object, results[1].object)


def test_bad_input_and_missing_weights_are_told(models):
    model = load_phasing_model(models / "unet.safetensors", device="cpu")
    with pytest.raises(InputError, match="too few to phase"):
        friedel.predict(np.ones((4, 4, 4)), model=model)
    with pytest.raises(InputError):
        friedel.predict(np.zeros((32, 32, 32)), model=model)
    with pytest.raises(WeightsError, match="no such weights"):
        friedel.predict(_pattern(), model="nowhere/model.safetensors")


@pytest.mark.skipif(DEFAULT in shipped_models(), reason="weights are shipped")
def test_without_shipped_weights_the_default_says_so():
    with pytest.raises(WeightsError, match=f"no model called '{DEFAULT}' is shipped"):
        friedel.predict(_pattern())
