"""A result in a few lines on the terminal."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from friedel.bcdi.run import RunResult


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
