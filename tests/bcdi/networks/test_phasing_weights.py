"""The shipped phasing weights reach what their cards say, on a few crystals made anew."""

from importlib import resources

import numpy as np
import pytest

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.prediction.model import load_phasing_model
from friedel.bcdi.records import Diffraction
from friedel.bcdi.training.fit import measure_phaser
from friedel.bcdi.training.plan import PhasingTrainingPlan
from friedel.core.networks import load_weights


@pytest.mark.parametrize("name", ["phasing_default", "phasing_cdi_nn"])
def test_the_figures_are_the_cards(name: str):
    network, card = load_weights(name)
    with resources.as_file(resources.files("friedel.bcdi.networks") / "weights" / f"{name}.yaml") as path:
        plan = PhasingTrainingPlan.load(path)
    # Without the store of relaxed crystals, which isn't shipped: the others are alike enough.
    crystals = plan.curriculum.crystals.model_copy(update={"store": None})
    few = plan.curriculum.model_copy(update={"crystals": crystals, "validation": 32})
    found = measure_phaser(network, few, seed=plan.seed)
    assert found["correlation"] == pytest.approx(card.figures["correlation"], abs=0.08)
    assert found["chi"] == pytest.approx(card.figures["chi"], abs=0.08)
    assert card.architecture == plan.model.architecture
    assert card.options == plan.model.options


def test_predictions_show_crystals_of_seeds_that_no_network_learnt_from():
    model, correlations, chis = load_phasing_model(), [], []
    for seed in range(9000, 9008):
        crystal = random_crystal((32, 32, 32), seed=seed, phase_range_rad=4.0).object
        counts = diffract(crystal, n_photons=1e7, seed=seed)
        prediction = model.predict(Diffraction(intensities=counts, mask=np.ones(counts.shape, bool)))
        correlations.append(align_to(prediction.object, crystal)[1])
        chis.append(prediction.chi)
    assert np.median(correlations) > 0.8
    assert np.median(chis) < 0.2
