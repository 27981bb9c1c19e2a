"""`friedel series`: many scans reconstructed alike, or many runs classified alike, seen together."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from friedel.core.errors import PlanError

if TYPE_CHECKING:
    from friedel.core.observer import Observer
    from friedel.core.plan import Plan

EPILOG = (
    "Examples:\n\n"
    "  friedel series heating.yaml -o heating          scans or runs, conditions and settings from a plan\n\n"
    "  friedel series 40-75 --plan scan54.yaml -o heating          scans, each as a single scan's plan says\n\n"
    "  friedel series run_*.cxi -o shift          runs of frames: hit rate, sizes, fluence along the shift\n\n"
    "  friedel series r00*/ -o shift --set cluster.workers=8          eight at a time (Dask)"
)


def series(
    given: Annotated[
        list[str],
        typer.Argument(metavar="PLAN|SCANS|RUN…", help="A series' plan (.yaml), scan numbers (40-75), or runs."),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A single scan's plan for numbers, a series' plan for runs: its settings hold.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the series' plan.")
    ] = None,
) -> None:
    """Treat many scans or runs alike: tables and plots against temperature or any motor, outliers, one report."""
    from friedel.bcdi.series.plan import SeriesPlan
    from friedel.cli.progress import reporting

    chosen = _chosen(given, plan).with_settings(settings or ())
    with reporting() as observer:
        if isinstance(chosen, SeriesPlan):
            from friedel.bcdi.series.run import run_series

            scans = run_series(chosen, output, device=device, observer=observer)
            _show([scan.failed for scan in scans.scans], "scans", "reconstructed", scans.outliers, scans.files)
            for name, why in scans.doubtful.items():
                typer.secho(f"  {name}: {why}", fg="yellow")
        else:
            _show(*_run_hits(chosen, output, device, observer))


def _chosen(given: list[str], plan: Path | None) -> "Plan":
    from friedel.bcdi.plan import PLAN_SUFFIXES, ReconstructionPlan
    from friedel.bcdi.series.plan import SeriesPlan
    from friedel.cli.plan_kinds import kind_of
    from friedel.spi.series.plan import RunSeriesPlan

    first = Path(given[0])
    if len(given) == 1 and first.suffix.lower() in PLAN_SUFFIXES:
        return (RunSeriesPlan if kind_of(first) is RunSeriesPlan else SeriesPlan).load(first)
    if all(Path(one).exists() for one in given):
        base = RunSeriesPlan() if plan is None else RunSeriesPlan.load(plan)
        return base.with_settings(given={"runs": [Path(one).absolute() for one in given]})
    if plan is not None:
        return SeriesPlan.like(ReconstructionPlan.load(plan), ",".join(given))
    raise PlanError(
        f"{given[0]!r} is no plan (.yaml) and no file; with numbers, name a single scan's plan: --plan scan.yaml"
    )


def _run_hits(
    chosen: "Plan", output: Path | None, device: str | None, observer: "Observer"
) -> tuple[list[str], str, str, Mapping[str, str], Mapping[str, Path]]:
    from friedel.spi.series.plan import RunSeriesPlan
    from friedel.spi.series.run import run_hit_series

    assert isinstance(chosen, RunSeriesPlan)
    done = run_hit_series(chosen, output, device=device, observer=observer)
    return [run.failed for run in done.runs], "runs", "classified", done.outliers, done.files


def _show(failed: list[str], what: str, how: str, outliers: Mapping[str, str], files: Mapping[str, Path]) -> None:
    made = sum(not why for why in failed)
    typer.echo(f"{made} of {len(failed)} {what} {how}, {len(outliers)} don't fit in")
    for name, why in outliers.items():
        typer.secho(f"  {name}: {why}", fg="yellow")
    for name, path in files.items():
        typer.echo(f"  {name:<12} {path}")
