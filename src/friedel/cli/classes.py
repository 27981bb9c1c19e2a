"""`friedel classes`: averages of the selected frames, to look at, keep or drop before a merge."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel classify run.cxi -o hits          first\n\n"
    "  friedel classes hits -o classes          open classes/report.html\n\n"
    "  friedel classes hits -o classes --drop 4,7          leave two classes out\n\n"
    "In the folder: report.html (the averages) · classes.csv (one line a frame) · classes.h5 (the averages as arrays) "
    "· selection.cxi (the frames of the classes kept)."
)


def classes(
    hits: Annotated[Path, typer.Argument(metavar="HITS", help="The folder that `friedel classify` left.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    count: Annotated[int, typer.Option(min=1, max=200, help="Classes at most.")] = 12,
    keep: Annotated[str, typer.Option(metavar="N,N...", help="Classes to keep; by default all.")] = "",
    drop: Annotated[str, typer.Option(metavar="N,N...", help="Classes to leave out.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed finds the same classes.")] = 0,
) -> None:
    """Sort the selected frames into classes that differ by more than a rotation, and show their averages."""
    from friedel.cli.progress import reporting
    from friedel.spi.classify.classes import run_classes

    kept, dropped = _numbers(keep), _numbers(drop)
    with reporting() as observer:
        result = run_classes(hits, output, classes=count, keep=kept, drop=dropped, seed=seed, observer=observer)
    found = len(result.classes.averages)
    typer.secho(f"{found} classes of {len(result.numbers)} frames; {result.kept} frames kept", fg="green")
    for name, path in result.files.items():
        typer.echo(f"  {name:<12} {path}")


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"{text!r}: write numbers of classes with commas, such as 1,3") from None
