"""The plan of a series of runs: which, how each is classified, and what was changed between them. Runs nothing."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from friedel.core.errors import PlanError
from friedel.core.machine.cluster import ClusterOptions
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.core.series.members import conditions_of
from friedel.spi.classify.plan import BeamOptions, ClassifyPlan, EmcOptions
from friedel.spi.frames.files import FrameFiles, list_files
from friedel.spi.hits.selection import SelectionOptions


class RunSeriesPlan(Plan):
    """Everything that decides the results of a series of runs."""

    command: ClassVar[str] = "friedel series"
    run_it: ClassVar[str] = "friedel series plan.yaml -o DIR"

    runs: tuple[Path, ...] = ()
    """Files, European XFEL runs, or folders of either, in the order they were taken; each file is one run."""
    conditions: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    """What was changed between the runs, one value a run: ``gas_pressure: [0.2, 0.3, …]``."""
    conditions_file: Path | None = None
    """CSV with a column "run" (the file's name) and a column for each condition."""
    against: str | None = None
    """Condition that tables and plots run along; None: the first there is, else the run's place in the series."""
    frames: FrameFiles = FrameFiles(paths=())
    """How every run is read: dataset, mask, geometry, centre; its paths are those of ``runs``."""
    model: str = "default"
    """Name of shipped weights, or path of others."""
    beam: BeamOptions | None = None
    """Photon energy, distance and pixel size; None: what each file says, else sizes are in pixels."""
    select: SelectionOptions = SelectionOptions()
    """Which frames to keep."""
    emc: EmcOptions = EmcOptions(write=False)
    """The selected frames of each run for Dragonfly."""
    cluster: ClusterOptions | None = None
    """Several runs at once, by Dask or SLURM; None: one after another in this process. The results are the same."""
    output: Path | None = None
    """Folder for the results; the command line's ``-o`` wins."""

    @field_validator("frames", mode="before")
    @classmethod
    def _paths_are_the_runs(cls, value: Any) -> Any:
        return {"paths": (), **value} if isinstance(value, dict) else value


class RunMember(Options):
    """One run of a series, ready to be classified."""

    name: str
    """Of its folder within the results."""
    plan: ClassifyPlan
    """Its own plan."""
    conditions: dict[str, float] = Field(default_factory=dict)
    """What was set while it was taken."""


def members_of(plan: RunSeriesPlan) -> tuple[RunMember, ...]:
    """Return the runs of a series, in order.

    Raises
    ------
    PlanError
        If no run is named, or conditions don't fit the runs.
    InputError
        If a run or the file of conditions isn't there.
    """
    if not plan.runs:
        raise PlanError("a series of runs needs 'runs': files, or folders of them, in the order they were taken")
    paths = list_files(plan.runs)
    several = Counter(path.stem for path in paths)
    names = [path.stem if several[path.stem] == 1 else f"{k:03d}_{path.stem}" for k, path in enumerate(paths, start=1)]
    exposed = conditions_of(plan.conditions, plan.conditions_file, [path.name for path in paths], against=plan.against)
    shared = {name: getattr(plan, name) for name in ("model", "beam", "select", "emc")}
    return tuple(
        RunMember(
            name=name,
            plan=ClassifyPlan(frames=plan.frames.model_copy(update={"paths": (path.resolve(),)}), **shared),
            conditions=conditions,
        )
        for name, path, conditions in zip(names, paths, exposed, strict=True)
    )
