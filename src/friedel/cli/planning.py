"""`friedel plan-scan` and `friedel plan-particles`: what a beam time takes, before it begins."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

SCAN_EPILOG = (
    "Examples:\n\n"
    "  friedel plan-scan size_nm=300 energy_ev=9000 distance_m=0.5\n\n"
    "  friedel plan-scan size_nm=150 energy_ev=8000 distance_m=1 material=Pt flux_per_um2=1e11 strain_error=5e-5\n\n"
    "  friedel plan-scan size_nm=300 energy_ev=9000 distance_m=0.5 --picture scan.png          with the pattern"
)
PARTICLE_EPILOG = (
    "Example:\n\n"
    "  friedel plan-particles size_nm=70 energy_ev=1600 distance_m=0.58 photons_per_um2=1e12 resolution_nm=9"
)

Wishes = Annotated[list[str], typer.Argument(metavar="NAME=VALUE…", help="What is known and wanted; see --names.")]
Names = Annotated[bool, typer.Option("--names", help="List every name, its meaning and its default, and leave.")]


def plan_scan(
    wishes: Wishes = [],  # noqa: B006  # Typer reads it, nobody changes it
    names: Names = False,
    picture: Annotated[Path | None, typer.Option(help="Draw the simulated pattern, as counted, into a PNG.")] = None,
) -> None:
    """Plan a rocking scan: oversampling, step, range, frames and seconds for a wanted strain error."""
    from friedel.bcdi import planning

    if names or not wishes:
        return _list(planning.ScanWish)
    wish = planning.ScanWish.read(_values(wishes), origin="command line")
    advice = planning.plan_scan(wish)
    _tell(planning.advice_words(wish, advice), advice.warnings)
    if picture is not None:
        typer.echo(f"  picture: {planning.save_planned(picture, wish, advice)}")
    return None


def plan_particles(wishes: Wishes = [], names: Names = False) -> None:  # noqa: B006
    """Plan a run of single particles: pixels per fringe, photons per frame, hits for a wanted resolution."""
    from friedel.spi import planning

    if names or not wishes:
        return _list(planning.ParticleWish)
    wish = planning.ParticleWish.read(_values(wishes), origin="command line")
    advice = planning.plan_particles(wish)
    return _tell(planning.particle_words(wish, advice), advice.warnings)


def _values(wishes: Sequence[str]) -> dict[str, Any]:
    import yaml

    from friedel.core.errors import PlanError

    values = {}
    for wish in wishes:
        name, equals, text = wish.partition("=")
        if not equals:
            raise PlanError(f"{wish!r}: write name=value, for instance size_nm=300; --names lists all")
        value = yaml.safe_load(text)
        values[name.strip()] = _numbers(text) if value is None or isinstance(value, str) else value
    return values


def _numbers(text: str) -> float | list[float] | str:
    """Return what YAML takes for words as the numbers they are: "1e10", and "1,1,1" for Miller indices."""
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        return text
    return parts if len(parts) > 1 else parts[0]


def _tell(words: Sequence[tuple[str, str]], warnings: Sequence[str]) -> None:
    width = max(len(what) for what, _ in words)
    for what, much in words:
        typer.echo(f"  {what:<{width}}  {much}")
    for warning in warnings:
        typer.secho(f"  {warning}", fg="yellow")


def _list(options: Any) -> None:
    for name, field in options.model_fields.items():
        default = "needed" if field.is_required() else field.default
        typer.echo(f"  {name:<26} {field.description} [{default}]")
