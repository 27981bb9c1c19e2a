"""`friedel watch`, `replay`, `record` and `check-stream`: frames while they arrive."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from friedel.cli.serve import PORT, Port, Serve, showing

if TYPE_CHECKING:
    from friedel.bcdi.live.plan import CrystalWatchPlan
    from friedel.spi.live.plan import WatchPlan
    from friedel.spi.live.watch import WatchResult
    from friedel.stream.snapshot import Snapshot

_SOURCES = (
    "Sources:\n\n"
    "  file://run.cxi?rate=100          a finished file or folder, as if it came in now\n\n"
    "  replay://stream.frs?rate=own          a stream recorded with friedel record\n\n"
    "  tiff+dir:///data/scan7?spec=/data/log.spec&scan=7          TIFF files still being written\n\n"
    "  hdf5+swmr:///data/run.h5?dataset=entry/data/data          HDF5 still growing\n\n"
    "  karabo://host:45000?detector=SPB_DET/CAM/1:output&key=data.image&axes=nyx          European XFEL trains\n\n"
    "  pva://13SIM1:Pva1:Image          EPICS NTNDArray (areaDetector)\n\n"
    "  simplon://detector:9999          Dectris SIMPLON stream, v1 or v2\n\n"
)
EPILOG = (
    "Examples:\n\n"
    "  friedel watch pva://13SIM1:Pva1:Image -o live          until Ctrl-C, which closes all files\n\n"
    "  friedel watch file://run.cxi -o live --set queue.workers=8 --set select.single=0.95\n\n"
    "  friedel watch pva://13SIM1:Pva1:Image -o live --serve          and a page at http://127.0.0.1:8765\n\n"
    "  friedel watch pva://13SIM1:Pva1:Image -o live --serve --merge --set merge.detector=det.h5          and a 3D "
    "intensity that grows with the hits\n\n"
    "  friedel watch 'tiff+dir://data/S0054?spec=log.spec&scan=54' --crystals --plan scan.yaml -o live --serve\n\n"
    + _SOURCES
    + "In the folder: hits_001.cxi (scores of all frames, the selected frames; readable while it grows) · hits.emc "
    "(for Dragonfly, at the end) · merge/ (with --merge, at the end) · watch.log (the ledger) · summary.json · "
    "plan.yaml. "
    "The same command goes on where it was."
)
REPLAY_EPILOG = "Example:\n\n  friedel replay stream.frs -o again --rate max          as fast as frames are scored"
RECORD_EPILOG = "Example:\n\n  friedel record karabo://host:45000?axes=nyx stream.frs --seconds 60\n\n" + _SOURCES
CHECK_EPILOG = "Exit codes: 0 OK, 3 TIMEOUT, 2 ERROR.\n\n" + _SOURCES
_TIMEOUT, _ERROR = 3, 2  # exit codes that `CHECK_EPILOG` states
_LINE_S = 2.0  # s between two printed lines

Output = Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the results; none: only look.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the plan, see the examples.")
]


def watch(
    uri: Annotated[str | None, typer.Argument(metavar="URI", help="The source, see below.")] = None,
    output: Output = None,
    plan: Annotated[Path | None, typer.Option(help="Plan (.yaml); what is given beside it wins.")] = None,
    model: Annotated[str | None, typer.Option(help="Name or path of weights; by default the shipped ones.")] = None,
    settings: Settings = None,
    serve: Serve = False,
    port: Port = PORT,
    crystals: Annotated[bool, typer.Option("--crystals", help="The frames are rocking scans; image them.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Merge the hits into a 3D intensity that grows.")] = False,
) -> None:
    """Tell single hits from all other frames while they arrive, or image crystals; every frame is accounted for."""
    if crystals:
        watch_scans(_crystal_plan(uri, output, plan, settings), serve=serve, port=port)
    else:
        watch_frames(_plan(uri, output, plan, model, settings, merge=merge), serve=serve, port=port)


def replay(
    file: Annotated[Path, typer.Argument(help="A stream recorded with friedel record.")],
    output: Output = None,
    rate: Annotated[str, typer.Option(help="Frames a second, or own (as recorded), or max.")] = "own",
    settings: Settings = None,
) -> None:
    """Watch a recorded stream again: the same frames, the same faults, the same scores."""
    watch_frames(_plan(f"replay://{file.absolute()}?rate={rate}", output, None, None, settings))


def record(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The source, see below.")],
    file: Annotated[Path, typer.Argument(help="The new file (.frs).")],
    seconds: Annotated[float | None, typer.Option(help="How long; by default to the end, or Ctrl-C.")] = None,
) -> None:
    """Keep a stream as it comes, event for event, to replay it."""
    from friedel.cli.progress import reporting
    from friedel.core.machine.processes import on_signal
    from friedel.stream.recording import record_stream
    from friedel.stream.sources.source import find_source

    stops: list[bool] = []
    with reporting() as observer, on_signal(lambda: stops.append(True)):
        done = record_stream(find_source(uri), file, seconds=seconds, stopped=lambda: bool(stops), observer=observer)
    typer.echo(f"{done.frames} frames in {done.seconds:.1f} s, {done.malformed} malformed messages  {file}")


def check_stream(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The source, see below.")],
    timeout: Annotated[float, typer.Option(help="How long to wait for a frame, s.")] = 10.0,
) -> None:
    """Say whether a stream is there: OK, TIMEOUT or ERROR, with the reason."""
    from friedel.stream.check import Condition
    from friedel.stream.check import check_stream as check

    found = check(uri, timeout_s=timeout)
    colour = {Condition.OK: "green", Condition.TIMEOUT: "yellow", Condition.ERROR: "red"}[found.condition]
    typer.secho(f"{found.condition}: {found.reason}", fg=colour)
    if found.condition is not Condition.OK:
        raise typer.Exit(_TIMEOUT if found.condition is Condition.TIMEOUT else _ERROR)


def _plan(
    uri: str | None,
    output: Path | None,
    plan: Path | None,
    model: str | None,
    settings: list[str] | None,
    *,
    merge: bool = False,
) -> "WatchPlan":
    from friedel.spi.live.plan import LiveMergeOptions, WatchPlan

    given: dict[str, Any] = {"source": uri, "output": output and output.absolute(), "model": model}
    start = WatchPlan.load(plan) if plan else WatchPlan()
    if merge and start.merge is None:
        start = start.model_copy(update={"merge": LiveMergeOptions()})
    return start.with_settings(settings or (), given=given)


def _crystal_plan(
    uri: str | None, output: Path | None, plan: Path | None, settings: list[str] | None
) -> "CrystalWatchPlan":
    from friedel.bcdi.live.plan import CrystalWatchPlan

    given: dict[str, Any] = {"source": uri, "output": output and output.absolute()}
    return (CrystalWatchPlan.load(plan) if plan else CrystalWatchPlan()).with_settings(settings or (), given=given)


def watch_frames(
    plan: "WatchPlan",
    *,
    serve: bool = False,
    port: str = PORT,
    browse: bool = False,
    stay_s: float = math.inf,
) -> None:
    """Watch single hits by a plan, and print what became of them."""
    from friedel.cli.progress import reporting, steady
    from friedel.spi.live.watch import watch_hits

    as_json = plan.log == "json"
    with (
        reporting(json_lines=as_json) as observer,
        showing(serve, port, plan.output, browse=browse, stay_s=stay_s) as display,
    ):
        result = watch_hits(plan, display=display, observer=steady(observer), on_snapshot=_Lines(as_json))
        show_watch(result)


def watch_scans(
    plan: "CrystalWatchPlan",
    *,
    serve: bool = False,
    port: str = PORT,
    browse: bool = False,
    stay_s: float = math.inf,
    on_open: Callable[[], None] | None = None,
) -> None:
    """Watch rocking scans by a plan, and print where their results are; ``on_open`` is called once it can begin."""
    from friedel.bcdi.live.watch import watch_crystals
    from friedel.cli.progress import reporting, steady

    shown = showing(serve, port, plan.output, browse=browse, stay_s=stay_s)
    with reporting(json_lines=plan.log == "json") as observer, shown as display:
        result = watch_crystals(plan, display=display, observer=steady(observer), on_open=on_open)
        typer.echo(result.counts.sentence())
        for folder in result.folders:
            typer.echo(f"  report       {folder / 'report.html'}")


class _Lines:
    """Prints how things stand, every two seconds."""

    def __init__(self, as_json: bool) -> None:
        self._next, self._as_json = 0.0, as_json

    def __call__(self, snapshot: "Snapshot") -> None:
        """Print a snapshot if it is time; a closed terminal or pipe doesn't end the watch."""
        with suppress(OSError):
            self._print(snapshot)

    def _print(self, snapshot: "Snapshot") -> None:
        if time.monotonic() < self._next or snapshot.view is None:
            return
        self._next = time.monotonic() + _LINE_S
        counts, rate = snapshot.ledger, snapshot.view.selected / max(snapshot.ledger.processed, 1)
        if self._as_json:
            from friedel.cli.progress import JsonLines

            figures = counts.as_dict() | {"frames_per_s": snapshot.frames_per_s, "hit_rate": rate}
            JsonLines().write("info", "watch", source=snapshot.source.state, figures=figures)
            return
        typer.echo(
            f"{snapshot.source.state}: {snapshot.frames_per_s:.0f} frames/s · {rate:.2%} hits · "
            f"latency p99 {counts.latency_p99_s * 1e3:.0f} ms · {counts.sentence()}",
            err=True,
        )


def show_watch(result: "WatchResult") -> None:
    """Print what became of every frame, and where the files are."""
    counts, hits = result.counts, result.snapshot.view
    typer.echo(counts.sentence())
    for kind, reasons in (("dropped", counts.dropped_why), ("malformed", counts.malformed_why)):
        for reason, count in reasons.items():
            typer.secho(f"  {count} {kind}: {reason}", fg="yellow")
    if counts.unsaved:
        typer.secho(f"  {counts.unsaved} scored but not written", fg="red")
    if hits is not None:
        unlike = f"{hits.out_of_distribution_count} out of distribution"
        typer.echo(f"{hits.selected} selected · {hits.reject_count} in the reject band · {unlike}")
    for name, path in result.files.items():
        typer.echo(f"  {name:<12} {path}")
