"""`friedel merge`: from hits to orientations, a merged intensity and a density."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from friedel.spi.merge.merged import MergeRun

EPILOG = (
    "Examples:\n\n"
    "  friedel merge hits/selection.emc --detector det.h5 -o particle          then open report.html\n\n"
    "  friedel merge run.emc --detector det.h5 -o virus --symmetry I          an icosahedral particle\n\n"
    "  friedel merge hits/selection.emc -o particle --set polarisation=x          with the detector beside it\n\n"
    "  friedel merge --plan config.ini -o particle          what was prepared for Dragonfly\n\n"
    "  friedel merge run.emc --detector det.h5 -o particle --set density.write=false          intensity only\n\n"
    "  friedel merge near.emc far.emc --detector near.h5 --detector far.h5 -o particle          two detectors\n\n"
    "  friedel merge run.emc --detector det.h5 -o both --models 2          two particles, each in a folder\n\n"
    "  friedel merge run.emc --detector det.h5 -o particle --non-rotating 1          blanks among hits\n\n"
    "  torchrun --nproc-per-node 4 --no-python friedel merge run.emc --detector det.h5 -o particle          shared by "
    "four processes\n\n"
    "In the folder: report.html (look here first) · merged.h5 (intensity, orientations, fluences, half sets) · "
    "frames.csv (one line a frame) · density.mrc and density.vti · summary.json · plan.yaml."
)


def merge(
    frames: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Frames of photons: .emc, or Dragonfly's HDF5.")
    ] = None,
    detector: Annotated[
        list[Path] | None, typer.Option(help="Dragonfly detector file (.h5, .dat): one, or one a file of frames.")
    ] = None,
    masks: Annotated[
        list[Path] | None,
        typer.Option(help="Masks that differ from frame to frame, one file a file of frames: .npy, .emc."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Plan (.yaml), or Dragonfly's config.ini; what is given beside it wins.")
    ] = None,
    blanks: Annotated[
        list[Path] | None, typer.Option(help="Frames without a particle: they measure the background.")
    ] = None,
    models: Annotated[
        int | None, typer.Option(help="Particles or conformations that the frames show; they are told apart first.")
    ] = None,
    non_rotating: Annotated[
        int | None,
        typer.Option(help="Patterns beside them that don't turn, such as blanks or stray light."),
    ] = None,
    symmetry: Annotated[str | None, typer.Option(help="Point group: C1 (none), Cn, Dn, T, O, I.")] = None,
    test_symmetry: Annotated[
        bool, typer.Option("--test-symmetry", help="Ask which point groups the intensity has.")
    ] = False,
    diameter: Annotated[float | None, typer.Option(help="The particle's diameter, inverse units of q.")] = None,
    bootstrap: Annotated[
        int | None, typer.Option(help="Draws of the frames that tell errors of intensity and density.")
    ] = None,
    sentinels: Annotated[int | None, typer.Option(help="Frames of known orientation to orient beside.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="Known structure to compare the density with: .mrc, .pdb, .cif, or a truth (.h5)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of half sets, starts and views.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the plan.")
    ] = None,
) -> None:
    """Find the orientations of hits and merge them: leave an intensity, its quality and a report in a folder."""
    from friedel.cli.progress import reporting
    from friedel.core.observer import Note
    from friedel.spi.merge.inputs import settings_of
    from friedel.spi.merge.merge import run_merge
    from friedel.spi.merge.plan import MergePlan

    given = {
        "frames": [path.absolute() for path in frames] if frames else None,
        "detector": detector[0].absolute() if detector and len(detector) == 1 else None,
        "detectors": [path.absolute() for path in detector] if detector and len(detector) > 1 else None,
        "masks": [path.absolute() for path in masks] if masks else None,
        "blanks": [path.absolute() for path in blanks] if blanks else None,
        "models": models,
        "non_rotating": non_rotating,
        "symmetry": symmetry,
        "diameter": diameter,
        "bootstrap": bootstrap,
        "sentinels": sentinels,
        "test_symmetry": test_symmetry or None,
        "compare": compare and compare.absolute(),
        "seed": seed,
        "output": output and output.absolute(),
    }
    unneeded: tuple[str, ...] = ()
    if plan is not None and plan.suffix == ".ini":
        found, unneeded = settings_of(plan)
        base = MergePlan.read(found)
    else:
        base = MergePlan.load(plan) if plan else MergePlan()
    chosen = base.with_settings(settings or [], given=given)
    with reporting(quiet=os.environ.get("RANK", "0") != "0") as observer:
        if unneeded:
            observer(Note("plan", f"{plan}: {', '.join(unneeded)} decide nothing here; sampling and β are automatic"))
        result = run_merge(chosen, observer=observer)
    if result.files:
        show_merge(result)


def show_merge(result: "MergeRun") -> None:
    """Print what was found, whether to trust it, and where the files are."""
    from friedel.spi.orient.symmetry import GROUPS, largest

    merged, quality = result.merged, result.merged.quality
    typer.echo(f"{int(merged.used.sum())} of {len(merged.used)} frames are in the intensity")
    colour = "green" if quality.verdict == "trust" else "yellow"
    typer.secho(
        f"{quality.verdict}: two halves agree at {quality.mean_halves:.3f}, "
        f"{quality.mean_corrected:.3f} expected with the truth, resolved to q = {quality.q_resolved:.4g}",
        fg=colour,
    )
    if result.density is not None:
        typer.echo(f"density: misfit {result.density.misfit:.3f}, phases to q = {result.density.q_resolved:.4g}")
    if result.symmetries:
        there = largest(result.symmetries)
        typer.echo(f"symmetry: {there.sentence if there else 'none of ' + ', '.join(GROUPS) + ' is there'}")
    if result.comparison is not None:
        typer.echo(f"the known structure: {result.comparison.sentence}")
    for number, other in enumerate(result.others, start=2):
        found = other.merged.quality
        typer.echo(
            f"particle {number}: {int(other.merged.used.sum())} frames, {found.verdict}, "
            f"{found.mean_corrected:.3f} expected with the truth"
        )
    for name, path in result.files.items():
        typer.echo(f"  {name:<12} {path}")
