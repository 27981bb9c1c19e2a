"""The plan of a series: which scans, how each is treated, and what the sample was exposed to. Runs nothing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.strain.options import StrainOptions
from friedel.core.errors import PlanError
from friedel.core.machine.cluster import ClusterOptions
from friedel.core.plan import Plan
from friedel.core.series.members import conditions_of

_RANGE = re.compile(r"^\s*(\d+)\s*(?:-\s*(\d+)\s*(?::\s*(\d+)\s*)?)?$")


class SeriesPlan(Plan):
    """Everything that decides the results of a series."""

    command: ClassVar[str] = "friedel series"
    run_it: ClassVar[str] = "friedel series plan.yaml -o DIR"

    scan: ScanSource | None = None
    """Where the scans are, as in a single scan's plan; its number, or its path, is replaced by each of the series.
    None only while it is named elsewhere (on the command line)."""
    scans: str = ""
    """Numbers: "40-75", "40-75:5" (every fifth), "40, 42, 50-55"."""
    files: tuple[Path, ...] = ()
    """In place of numbers: one file or folder a scan, in the order of the series."""
    conditions: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    """What the sample was exposed to, one value a scan: ``temperature: [300, 325, …]``."""
    conditions_file: Path | None = None
    """CSV with a column "scan" (number, or the file's name) and a column for each condition."""
    against: str | None = None
    """Condition that tables and plots run along, or what the scans' files call a motor, a temperature, a counter; None:
    the first condition there is, else the scan's place in the series."""
    prepare: PrepareOptions = PrepareOptions()
    """From raw frames to a clean 3D pattern."""
    phasing: PhasingOptions = PhasingOptions()
    """From the pattern to the object."""
    strain: StrainOptions = StrainOptions()
    """From the object to displacement and strain."""
    begin: Literal["neighbour", "anew"] = "neighbour"
    """Where phasing begins: at the last trusted scan's object, which is kept if a start that knows nothing of it comes
    to the same, else anew; or always anew. Several scans at once (``cluster``) all begin anew."""
    peak: tuple[int, int, int] | None = None
    """Miller indices of the Bragg peak (cubic lattices), by which facets are named; None: they are numbered by area."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of every scan's random choices."""
    cluster: ClusterOptions | None = None
    """Several scans at once, by Dask or SLURM; None: one after another in this process. The results are those of
    ``begin: anew``."""
    output: Path | None = None
    """Folder for the results; the command line's ``-o`` wins."""

    @model_validator(mode="before")
    @classmethod
    def _files_are_the_paths(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("files") or not isinstance(values.get("scan"), dict):
            return values
        return values | {"scan": {"path": values["files"][0], **values["scan"]}}

    @classmethod
    def like(cls, single: ReconstructionPlan, scans: str) -> Self:
        """Return the plan of a series whose scans are each treated as a single scan's plan says.

        Raises
        ------
        PlanError
            If that plan names no files.
        """
        if single.scan is None:
            raise PlanError("the plan has no 'scan' section, so there is nothing to read")
        names = ("scan", "prepare", "phasing", "strain", "seed", "output")
        return cls(scans=scans, **{name: getattr(single, name) for name in names})


class Member(Plan):
    """One scan of a series, ready to be run.

    Attributes
    ----------
    name : str
        Of the scan's folder within the results.
    plan : ReconstructionPlan
        Its own plan.
    peak : (int, int, int) or None
        Miller indices of the Bragg peak.
    conditions : dict of str to float
        What the sample was exposed to.
    """

    name: str
    plan: ReconstructionPlan
    peak: tuple[int, int, int] | None = None
    conditions: dict[str, float] = Field(default_factory=dict)


def members_of(plan: SeriesPlan) -> tuple[Member, ...]:
    """Return the scans of a series, in order.

    Raises
    ------
    PlanError
        If no scan is named, numbers can't be read, or conditions don't fit the scans.
    InputError
        If the file of conditions can't be read.
    """
    if plan.scan is None:
        raise PlanError("the plan has no 'scan' section, so there is nothing to read")
    numbers = scan_numbers(plan.scans)
    if bool(numbers) == bool(plan.files):
        raise PlanError("a series needs either 'scans' (numbers) or 'files' (one a scan); give one of the two")
    sources = (
        [plan.scan.model_copy(update={"scan": number}) for number in numbers]
        if numbers
        else [plan.scan.model_copy(update={"path": path}) for path in plan.files]
    )
    names = [f"scan_{number:04d}" for number in numbers] if numbers else _names(plan.files)
    keys = [str(number) for number in numbers] or [path.name for path in plan.files]
    # Files of a beamline record readings by name, so that a condition that isn't stated may be one of them.
    recorded = plan.scan.beamline is not None
    exposed = conditions_of(plan.conditions, plan.conditions_file, keys, against=None if recorded else plan.against)
    if recorded and plan.against is not None and not all(plan.against in one for one in exposed):
        kept = tuple(dict.fromkeys((*plan.scan.record, plan.against)))
        sources = [source.model_copy(update={"record": kept}) for source in sources]
    shared = {name: getattr(plan, name) for name in ("prepare", "phasing", "strain", "seed")}
    return tuple(
        Member(name=name, plan=ReconstructionPlan(scan=source, **shared), peak=plan.peak, conditions=conditions)
        for name, source, conditions in zip(names, sources, exposed, strict=True)
    )


def scan_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that "40-75:5, 80" stands for, in its order.

    Raises
    ------
    PlanError
        If it can't be read, runs backwards, or names a scan twice.
    """
    found: list[int] = []
    for part in filter(str.strip, text.split(",")):
        match = _RANGE.match(part)
        if match is None:
            raise PlanError(f"scans {part.strip()!r}: write a number, 40-75, or 40-75:5")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step < 1:
            raise PlanError(f"scans {part.strip()!r} runs backwards; write the lower number first")
        found += range(first, last + 1, step)
    if len(set(found)) < len(found):
        raise PlanError(f"scans {text!r} names a scan twice")
    return tuple(found)


def _names(files: tuple[Path, ...]) -> list[str]:
    return [f"{place:03d}_{path.stem}" for place, path in enumerate(files, start=1)]
