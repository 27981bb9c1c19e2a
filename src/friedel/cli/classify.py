"""`friedel classify`: from a run's frames to scores, the selected frames and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from friedel.spi.classify.classify import ClassifyResult

EPILOG = (
    "Examples:\n\n"
    "  friedel classify run.cxi -o hits          everything by default; open hits/report.html\n\n"
    "  friedel classify run.h5 --dataset entry/data -o hits --mask bad_pixels.npy          1 is bad in the mask\n\n"
    "  friedel classify run*.h5 -o hits --set cluster.workers=8          many files, eight at a time (Dask)\n\n"
    "  friedel classify /gpfs/…/p002145/proc/r0034 -o hits          a European XFEL run\n\n"
    "  friedel classify run.h5 -o hits --set select.single=0.95          a stricter selection\n\n"
    "  friedel classify run.h5 -o hits --set emc.adu_per_photon=130          frames in detector units\n\n"
    "  friedel classify run.h5 -o hits --set select.mode=main          only frames of the commonest size\n\n"
    "In the folder: report.html (look here first) · scores.h5 and scores.csv (one line a frame) · selection.cxi (the "
    "selected frames, a view of the source files) · selection.emc (their photons, for Dragonfly) · summary.json · "
    "plan.yaml (every setting, to run again with --plan).\n\n"
    "Files of several that can't be read are named and left out, and the exit code is then 2. "
    "Stopped or killed, the same command goes on where it was; a file that has grown is scored from its "
    "first new frame."
)
PARTLY = 2
"""Exit code when some of the files are not in the results."""


def classify(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help=".cxi .h5 .nxs .npy .npz files, folders of them, European XFEL runs."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); what is given beside it wins.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the frames, if there are several.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask (y, x): .npy .tif .h5 .cxi .edf; 0 is good.")] = None,
    dark: Annotated[Path | None, typer.Option(help="Dark image (y, x), or dark frames, taken off every frame.")] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="CrystFEL geometry (.geom), for modules that aren't put together.")
    ] = None,
    centre: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="Y X", help="Pixel that the beam hits; by default it is found."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name or path of weights; by default the shipped ones.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the plan, see the examples.")
    ] = None,
) -> None:
    """Tell single hits from all other frames: leave scores, the selected frames and a report in a folder."""
    from friedel.cli.progress import reporting
    from friedel.spi.classify.classify import run_classification
    from friedel.spi.classify.plan import ClassifyPlan

    given = {
        "frames.paths": [path.absolute() for path in runs] if runs else None,
        "frames.dataset": dataset,
        "frames.mask": mask and mask.absolute(),
        "frames.dark": dark and dark.absolute(),
        "frames.geometry": geometry and geometry.absolute(),
        "frames.centre": centre,
        "model": model,
        "output": output and output.absolute(),
    }
    chosen = (ClassifyPlan.load(plan) if plan else ClassifyPlan()).with_settings(settings or (), given=given)
    with reporting() as observer:
        result = run_classification(chosen, device=device, observer=observer)
    show_classification(result, by_size=chosen.select.mode == "main" or chosen.select.size is not None)
    if result.failed:
        raise typer.Exit(PARTLY)


def show_classification(result: "ClassifyResult", *, by_size: bool = False) -> None:
    """Print what was found, and where the files are; how to select by size unless that was done."""
    figures = result.figures
    kept = "" if result.n_new == figures["frames"] else f", {result.n_new} of them scored now"
    rate = f" ({result.n_new / result.seconds:.0f} frames/s)" if result.n_new else ""
    typer.echo(f"{figures['frames']} frames{kept}, in {result.seconds:.2f} s{rate}")
    colour = "green" if figures["selected"] else "yellow"
    typer.secho(f"{figures['selected']} selected, a hit rate of {figures['hit_rate']:.2%}", fg=colour)
    if figures["precision"] is not None:
        low, high = figures["precision_interval"]
        typer.echo(
            f"about {figures['precision']:.0%} of the selected are single hits (95% interval {low:.0%} to {high:.0%})"
        )
    if modes := figures["sizes"]["modes"]:
        unit, main = figures["sizes"]["unit"], modes[0]
        share = f"{main['share']:.0%} of the selected, {len(modes)} mode" + "s" * (len(modes) > 1)
        hint = "" if by_size else "; leave droplets and dimers out with --set select.mode=main"
        typer.echo(f"main size {main['diameter']:.3g} {unit} ± {main['spread']:.1%} ({share}){hint}")
    if figures["droplets"]:
        typer.echo(f"{figures['droplets']} of the selected are round and of a size no others share: droplets, perhaps")
    kinds = {"blank": "blank", "reject_band": "in the reject band", "out_of_distribution": "out of distribution"}
    counts = " · ".join(f"{figures[name]} {words}" for name, words in kinds.items())
    typer.echo(f"{counts} · {figures['skipped']} without a score")
    reasons = {
        "masked": "no pixel of them was measured",
        "constant": "all their pixels are equal",
        "unreadable": "their bytes are missing or damaged",
    }
    for status, reason in reasons.items():
        if figures["status"][status]:
            typer.secho(f"  {figures['status'][status]} skipped: {reason}", fg="yellow")
    for name, path in result.files.items():
        typer.echo(f"  {name:<12} {path}")
    for lost, why in result.failed.items():
        typer.secho(f"  not in the results: {lost}: {why}", fg="red", err=True)
