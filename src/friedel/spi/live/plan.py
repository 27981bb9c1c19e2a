"""The plan of a watch: how frames are scored, kept and shed. Runs nothing."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from friedel.core.machine.cluster import ClusterOptions
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.spi.classify.plan import EmcOptions
from friedel.spi.hits.selection import SelectionOptions
from friedel.stream.alarms import AlarmOptions


class QueueOptions(Options):
    """Frames between their arrival and their score."""

    batch: Annotated[int, Field(ge=1, le=1024)] = 64
    """Most frames scored at once; fewer when a scorer has nothing else to do. A call of the scorer costs as
    much as some twenty frames, whatever it holds."""
    memory_mb: Annotated[int, Field(ge=1)] = 512
    """Shared memory for frames that wait, MiB. When it is full, the oldest waiting batch is dropped and counted."""
    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Scoring processes; None: one a core, up to four."""
    worker_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """A scorer that needs longer for a batch is ended, and another takes its place."""
    sample: Annotated[int, Field(ge=1, le=4096)] = 256
    """The first frames, on which the run's constants (centre, gain, noise) are measured, once for all."""
    settle_s: Annotated[float, Field(gt=0)] = 20.0
    """Measure on fewer frames if they take longer than this to come, s."""


class KeepOptions(Options):
    """What is written."""

    frames: Literal["selected", "none"] = "selected"
    """Which frames go into the file, beside the scores of all."""
    emc: EmcOptions = EmcOptions()
    """The selected frames for Dragonfly, written when the watch ends."""
    flush_s: Annotated[float, Field(gt=0)] = 0.5
    """Readers of the growing file see what is older than this, s."""
    keep_free_mb: Annotated[int, Field(ge=0)] = 256
    """Nothing more is written while the disk has less room than this, MiB; scoring goes on, losses are counted."""
    resume: bool = True
    """Go on where an earlier watch of the same source left the folder; its frames aren't scored again."""


class LiveMergeOptions(Options):
    """The intensity in three dimensions that grows with the hits."""

    detector: Path | None = None
    """Dragonfly detector file; None: flat, about the run's own centre."""
    distance: Annotated[float, Field(gt=0)] | None = None
    """Detector distance in pixels: bends a flat detector onto the Ewald sphere."""
    polarisation: Literal["x", "y", "none"] | None = None
    """The beam's electric field, where the detector's weights don't hold the polarisation."""
    symmetry: str = "C1"
    """Point group imposed: C1 (none), Cn, Dn, T, O or I."""
    first: Annotated[int, Field(ge=50)] = 300
    """Hits with which it begins."""
    final: bool = True
    """When the watch ends, merge all hits as `friedel merge` does, in the folder ``merge``."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of starts and views."""


class WatchPlan(Plan):
    """Everything that decides a watch of single hits; only the source must be named."""

    command: ClassVar[str] = "friedel watch"
    run_it: ClassVar[str] = "friedel watch --plan plan.yaml"

    source: str | None = None
    """URI of the source; None only while it is named elsewhere (on the command line)."""
    model: str = "default"
    """Name of shipped weights, or path of others; "module:function" for a scorer of your own."""
    device: str | None = None
    """"cpu" or "cuda"; None takes a GPU if there is one."""
    mask: Path | None = None
    """Mask ``(y, x)`` for all frames, 0 is good; beside the one the source may bring."""
    select: SelectionOptions = SelectionOptions()
    """Which frames to keep."""
    queue: QueueOptions = QueueOptions()
    """Between arrival and score."""
    keep: KeepOptions = KeepOptions()
    """What is written."""
    merge: LiveMergeOptions | None = None
    """Merge the hits into an intensity meanwhile; None: only select them."""
    cluster: ClusterOptions | None = None
    """Score on several machines, by Dask; None: on this one."""
    silent_s: Annotated[float, Field(gt=0)] = 5.0
    """The source is called silent when nothing has come for so long, s."""
    display_s: Annotated[float, Field(gt=0)] = 0.25
    """Time between two snapshots for the display, s."""
    log: Literal["text", "json"] = "text"
    """What the command writes to its log: lines for people, or a JSON object a line."""
    alarms: AlarmOptions = AlarmOptions()
    """Whom to tell when hits get rare, the source is silent, or the disk is nearly full."""
    log_s: Annotated[float, Field(gt=0)] = 10.0
    """Time between two lines of the ledger in the log, s."""
    output: Path | None = None
    """Folder for the results; None writes nothing. The command line's ``-o`` wins."""
