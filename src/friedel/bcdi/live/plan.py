"""What a user may decide about the live image of a crystal: one plan, which a plan of a reconstruction is too."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from friedel.bcdi.plan import ReconstructionPlan
from friedel.core.options import Options
from friedel.stream.alarms import AlarmOptions


class LiveCrystalOptions(Options):
    """How the provisional images of a scan that is being collected are made. None of it touches the final one."""

    seconds: float = Field(default=1.0, gt=0.0)
    """Time box of one provisional image: iterations stop there."""
    least_frames: int = Field(default=12, ge=4)
    """Frames before a first image is tried."""
    least_share: float = Field(default=0.4, ge=0.0, le=1.0)
    """Share of the planned frames, where their number is known, before a first image is tried: before it, a bright
    fringe passes for the peak."""
    past_peak: int = Field(default=3, ge=1)
    """Frames that must have come on both sides of the brightest one: before, the peak may still be to come."""
    object_voxels: int = Field(default=2500, ge=200)
    """Voxels that the object shall have: images use a central part of the pattern as small as that allows."""
    members: int = Field(default=2, ge=1, le=16)
    """Independent objects kept going side by side: where they differ, the image is uncertain."""
    model: str | None = "default"
    """Weights of the network that makes the first prediction: "default", a name or a path; None: random starts."""
    same: float = Field(default=0.99, gt=0.0, le=1.0)
    """Correlation between successive images from which an image counts as unchanged."""
    same_updates: int = Field(default=3, ge=1)
    """Unchanged images in a row, each with new frames, after which more frames are said to change nothing."""


class CrystalWatchPlan(ReconstructionPlan):
    """Everything that decides a watch of rocking scans: a plan of a reconstruction, whose files are not there yet.

    The ``scan`` section describes the beamline, dark and flat; its ``path`` is not read. Only the source must be named.
    """

    command: ClassVar[str] = "friedel watch --crystals"
    run_it: ClassVar[str] = "friedel watch --crystals --plan plan.yaml"

    source: str | None = None
    """URI of the source; None only while it is named elsewhere (on the command line)."""
    images: LiveCrystalOptions = LiveCrystalOptions()
    """The provisional images."""
    silent_s: Annotated[float, Field(gt=0)] = 5.0
    """The source is called silent when nothing has come for so long, s."""
    display_s: Annotated[float, Field(gt=0)] = 0.25
    """Time between two snapshots for the display, s."""
    log: Literal["text", "json"] = "text"
    """What the command writes to its log: lines for people, or a JSON object a line."""
    alarms: AlarmOptions = AlarmOptions()
    """Whom to tell when hits get rare, the source is silent, or the disk is nearly full."""
