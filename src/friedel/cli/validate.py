"""`friedel validate` and `friedel doctor`: is this plan right, is this installation? Nothing is computed."""

import json
from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel validate my_scan.yaml --complete > complete.yaml\n\n"
    "  friedel validate my_scan.yaml --draw geometry.png"
)


def validate(
    plan: Annotated[Path, typer.Argument(help="A plan (.yaml).")],
    complete: Annotated[bool, typer.Option("--complete", help="Print the plan with every default filled in.")] = False,
    draw: Annotated[
        Path | None, typer.Option(help="Draw where beam, axes, detector and q point, into this picture.")
    ] = None,
) -> None:
    """Check a plan: every key, every value, and whether the files it names are there."""
    from friedel.cli.plan_kinds import kind_of

    read = kind_of(plan).load(plan)
    if complete:
        typer.echo(read.text(), nl=False)
    for path in read.absent_paths():
        typer.secho(f"warning: {path} isn't there", fg="yellow", err=True)
    if draw is not None:
        from friedel.bcdi.report.geometry import draw_source
        from friedel.core.errors import InputError

        source = getattr(read, "scan", None)
        if source is None or not hasattr(source, "beamline"):
            raise InputError(
                f"{plan}: a plan for {read.command} describes no rocking scan, so there is nothing to draw"
            )
        typer.secho(draw_source(source, draw), fg="green", err=True)
    typer.secho(f"{plan}: every key and value is valid; it is a plan for {read.command}.", fg="green", err=True)
    if draw is None and hasattr(getattr(read, "scan", None), "beamline"):
        text = "The scan's files weren't opened; with --draw geometry.png they are, and its motors are looked up there."
        typer.echo(text, err=True)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
) -> None:
    """Show versions, processors, GPU and extras, and what to install for what is missing."""
    from friedel.core.machine.doctor import examine

    health = examine()
    if as_json:
        typer.echo(json.dumps(health.as_dict(), indent=2))
        return
    for name, value in health.lines():
        typer.echo(f"{name:<22}{value}")
    for advice in health.advice:
        typer.secho(advice, fg="yellow")
    if not health.advice:
        typer.secho("Nothing is missing.", fg="green")
