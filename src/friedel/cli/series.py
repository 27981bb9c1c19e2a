"""`friedel series`: many scans of one crystal, treated alike and seen together."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel series heating.yaml -o heating          scans, conditions and settings from a plan\n\n"
    "  friedel series 40-75 --plan scan54.yaml -o heating          each as a single scan's plan says"
)


def series(
    given: Annotated[str, typer.Argument(metavar="PLAN|SCANS", help="A series' plan (.yaml), or numbers: 40-75.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results.")] = None,
    plan: Annotated[Path | None, typer.Option(help="A single scan's plan, whose settings hold for all.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
) -> None:
    """Reconstruct many scans alike: tables and plots against temperature or any motor, odd ones out, one report."""
    from friedel.bcdi.plan import PLAN_SUFFIXES, ReconstructionPlan
    from friedel.bcdi.series.plan import SeriesPlan
    from friedel.bcdi.series.run import run_series
    from friedel.cli.progress import reporting
    from friedel.core.errors import PlanError

    if Path(given).suffix.lower() in PLAN_SUFFIXES:
        chosen = SeriesPlan.load(given)
    elif plan is not None:
        chosen = SeriesPlan.like(ReconstructionPlan.load(plan), given)
    else:
        raise PlanError(f"{given!r} is no plan (.yaml); with numbers, name a single scan's plan: --plan scan.yaml")
    with reporting() as observer:
        result = run_series(chosen, output, device=device, observer=observer)
    made = sum(not scan.failed for scan in result.scans)
    typer.echo(f"{made} of {len(result.scans)} scans reconstructed, {len(result.odd)} don't fit in")
    for name, why in result.odd.items():
        typer.secho(f"  {name}: {why}", fg="yellow")
    for what, path in result.files.items():
        typer.echo(f"  {what:<12} {path}")
