"""`friedel simulate`: frames with labels, and crystals, to train, test and plan with."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel simulate hits -o hits.cxi --frames 2000 --seed 3          icosahedra on a pnCCD, half of them alone\n\n"
    "  friedel simulate hits --plan plans/hits_simulation.yaml -o hits.cxi --workers 4\n\n"
    "  friedel simulate hits -o virus.emc --particle 1w8x.cif --photons 500          hits of one particle for friedel "
    "merge, with the truth beside\n\n"
    "The same line again goes on where an interrupted run stopped."
)

CRYSTALS_EPILOG = (
    "Examples:\n\n"
    "  friedel simulate crystals -o crystals.h5 --crystals 200            gold, relaxed by LAMMPS (extra: atoms)\n\n"
    "  friedel simulate crystals -o crystals.h5 --generator continuum     without LAMMPS\n\n"
    "  friedel simulate crystals --plan plans/crystals.yaml -o crystals.h5 --workers 2\n\n"
    "The same line again goes on where an interrupted run stopped."
)

simulate = typer.Typer(no_args_is_help=True, help="Simulate measurements, with their truth.")


@simulate.command(epilog=EPILOG)
def hits(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for the frames: .cxi, .h5; .emc to be merged.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); by default icosahedra on a pnCCD.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames in all.")] = None,
    particle: Annotated[
        str | None, typer.Option(help="For .emc: a shape by name, or a PDB, mmCIF, MRC or .npy file.")
    ] = None,
    photons: Annotated[float | None, typer.Option(help="For .emc: mean number a frame.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the plan.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; more than one needs Dask.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, whatever lies there.")] = False,
) -> None:
    """Simulate frames of single particles, of several, and of what else is hit, with a label for each."""
    from friedel.cli.plan_kinds import kind_of
    from friedel.cli.progress import reporting
    from friedel.core.errors import PlanError
    from friedel.spi.simulation.merge_data import MergeDataPlan
    from friedel.spi.simulation.plan import SimulationPlan, checked
    from friedel.spi.simulation.simulate import simulate_hits

    if (output and output.suffix == ".emc") or (plan and kind_of(plan) is MergeDataPlan):
        if workers or fresh:
            raise PlanError("--workers and --fresh are for runs of frames (.cxi); hits to be merged take seconds")
        given = {"hits": frames, "particle": particle, "photons": photons, "seed": seed, "output": output}
        _merge_data(plan, settings or [], given)
        return
    if particle or photons:
        raise PlanError("--particle and --photons are for hits to be merged (-o FILE.emc); a run's are in its plan")
    base = SimulationPlan.load(plan) if plan else SimulationPlan()
    base = checked(base.with_settings(settings)) if settings else base
    chosen = base.with_choices(frames=frames, seed=seed, workers=workers, output=output)
    with reporting() as observer:
        run = simulate_hits(chosen, fresh=fresh, observer=observer)
    typer.echo(", ".join(f"{count} {kind}" for kind, count in sorted(run.kinds.items(), key=lambda item: -item[1])))
    typer.echo(f"  frames       {run.path}")


def _merge_data(plan: Path | None, settings: list[str], given: dict[str, Any]) -> None:
    from friedel.cli.progress import reporting
    from friedel.spi.simulation.merge_data import MergeDataPlan, write_merge_data

    base = MergeDataPlan.load(plan) if plan else MergeDataPlan()
    with reporting() as observer:
        files = write_merge_data(base.with_settings(settings, given=given), observer=observer)
    for name, path in files.items():
        typer.echo(f"  {name:<12} {path}")


@simulate.command(epilog=CRYSTALS_EPILOG)
def crystals(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File for the crystals (.h5).")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); by default gold of 25,000 atoms.")] = None,
    crystals: Annotated[int | None, typer.Option(min=1, help="Crystals in all.")] = None,
    generator: Annotated[
        Literal["lammps", "continuum"] | None, typer.Option(help="Relaxed atoms, or elastic fields.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; more than one needs Dask.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, whatever lies there.")] = False,
) -> None:
    """Simulate strained crystals, each with its density and displacement field, to train phasing on."""
    from friedel.bcdi.simulation.plan import CrystalPlan
    from friedel.bcdi.simulation.simulate import simulate_crystals
    from friedel.cli.progress import reporting

    base = CrystalPlan.load(plan) if plan else CrystalPlan()
    chosen = base.with_choices(crystals=crystals, generator=generator, seed=seed, workers=workers, output=output)
    with reporting() as observer:
        made = simulate_crystals(chosen, fresh=fresh, observer=observer)
    failed = f", {made.store.n_failed} could not be made" if made.store.n_failed else ""
    typer.echo(f"{len(made.store)} crystals{failed}")
    typer.echo(f"  crystals     {made.store.path}\n  distribution {made.figure}")
