"""A prediction is what the network gave, brought to the pattern's grid, convention and scale."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to, canonical
from friedel.bcdi.phasing.prediction.model import PhasingModel, load_phasing_model
from friedel.bcdi.phasing.prediction.network_grid import network_grid
from friedel.bcdi.records import Diffraction
from friedel.core.errors import WeightsError
from friedel.core.fourier import fourier
from friedel.core.machine.device import resolve_device
from friedel.core.networks import ModelCard, save_weights
from friedel.core.observer import Recorder
from friedel.spi.networks.resnet import ResNet


class _Oracle(torch.nn.Module):
    """Gives the truth on the network's grid, as one kind of network or the other would."""

    def __init__(self, obj, gives):
        super().__init__()
        self.obj, self.gives = torch.from_numpy(obj), gives

    def forward(self, amplitude):
        if self.gives == "object":
            return torch.stack([self.obj.abs(), self.obj.angle()])[None]
        phase = fourier(self.obj).angle()
        return torch.stack([phase.cos(), phase.sin()])[None]


def _model(network, **extra):
    return PhasingModel(network, ModelCard(name="oracle", architecture="none", extra=extra), resolve_device("cpu"))


@pytest.mark.parametrize("gives", ["object", "diffraction"])
@pytest.mark.parametrize("shape", [(32, 32, 32), (45, 40, 36)])
def test_a_network_that_knows_gives_the_crystal_at_full_resolution(gives, shape):
    crystal = random_crystal(shape, seed=3, phase_range_rad=4.0, oversampling=(2.0, 2.4, 1.8)).object
    diffraction = Diffraction(intensities=diffract(crystal, n_photons=1e7, seed=1), mask=np.ones(shape, bool))
    grid = network_grid(diffraction)
    prediction = _model(_Oracle(grid.lower(crystal), gives)).predict(diffraction)
    assert prediction.object.shape == shape
    assert prediction.grid.steps == grid.steps
    assert align_to(prediction.object, crystal)[1] > 0.97
    assert prediction.chi < 0.25
    assert (prediction.object[~prediction.support] == 0).all()
    assert (np.abs(prediction.object) ** 2).sum() == pytest.approx(1e7, rel=0.1)
    again, _ = canonical(prediction.object, prediction.support)
    assert np.allclose(again, prediction.object, atol=1e-3 * np.abs(prediction.object).max())


def test_an_object_that_a_network_puts_on_the_rim_of_its_box_is_brought_back():
    crystal = random_crystal((32, 32, 32), seed=3, phase_range_rad=4.0, oversampling=(2.0, 2.4, 1.8)).object
    diffraction = Diffraction(intensities=diffract(crystal, n_photons=1e7, seed=1), mask=np.ones((32,) * 3, bool))
    there = np.roll(network_grid(diffraction).lower(crystal), (16, -11, 5), (0, 1, 2))
    prediction = _model(_Oracle(there, "diffraction")).predict(diffraction)
    assert align_to(prediction.object, crystal)[1] > 0.97


def test_size_and_oversampling_are_the_cards():
    crystal = random_crystal((32, 32, 32), seed=3, oversampling=2.4).object
    diffraction = Diffraction(intensities=diffract(crystal, n_photons=1e7, seed=1), mask=np.ones((32, 32, 32), bool))
    grid = network_grid(diffraction, size=24, oversampling=2.0)
    model = _model(_Oracle(grid.lower(crystal), "object"), grid_size=24.0, oversampling=2.0)
    prediction = model.predict(diffraction)
    assert prediction.grid.size == 24
    assert prediction.grid.steps == grid.steps
    with pytest.raises(WeightsError, match="one number is expected"):
        _ = _model(torch.nn.Identity(), grid_size=[24.0]).size


def test_weights_that_do_not_predict_objects_are_refused(tmp_path):
    card = ModelCard(name="hits", architecture="resnet", options={"n": 1, "m": 1, "size": 32})
    save_weights(tmp_path / "model", ResNet(1, 1, size=32), card)
    with pytest.raises(WeightsError, match="'hits' is a 'resnet', which doesn't predict objects"):
        load_phasing_model(tmp_path)
    with pytest.raises(WeightsError, match="no such weights"):
        load_phasing_model(tmp_path / "none.safetensors")


def test_views_that_do_not_fit_into_memory_are_predicted_in_halves():
    crystal = random_crystal((32, 32, 32), seed=3, oversampling=2.4).object
    diffraction = Diffraction(intensities=diffract(crystal, n_photons=1e7, seed=1), mask=np.ones((32, 32, 32), bool))
    network, sizes = _Oracle(network_grid(diffraction).lower(crystal), "object"), []

    def small(amplitude):
        sizes.append(len(amplitude))
        if len(amplitude) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return _Oracle.forward(network, amplitude)

    network.forward = small
    recorder = Recorder()
    assert len(_model(network).predictions(diffraction, 3, observer=recorder)) == 3
    assert sizes == [3, 1, 1, 1]
    assert "going on with 1 at a time" in recorder.notes[0][1]
