"""A plan becomes a phasing network with its card; it resumes, and what can't be is told before any work."""

import pytest
import yaml
from typer.testing import CliRunner

from friedel.bcdi.training.plan import PhasingTrainingPlan
from friedel.bcdi.training.train import train_phasing
from friedel.cli.main import app
from friedel.core.errors import PlanError
from friedel.core.networks import load_weights
from friedel.core.observer import Note

SMALL = {
    "name": "tiny",
    "curriculum": {"crystals": {"size": 16}, "patterns": 8, "validation": 4},
    "model": {"options": {"width": 4, "levels": 1}, "oversampling": 1.7},
    "training": {"epochs": 1, "batch": 4, "precision": "float32"},
    "seed": 3,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, events = tmp_path_factory.mktemp("model"), []
    return train_phasing(PhasingTrainingPlan.read(SMALL), folder, observer=events.append), events


def test_it_leaves_weights_card_and_plan(trained):
    model, events = trained
    network, card = load_weights(model.weights.parent)
    assert card == model.card
    assert network.gives == "diffraction"
    assert card.extra == {"grid_size": 16.0, "oversampling": 1.7}
    assert set(card.figures) == {"correlation", "chi", "success", "validation_patterns"}
    assert "1 × 8 patterns" in card.data
    assert any(isinstance(event, Note) and "correlation" in event.text for event in events)
    assert PhasingTrainingPlan.load(model.weights.with_suffix(".yaml")) == PhasingTrainingPlan.read(SMALL)


def test_the_store_is_looked_for_beside_the_plan(tmp_path):
    (tmp_path / "plan.yaml").write_text("curriculum: {crystals: {store: crystals.h5}}\n")
    plan = PhasingTrainingPlan.load(tmp_path / "plan.yaml")
    assert plan.curriculum.crystals.store == tmp_path.resolve() / "crystals.h5"


def test_a_second_training_must_be_asked_for(trained):
    folder, plan = trained[0].weights.parent, PhasingTrainingPlan.read(SMALL)
    with pytest.raises(PlanError, match=r"--resume, or train anew with --fresh"):
        train_phasing(plan, folder)
    assert train_phasing(plan, folder, resume=True).card == trained[0].card


def test_what_can_not_be_is_told_before_any_work(tmp_path):
    with pytest.raises(PlanError, match="no folder for the model"):
        train_phasing(PhasingTrainingPlan())
    with pytest.raises(PlanError, match="'resnet' doesn't predict objects"):
        train_phasing(PhasingTrainingPlan(model={"architecture": "resnet"}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_trains_and_names_a_wrong_key(tmp_path):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(SMALL))
    done = CliRunner().invoke(
        app, ["train", "phasing", "--plan", str(tmp_path / "plan.yaml"), "-o", str(tmp_path / "m")]
    )
    assert done.exit_code == 0, done.output
    assert "correlation" in done.output
    assert (tmp_path / "m" / "model.json").is_file()
    (tmp_path / "plan.yaml").write_text("curriculum: {crystal: {size: 16}}\n")
    wrong = CliRunner().invoke(app, ["train", "phasing", "--plan", str(tmp_path / "plan.yaml"), "-o", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "did you mean 'crystals'" in wrong.stderr
