"""`friedel simulate`: frames and labels to train, test and plan with."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel simulate hits -o hits.cxi --frames 2000 --seed 3          icosahedra on a pnCCD, half of them alone\n\n"
    "  friedel simulate hits --plan plans/hits_simulation.yaml -o hits.cxi --workers 4\n\n"
    "The same line again goes on where an interrupted run stopped."
)

simulate = typer.Typer(no_args_is_help=True, help="Simulate measurements, with their truth.")


@simulate.command(epilog=EPILOG)
def hits(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File for the frames (.cxi, .h5).")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); by default icosahedra on a pnCCD.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames in all.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; more than one needs Dask.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, whatever lies there.")] = False,
) -> None:
    """Simulate frames of single particles, of several, and of what else is hit, with a label for each."""
    from friedel.cli.progress import reporting
    from friedel.workflows.simulate_hits import simulate_hits
    from friedel.workflows.simulation_plan import SimulationPlan, load_simulation_plan

    base = load_simulation_plan(plan) if plan else SimulationPlan()
    chosen = base.with_choices(frames=frames, seed=seed, workers=workers, output=output)
    with reporting() as observer:
        run = simulate_hits(chosen, fresh=fresh, observer=observer)
    typer.echo(", ".join(f"{count} {kind}" for kind, count in sorted(run.kinds.items(), key=lambda item: -item[1])))
    typer.echo(f"  frames       {run.path}")
