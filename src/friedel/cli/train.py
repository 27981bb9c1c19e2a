"""`friedel train`: from a plan to a trained model with its card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from friedel.core.networks import TrainedModel

EPILOG = (
    "Examples:\n\n"
    "  friedel train hits --plan plans/hits_paper_resnet.yaml -o model          simulate, prepare, train, calibrate\n\n"
    "  friedel train hits --plan plans/hits_paper_resnet.yaml -o model --resume     go on after an interruption\n\n"
    "  friedel classify run.cxi -o hits --model model          use it\n\n"
    "  tensorboard --logdir model/tensorboard          watch it\n\n"
    "  torchrun --nproc-per-node 4 $(which friedel) train hits --plan …          four GPUs (training.devices: 4)"
)

PHASING_EPILOG = (
    "Examples:\n\n"
    "  friedel train phasing --plan plans/phasing_default.yaml -o model          the project's own network\n\n"
    "  friedel train phasing --plan plans/phasing_cdi_nn.yaml -o model --resume     go on after an interruption\n\n"
    "  tensorboard --logdir model/tensorboard          watch it\n\n"
    "  torchrun --nproc-per-node 4 $(which friedel) train phasing --plan …          four GPUs (training.devices: 4)"
)

train = typer.Typer(no_args_is_help=True, help="Train models.")


@train.callback()
def _train() -> None:
    """Train models."""


@train.command(epilog=EPILOG)
def hits(
    plan: Annotated[Path, typer.Option(help="Plan (.yaml) of the training.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the model.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train anew, whatever lies there.")] = False,
) -> None:
    """Train a classifier of single hits: leave weights, their card and the plan in a folder."""
    from friedel.cli.progress import reporting
    from friedel.spi.training.plan import TrainingPlan
    from friedel.spi.training.train import train_hits

    with reporting() as observer:
        trained = train_hits(TrainingPlan.load(plan), output, resume=resume, fresh=fresh, observer=observer)
    _show(trained)


@train.command(epilog=PHASING_EPILOG)
def phasing(
    plan: Annotated[Path, typer.Option(help="Plan (.yaml) of the training.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the model.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train anew, whatever lies there.")] = False,
) -> None:
    """Train a network that predicts crystals from their patterns: leaves weights, card and plan in a folder."""
    from friedel.bcdi.training.plan import PhasingTrainingPlan
    from friedel.bcdi.training.train import train_phasing
    from friedel.cli.progress import reporting

    with reporting() as observer:
        trained = train_phasing(PhasingTrainingPlan.load(plan), output, resume=resume, fresh=fresh, observer=observer)
    _show(trained)


def _show(trained: "TrainedModel") -> None:
    if not trained.first:
        return
    for name, value in trained.card.figures.items():
        typer.echo(f"  {name.replace('_', ' '):<18} {value:.4g}")
    typer.echo(f"  {'weights':<18} {trained.weights}")
