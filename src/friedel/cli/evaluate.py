"""`friedel evaluate`: how good is a classifier, or a phasing network, where, and why? One report."""

from pathlib import Path
from typing import Annotated

import typer

HELP = "Evaluate what this package makes: classifiers of single hits, and phasing by networks."
EPILOG = (
    "Examples:\n\n"
    "  friedel evaluate hits -o evaluation --quick          some minutes: see that it works\n\n"
    "  friedel evaluate hits -o evaluation          hours on two cores; open evaluation/report.html\n\n"
    "  friedel evaluate hits -o evaluation --sections rates,calibration          some of it\n\n"
    "  friedel evaluate hits --model my_model -o evaluation --vgg16 vgg16-397923af.pth\n\n"
    "Stopped or killed, the same command goes on where it was."
)
PHASING_EPILOG = (
    "Examples:\n\n"
    "  friedel evaluate phasing -o evaluation --quick          some minutes: see that it works\n\n"
    "  friedel evaluate phasing --plan plans/phasing_evaluation.yaml -o evaluation          hours on two cores\n\n"
    "  friedel evaluate phasing -o evaluation --sections overview,sampling          some of it\n\n"
    "  friedel evaluate phasing --model my_model --published my_cdi_nn -o evaluation\n\n"
    "Stopped or killed, the same command goes on where it was."
)

evaluate = typer.Typer(no_args_is_help=True, help=HELP)


@evaluate.callback()
def _group() -> None:
    """Evaluate what this package makes: classifiers of single hits, and phasing by networks."""


@evaluate.command("hits", epilog=EPILOG)
def hits(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the report.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); what is given beside it wins.")] = None,
    model: Annotated[str | None, typer.Option(help="Name or path of weights; by default the shipped ones.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: minutes, not hours.")] = False,
    sections: Annotated[str | None, typer.Option(help="Sections to make, with commas between them.")] = None,
    vgg16: Annotated[Path | None, typer.Option(help="torchvision's vgg16-397923af.pth.")] = None,
) -> None:
    """Compare a model with the paper's network, VGG16 and the diffusion map: leave an HTML report in a folder."""
    from friedel.cli.progress import reporting
    from friedel.spi.evaluation.evaluate import evaluate_hits
    from friedel.spi.evaluation.plan import EvaluationPlan

    given = {
        "output": output and output.absolute(),
        "model": model,
        "size": "quick" if quick else None,
        "sections": None if sections is None else EvaluationPlan.named_sections(sections),
        "vgg16": vgg16 and vgg16.absolute(),
    }
    chosen = (EvaluationPlan.load(plan) if plan else EvaluationPlan()).model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    with reporting() as observer:
        result = evaluate_hits(chosen, observer=observer)
    kept = len(result.sections) - result.made
    typer.secho(f"{result.made} sections made, {kept} kept from before", fg="green")
    typer.echo(f"  report       {result.report}")


@evaluate.command("phasing", epilog=PHASING_EPILOG)
def phasing(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the report.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); what is given beside it wins.")] = None,
    model: Annotated[str | None, typer.Option(help="Name or path of weights; by default the shipped ones.")] = None,
    published: Annotated[str | None, typer.Option(help="Weights of 3D-CDI-NN, to stand beside.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few crystals: minutes, not hours.")] = False,
    sections: Annotated[str | None, typer.Option(help="Sections to make, with commas between them.")] = None,
    scan: Annotated[Path | None, typer.Option(help="Plan of a measured scan to phase as well.")] = None,
) -> None:
    """Compare network, network with refinement, iterative phasing and cohere: leave an HTML report in a folder."""
    from friedel.bcdi.evaluation.evaluate import evaluate_phasing
    from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
    from friedel.cli.progress import reporting

    given = {
        "output": output and output.absolute(),
        "model": model,
        "published": published,
        "size": "quick" if quick else None,
        "sections": None if sections is None else PhasingEvaluationPlan.named_sections(sections),
        "scan": scan and scan.absolute(),
    }
    chosen = (PhasingEvaluationPlan.load(plan) if plan else PhasingEvaluationPlan()).model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    with reporting() as observer:
        result = evaluate_phasing(chosen, observer=observer)
    typer.secho(f"{len(result.sections)} sections; {result.made} crystals phased now", fg="green")
    typer.echo(f"  report       {result.report}")
