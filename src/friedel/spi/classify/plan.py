"""The plan of a classification: which frames, which model, what to keep and what to write. Runs nothing."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from friedel.core.machine.cluster import ClusterOptions
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.selection import SelectionOptions


class EmcOptions(Options):
    """The selected frames as photons, for Dragonfly."""

    write: bool = True
    """Write them."""
    adu_per_photon: Annotated[float, Field(gt=0)] | None = None
    """Detector units a photon makes; None: integers, and floats that are all whole, are photons already."""


class BeamOptions(Options):
    """What makes nanometres of sizes, where the file doesn't say it."""

    photon_energy_ev: Annotated[float, Field(gt=0)]
    """Photon energy."""
    distance_m: Annotated[float, Field(gt=0)]
    """From the particles to the detector."""
    pixel_size_m: Annotated[float, Field(gt=0)]
    """Pixel pitch of the frames."""


class ClassifyPlan(Plan):
    """Everything that decides a classification's result; only the frames must be named."""

    command: ClassVar[str] = "friedel classify"
    run_it: ClassVar[str] = "friedel classify --plan plan.yaml -o DIR"

    frames: FrameFiles | None = None
    """Which files to read; None only while they are named elsewhere (on the command line)."""
    model: str = "default"
    """Name of shipped weights, or path of others."""
    beam: BeamOptions | None = None
    """Photon energy, distance and pixel size; None: what the first file says (CXI, NeXus), else sizes are in pixels."""
    select: SelectionOptions = SelectionOptions()
    """Which frames to keep."""
    selection: Literal["link", "copy", "none"] = "link"
    """The selected frames as CXI: a view of the source files, a copy that stands alone, or none."""
    emc: EmcOptions = EmcOptions()
    """The selected frames for Dragonfly."""
    gallery: Annotated[int, Field(ge=0, le=500)] = 27
    """Frames in each of the report's galleries."""
    fresh: bool = False
    """Score every frame again, even where an interrupted or earlier run of the same frames can be continued."""
    cluster: ClusterOptions | None = None
    """Many files at once, by Dask; None: one after another in this process."""
    output: Path | None = None
    """Folder for the results; the command line's ``-o`` wins."""
