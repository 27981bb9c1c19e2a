"""`friedel demo`: every job on simulated data, from raw frames to the reports; `friedel demo live`: while they come."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from friedel.cli.serve import Port

EPILOG = (
    "Examples:\n\n"
    "  friedel demo -o demo --seed 1          another crystal, another run, other noise\n\n"
    "  friedel demo --quick          smaller, to see that an installation works\n\n"
    "  friedel demo --only hits          the single hits alone, in half a minute\n\n"
    "  friedel demo --only particle          hits of one particle, merged into its density\n\n"
    "  friedel demo live          a simulated beamline, and the page that shows it"
)
HITS_FOLDER = "hits"
PARTICLE_FOLDER = "particle"
LIVE_FOLDER = Path("demo_live")
FRAMES, QUICK_FRAMES = 400, 64
SHAPE, QUICK_SHAPE = (64, 96, 96), (48, 64, 64)
STAY_S = 60.0  # s for which the page stays after the last frame, to be looked at; then the demo ends by itself


class Part(StrEnum):
    """One of the jobs."""

    CRYSTAL = "crystal"
    HITS = "hits"
    PARTICLE = "particle"


app = typer.Typer(invoke_without_command=True, epilog=EPILOG)


@app.callback()
def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the data and the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is simulated and of the reconstruction.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
    only: Annotated[Part | None, typer.Option(help="Do one part of the demo.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short run, a small scan: see that it works.")] = False,
) -> None:
    """Simulate a run of frames and tell the hits; hits, and merge them; a rocking scan, and reconstruct it."""
    if context.invoked_subcommand is not None:
        return
    if only in (None, Part.HITS):
        _hits(output / HITS_FOLDER, seed, device, quick=quick)
    if only in (None, Part.PARTICLE):
        _particle(output / PARTICLE_FOLDER, seed, quick=quick)
    if only in (None, Part.CRYSTAL):
        _crystal(output, seed, device, quick=quick)


@app.command(epilog="Example:\n\n  friedel demo live --crystal          a rocking scan at ten frames a second")
def live(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the data and the results.")] = LIVE_FOLDER,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is simulated.")] = 0,
    crystal: Annotated[bool, typer.Option("--crystal", help="A rocking scan, rather than single hits.")] = False,
    port: Port = "0",
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
) -> None:
    """Start a simulated beamline, watch it, and open the page; ends by itself."""
    from friedel.bcdi.live.demo import rocking_beamline
    from friedel.cli.progress import reporting
    from friedel.cli.watch import watch_frames, watch_scans
    from friedel.spi.live.demo import hits_plan

    with reporting() as observer:
        if crystal:
            beamline = rocking_beamline(output, seed=seed, observer=observer)
        else:
            plan = hits_plan(output, seed=seed, observer=observer)
    if not crystal:
        watch_frames(plan, serve=True, port=port, browse=browser, stay_s=STAY_S)
        return
    with beamline.running() as go:
        watch_scans(beamline.plan, serve=True, port=port, browse=browser, stay_s=STAY_S, on_open=go.set)


def _hits(output: Path, seed: int, device: str | None, *, quick: bool) -> None:
    from friedel.cli.classify import show_classification
    from friedel.cli.progress import reporting
    from friedel.spi.demo import run_hits_demo

    with reporting() as observer:
        shown = run_hits_demo(
            output, seed=seed, frames=QUICK_FRAMES if quick else FRAMES, device=device, observer=observer
        )
    show_classification(shown.result)
    found = f"{shown.recall:.1%} of the single ones were found"
    typer.echo(f"against the truth: {shown.precision:.1%} of the selected are single, {found}")


def _particle(output: Path, seed: int, *, quick: bool) -> None:
    from friedel.cli.merge import show_merge
    from friedel.cli.progress import reporting
    from friedel.spi.demo import run_merge_demo

    with reporting() as observer:
        shown = run_merge_demo(output, seed=seed, quick=quick, observer=observer)
    show_merge(shown)


def _crystal(output: Path, seed: int, device: str | None, *, quick: bool) -> None:
    from friedel.bcdi.demo import run_demo
    from friedel.cli.progress import reporting
    from friedel.cli.reconstruct import show_result

    with reporting() as observer:
        shape = QUICK_SHAPE if quick else SHAPE
        result = run_demo(output, seed=seed, shape=shape, device=device, observer=observer)
    show_result(result)
