"""`friedel validate`: is this plan right? Nothing is read but the plan; no GPU is needed."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = "Example:\n\n  friedel validate plans/aps34idc_scan54.yaml --complete > my_plan.yaml"


def validate(
    plan: Annotated[Path, typer.Argument(help="A plan (.yaml).")],
    complete: Annotated[bool, typer.Option("--complete", help="Print the plan with every default filled in.")] = False,
) -> None:
    """Check a plan: every key, every value, and whether the files it names are there."""
    from friedel.cli.plan_kinds import kind_of

    read = kind_of(plan).load(plan)
    if complete:
        typer.echo(read.text(), nl=False)
    for path in read.absent_paths():
        typer.secho(f"warning: {path} isn't there", fg="yellow", err=True)
    typer.secho(f"{plan}: every key and value is valid; it is a plan for {read.command}.", fg="green", err=True)
