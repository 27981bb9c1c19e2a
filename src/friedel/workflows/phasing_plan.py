"""The plan of a training of phasing networks: curriculum, network, training. Runs nothing."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from friedel.base.options import Options
from friedel.training.curriculum import Curriculum
from friedel.training.options import LearningOptions
from friedel.workflows.plan_file import read_yaml


class PhasingNetworkOptions(Options):
    """Which network, and how patterns are brought to its grid."""

    architecture: str = "phase_unet"
    """Name of the network (`friedel.networks.ARCHITECTURES`); "cdi_nn" is 3D-CDI-NN as published."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor."""
    oversampling: Annotated[float, Field(ge=1)] = 1.5
    """Box over crystal that patterns are resampled to when the network is used; the crystals' range is about it."""


class PhasingTrainingPlan(Options):
    """Everything that decides a trained phasing network."""

    name: str = "phasing"
    """What to call the model."""
    curriculum: Curriculum = Curriculum()
    """Crystals, how many, and the loss."""
    model: PhasingNetworkOptions = PhasingNetworkOptions()
    """The network."""
    training: LearningOptions = LearningOptions(batch=32)
    """Optimiser, schedule, machines."""
    limits: str = ""
    """Where the model isn't to be trusted, for its card."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of weights, crystals, noise and dropout."""
    output: Path | None = None
    """Folder for the model; the command line's ``-o`` wins."""


def load_phasing_training_plan(path: str | Path) -> PhasingTrainingPlan:
    """Read a plan; relative paths in it are taken from the plan's own folder.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    PlanError
        If it isn't YAML, or a key or a value is wrong (with the nearest valid name).
    """
    path = Path(path)
    plan = PhasingTrainingPlan.read(read_yaml(path), origin=str(path))
    folder = path.resolve().parent
    crystals = plan.curriculum.crystals.relative_to(folder)
    located: dict[str, Any] = {
        "curriculum": plan.curriculum.model_copy(update={"crystals": crystals}),
        "output": plan.output and folder / plan.output,
    }
    return plan.model_copy(update=located)


def phasing_training_plan_text(plan: PhasingTrainingPlan) -> str:
    """Return the complete plan, defaults included, as YAML that `load_phasing_training_plan` reads back."""
    heading = "# A complete plan, defaults included. Run it: friedel train phasing --plan model.yaml -o DIR\n"
    return heading + yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
