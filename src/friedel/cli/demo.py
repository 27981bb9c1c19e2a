"""`friedel demo`: the whole chain on a simulated scan, from raw frames to the report."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = "Example:\n\n  friedel demo -o demo --seed 1          another crystal, other noise"


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the scan and the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the crystal, its noise and the reconstruction.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
) -> None:
    """Simulate a rocking scan in 34-ID-C's file format, reconstruct it, and compare with the truth."""
    from friedel.cli.progress import reporting
    from friedel.cli.summary import show_result
    from friedel.workflows.demo import run_demo

    with reporting() as observer:
        result = run_demo(output, seed=seed, device=device, observer=observer)
    show_result(result)
