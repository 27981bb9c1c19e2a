"""`friedel adapt`: fit a model to a new experiment from a few labels, or say which frames to label."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel adapt run.h5 --suggest -o look          1. writes look/labels.csv and look/frames.png\n\n"
    "  (write 1 for single hits and 0 for all else into the column 'label', 20 of each if you can)\n\n"
    "  friedel adapt run.h5 --labels look/labels.csv -o model          2. adapts the shipped model\n\n"
    "  friedel classify run.h5 --model model -o hits          3. scores the whole run with it"
)


def adapt(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A file of frames, or a European XFEL run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model, or for the sheet of frames.")],
    labels: Annotated[
        Path | None, typer.Option(help="CSV with the columns frame and label (1 single, 0 other).")
    ] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Write the frames worth labelling instead.")] = False,
    count: Annotated[int, typer.Option(min=4, max=400, help="Frames to suggest.")] = 40,
    model: Annotated[str, typer.Option(help="Name or path of the weights to begin with.")] = "default",
    dataset: Annotated[str | None, typer.Option(help="Dataset of the frames, if there are several.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask (y, x): .npy .tif .h5 .cxi .edf; 0 is good.")] = None,
) -> None:
    """Adapt a model to a new experiment from 10 to 50 labels a class, in under a minute."""
    from friedel.cli.progress import reporting
    from friedel.core.errors import PlanError
    from friedel.spi.frames.files import FrameFiles
    from friedel.spi.hits.model import load_model

    if suggest == (labels is not None):
        raise PlanError("give either --labels FILE to adapt, or --suggest to choose frames to label")
    files = FrameFiles(paths=(run,), dataset=dataset, mask=mask)
    with reporting() as observer:
        if labels is None:
            from friedel.spi.adapt.suggest import GALLERY, SHEET, suggest_labels

            chosen = suggest_labels(files, output, load_model(model), count=count, observer=observer)
            typer.secho(f"{len(chosen)} frames to label in {output / SHEET}, shown in {output / GALLERY}", fg="green")
            return
        from friedel.spi.adapt.adapt import adapt_to_run

        result = adapt_to_run(files, labels, output, load_model(model), model=model, observer=observer)
    typer.secho(
        f"adapted to {result.n_single} single hits and {result.n_other} other frames in {result.seconds:.1f} s: "
        f"{result.adapted.accuracy:.1%} right on labels left out ({result.adapted.shipped_accuracy:.1%} before)",
        fg="green",
    )
    typer.echo(f"  use it: friedel classify {run} --model {output} -o hits")
