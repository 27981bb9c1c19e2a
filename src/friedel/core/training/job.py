"""The frame of a training job: a folder to train in, a network to begin with, and the model that is left there."""

from pathlib import Path

import torch
from torch import Tensor, nn

from friedel.core.errors import PlanError
from friedel.core.networks import MODEL_FILE, ModelCard, TrainedModel, build_network, save_weights
from friedel.core.observer import Note, Observer, silent
from friedel.core.plan import Plan
from friedel.core.training.checkpoints import has_checkpoints
from friedel.core.training.libraries import first_process


def training_folder(
    plan: Plan, output: Path | None, *, resume: bool, fresh: bool, observer: Observer
) -> tuple[Path, Observer]:
    """Return the folder to train in, and whom to tell: of processes that train together the first alone speaks.

    Parameters
    ----------
    plan : Plan
        Names a folder, if ``output`` doesn't.
    output : Path or None
        Folder for the model.
    resume, fresh : bool
        Go on with the training that lies there, or replace it.
    observer : Observer
        Hears progress.

    Raises
    ------
    PlanError
        If no folder is given, or its checkpoints are neither to be used nor to be replaced.
    """
    folder = plan.folder_for(output, what="model")
    if not first_process():
        return folder, silent
    if has_checkpoints(folder) and not (resume or fresh):
        raise PlanError(f"{folder} holds a training already: go on with --resume, or train anew with --fresh")
    return folder, observer


def new_network(architecture: str, options: dict[str, object], *, seed: int) -> nn.Module:
    """Return a network with the first weights of a seed, whatever was drawn before.

    Raises
    ------
    PlanError
        If the architecture is unknown or the options don't fit it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(architecture, options)


def leave_model(
    folder: Path,
    network: nn.Module,
    card: ModelCard,
    plan: Plan,
    *,
    first: bool,
    statistics: dict[str, Tensor] | None = None,
    half: bool = False,
    observer: Observer = silent,
) -> TrainedModel:
    """Write weights, their card and the plan, and tell the figures; only the first of several processes writes.

    Parameters
    ----------
    folder : Path
        Where.
    network : nn.Module
        What was trained.
    card : ModelCard
        What it is.
    plan : Plan
        What made it.
    first : bool
        Whether this is the first of the processes that trained together.
    statistics : dict of str to Tensor, optional
        Kept beside the weights.
    half : bool
        Keep kernels as float16.
    observer : Observer
        Hears where the model lies and its figures.
    """
    path = folder / MODEL_FILE
    if first:
        path.with_suffix(".yaml").write_text(plan.text(), encoding="utf-8")
        card = save_weights(path, network, card, statistics=statistics, half=half)
        words = ", ".join(f"{name} {value:.4g}" for name, value in card.figures.items())
        observer(Note("model", f"{path}: {words}", dict(card.figures)))
    return TrainedModel(card=card, weights=path, first=first)
