"""`friedel doctor`: what this installation has, what it lacks, and the line that installs it."""

import json
from typing import Annotated

import typer


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
