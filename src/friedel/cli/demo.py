"""`friedel demo`: both jobs on simulated data, from raw frames to the reports."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel demo -o demo --seed 1          another crystal, another run, other noise\n\n"
    "  friedel demo --only hits          the single hits alone, in half a minute"
)
HITS_FOLDER = "hits"


class Half(StrEnum):
    """One of the two jobs."""

    CRYSTAL = "crystal"
    HITS = "hits"


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the data and the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is simulated and of the reconstruction.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
    only: Annotated[Half | None, typer.Option(help="Do one half of the demo.")] = None,
) -> None:
    """Simulate a run of single-particle frames and tell the hits; simulate a rocking scan and reconstruct it."""
    if only is not Half.CRYSTAL:
        _hits(output / HITS_FOLDER, seed, device)
    if only is not Half.HITS:
        _crystal(output, seed, device)


def _hits(output: Path, seed: int, device: str | None) -> None:
    from friedel.cli.classify import show_classification
    from friedel.cli.progress import reporting
    from friedel.workflows.demo_hits import run_hits_demo

    with reporting() as observer:
        shown = run_hits_demo(output, seed=seed, device=device, observer=observer)
    show_classification(shown.result)
    found = f"{shown.recall:.1%} of the single ones were found"
    typer.echo(f"against the truth: {shown.precision:.1%} of the selected are single, {found}")


def _crystal(output: Path, seed: int, device: str | None) -> None:
    from friedel.cli.progress import reporting
    from friedel.cli.summary import show_result
    from friedel.workflows.demo import run_demo

    with reporting() as observer:
        result = run_demo(output, seed=seed, device=device, observer=observer)
    show_result(result)
