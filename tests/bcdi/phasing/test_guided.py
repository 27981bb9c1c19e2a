"""A network's predictions lead to the solution in a fraction of the work; a network that is wrong is noticed."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing import solve
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.options import GuidedOptions, PhasingOptions
from friedel.bcdi.phasing.prediction.model import PhasingModel
from friedel.bcdi.phasing.prediction.network_grid import network_grid
from friedel.bcdi.phasing.prediction.symmetry import SYMMETRIES
from friedel.bcdi.records import Diffraction
from friedel.core.errors import WeightsError
from friedel.core.fourier import fourier
from friedel.core.machine.device import resolve_device
from friedel.core.networks import ModelCard
from friedel.core.observer import Recorder

SHAPE = (32, 32, 32)
QUICK = PhasingOptions(starts=4, rounds=1, keep=3)


class _Rough(torch.nn.Module):
    """Gives the reciprocal-space phase of an object, with an error of its own for each symmetry."""

    gives = "diffraction"

    def __init__(self, obj, error_rad):
        super().__init__()
        self.obj, self.error_rad = torch.from_numpy(obj), error_rad

    def forward(self, amplitude):
        errors = torch.randn(amplitude.shape, generator=torch.Generator().manual_seed(0)) * self.error_rad
        phases = [fourier(symmetry.apply(self.obj)).angle() for symmetry in SYMMETRIES[: len(amplitude)]]
        phase = torch.stack(phases)[:, None] + errors
        return torch.cat([phase.cos(), phase.sin()], dim=1)


def _model(obj, pattern, *, error_rad):
    network = _Rough(network_grid(pattern).lower(obj), error_rad)
    return PhasingModel(network, ModelCard(name="rough", architecture="none"), resolve_device("cpu"))


@pytest.fixture(scope="module")
def crystal():
    return random_crystal(SHAPE, seed=8, phase_range_rad=3.0, oversampling=2.0).object


@pytest.fixture(scope="module")
def pattern(crystal):
    return Diffraction(intensities=diffract(crystal, n_photons=1e7, seed=0), mask=np.ones(SHAPE, bool))


def test_rough_predictions_are_refined_to_the_crystal(crystal, pattern):
    network = _model(crystal, pattern, error_rad=0.7)
    solution = solve(pattern, QUICK, model=network, seed=1)
    assert align_to(network.predictions(pattern, 1)[0].object, crystal)[1] < 0.9
    assert align_to(solution.object, crystal)[1] > 0.995
    assert solution.quality.trusted
    assert solution.quality.n_starts == QUICK.guided.predictions == len(solution.starts)
    assert solution.quality.reasons[0].startswith(f"start: {QUICK.guided.predictions} predictions of the network rough")


def test_predictions_that_lead_nowhere_are_told_and_left(crystal, pattern):
    recorder = Recorder()
    network = _model(crystal, pattern, error_rad=100.0)
    # Six predictions without any truth, iterated on for long, find this crystal as random starts do.
    hasty = QUICK.model_copy(update={"guided": GuidedOptions(even_schedule="1*ER", loose_schedule="1*ER")})
    solution = solve(pattern, hasty, model=network, seed=1, observer=recorder)
    assert align_to(solution.object, crystal)[1] > 0.99
    assert solution.quality.n_starts == QUICK.guided.predictions + QUICK.starts == len(solution.starts)
    assert solution.quality.reasons[0].startswith(
        f"start: random: {QUICK.guided.predictions} predictions of the network rough"
    )
    assert any("random starts followed" in str(note) for note in recorder.notes)


def test_weights_asked_for_by_name_must_be_there(pattern):
    with pytest.raises(WeightsError, match="no such weights"):
        solve(pattern, QUICK.model_copy(update={"guided": GuidedOptions(model="nowhere.safetensors")}))
