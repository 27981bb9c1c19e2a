"""Train a network that predicts objects from patterns: a plan in; weights, their card and the plan out."""

from pathlib import Path

from torch import nn

from friedel.bcdi.networks.patterns import PREPROCESSING, is_phasing_network
from friedel.bcdi.training.fit import TrainedPhaser, train_phaser
from friedel.bcdi.training.plan import PhasingTrainingPlan
from friedel.core.errors import PlanError
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.networks import MODEL_FILE, ModelCard, TrainedModel
from friedel.core.observer import Observer, silent
from friedel.core.training.job import leave_model, new_network, training_folder


def train_phasing(
    plan: PhasingTrainingPlan,
    output: Path | None = None,
    *,
    resume: bool = False,
    fresh: bool = False,
    observer: Observer = silent,
) -> TrainedModel:
    """Train on crystals made as the network learns, and leave a model with its card.

    Parameters
    ----------
    plan : PhasingTrainingPlan
        Curriculum, network, training.
    output : Path, optional
        Folder for the model and what is needed to resume; None takes the plan's.
    resume : bool
        Go on from the newest checkpoint in the folder, to the result of an unbroken training.
    fresh : bool
        Train anew although the folder holds a training.
    observer : Observer
        Hears progress.

    Raises
    ------
    PlanError
        If the network can't phase, no folder is given, or the folder's checkpoints are neither to be used nor to be
        replaced.
    InputError
        If the loss stops being a number.
    MissingDependencyError
        If the extra "train" isn't installed.
    """
    keep_freed_memory()
    folder, observer = training_folder(plan, output, resume=resume, fresh=fresh, observer=observer)
    network = _network(plan)
    trained = train_phaser(
        network, plan.curriculum, plan.training, folder=folder, seed=plan.seed, resume=resume, observer=observer
    )
    card = _card(plan, trained)
    return leave_model(folder, trained.network, card, plan, first=trained.first, half=True, observer=observer)


def _network(plan: PhasingTrainingPlan) -> nn.Module:
    network = new_network(plan.model.architecture, plan.model.options, seed=plan.seed)
    if not is_phasing_network(network):
        raise PlanError(f"network {plan.model.architecture!r} doesn't predict objects; use 'phase_unet' or 'cdi_nn'")
    return network


def _card(plan: PhasingTrainingPlan, trained: TrainedPhaser) -> ModelCard:
    curriculum = plan.curriculum
    return ModelCard(
        name=plan.name,
        architecture=plan.model.architecture,
        options=plan.model.options,
        preprocessing=PREPROCESSING,
        plan=Path(MODEL_FILE).with_suffix(".yaml").name,
        seed=plan.seed,
        data=f"{plan.training.epochs} × {curriculum.patterns} patterns of random crystals; the plan says of which kind",
        figures={**trained.figures, "validation_patterns": float(curriculum.validation)},
        limits=plan.limits or "Measured on other crystals of the same generator only; no real measurement.",
        extra={"grid_size": float(curriculum.crystals.size), "oversampling": plan.model.oversampling},
    )
