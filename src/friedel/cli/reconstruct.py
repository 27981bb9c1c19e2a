"""`friedel reconstruct`: from a volume, a scan or a plan to a folder of results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from friedel.bcdi.run import RunResult

EPILOG = (
    "Examples:\n\n"
    "  friedel reconstruct crystal.npy -o result          a 3D array of photons, everything by default\n\n"
    "  friedel reconstruct scan.h5 --dataset entry/data -o result\n\n"
    "  friedel reconstruct my_scan.yaml -o result          a raw rocking scan, described by a plan\n\n"
    "  friedel reconstruct /data/today --plan mine.yaml -o result --seed 3          the same plan, another scan"
)


def reconstruct(
    given: Annotated[Path, typer.Argument(metavar="INPUT", help="A plan (.yaml), a 3D volume, or a scan's folder.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan whose settings hold for INPUT.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Array or dataset to read inside INPUT.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")] = None,
    starts: Annotated[
        int | None, typer.Option(min=1, help="Begin from so many random starts, without the network.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the quality figures on stdout, nothing else.")] = False,
) -> None:
    """Reconstruct a crystal: leave an HTML report, CXI, NPZ and VTI files and the quality figures in a folder."""
    import json

    from friedel.bcdi.plan import plan_for
    from friedel.bcdi.run import run_reconstruction
    from friedel.cli.progress import reporting

    chosen = plan_for(given, plan=plan, dataset=dataset).with_choices(seed=seed, starts=starts, output=output)
    with reporting() as observer:
        result = run_reconstruction(chosen, device=device, observer=observer)
    if as_json:
        typer.echo(json.dumps(result.reconstruction.quality.as_dict(), indent=2, allow_nan=False))
    else:
        show_result(result)


def show_result(result: "RunResult") -> None:
    """Print the main figures, whether they can be trusted, and where the files are."""
    quality = result.reconstruction.quality
    typer.echo(f"χ {quality.chi:.4f} · support {quality.support_voxels} voxels · {_agreement(result)}")
    if quality.resolution_nm:
        unit = "voxels" if result.reconstruction.grid is None else "nm"
        typer.echo(
            f"resolution ({unit}): " + ", ".join(f"{name} {value:.3g}" for name, value in quality.resolution_nm.items())
        )
    for name, value in result.truth.items():
        typer.echo(f"{name}: {value:.4g}")
    verdict, colour = (
        ("The checks passed.", "green") if quality.trusted else ("Read the report: a check failed.", "yellow")
    )
    typer.secho(verdict, fg=colour)
    for name, path in result.files.items():
        typer.echo(f"  {name:<12} {path}")


def _agreement(result: "RunResult") -> str:
    quality = result.reconstruction.quality
    agreeing = f"{quality.n_agreeing} of {quality.n_starts} starts agree"
    return agreeing if quality.agreement is None else f"{agreeing} (correlation {quality.agreement:.3f})"
