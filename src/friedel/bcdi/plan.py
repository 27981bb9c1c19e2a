"""The plan of a reconstruction: a YAML file in which every key is known and every value checked. Runs nothing."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.strain.options import StrainOptions
from friedel.core.errors import InputError, PlanError
from friedel.core.plan import Plan

PLAN_SUFFIXES = (".yaml", ".yml")


class ReconstructionPlan(Plan):
    """Everything that decides a reconstruction's result. Each section has defaults; only ``scan`` must be given."""

    command: ClassVar[str] = "friedel reconstruct"
    run_it: ClassVar[str] = "friedel reconstruct plan.yaml -o DIR"

    scan: ScanSource | None = None
    """Which files to read; None only while the input is named elsewhere (on the command line)."""
    prepare: PrepareOptions = PrepareOptions()
    """From raw frames to a clean 3D pattern."""
    phasing: PhasingOptions = PhasingOptions()
    """From the pattern to the object."""
    strain: StrainOptions = StrainOptions()
    """From the object to displacement and strain on a laboratory grid."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of every random choice: the same plan, seed and version give the same result."""
    output: Path | None = None
    """Folder for the results; the command line's ``-o`` wins."""

    def with_choices(self, *, seed: int | None = None, starts: int | None = None, output: Path | None = None) -> Self:
        """Return the plan with what the command line chose; None leaves the plan's own choice."""
        phasing = (
            self.phasing if starts is None else self.phasing.model_copy(update={"start": "random", "starts": starts})
        )
        chosen = {"seed": seed, "output": output and output.resolve()}
        update = {name: value for name, value in chosen.items() if value is not None}
        return self.model_copy(update={**update, "phasing": phasing})

    def with_input(self, path: Path, *, dataset: str | None = None) -> Self:
        """Return the plan with another file or folder to read, described as this plan describes its own."""
        described = self.scan or ScanSource(path=path)
        changed: dict[str, Any] = {"path": path.resolve()}
        if dataset is not None:
            changed["dataset"] = dataset
        return self.model_copy(update={"scan": described.model_copy(update=changed)})


def plan_for(given: Path, *, plan: Path | None = None, dataset: str | None = None) -> ReconstructionPlan:
    """Return the plan for what a user names: a plan, a volume, or a scan's folder or file with a plan to go by.

    Parameters
    ----------
    given : Path
        A plan (``.yaml``), or data.
    plan : Path, optional
        Plan whose settings, and whose description of the files, hold for the data ``given``.
    dataset : str, optional
        Array or dataset to read inside the file.

    Raises
    ------
    InputError
        If ``given`` doesn't exist, or is a folder without a plan that says how its files lie.
    """
    if not given.exists():
        raise InputError(f"{given}: no such file or folder; check the path")
    if given.suffix.lower() in PLAN_SUFFIXES:
        if plan is not None:
            raise PlanError(f"{given} is a plan itself; leave out --plan {plan}, or name data instead")
        own = ReconstructionPlan.load(given)
        return own.with_input(own.scan.path, dataset=dataset) if own.scan and dataset else own
    settings = ReconstructionPlan.load(plan) if plan else ReconstructionPlan()
    if given.is_dir() and (settings.scan is None or settings.scan.beamline is None):
        raise InputError(
            f"{given} is a folder; say how its files lie with --plan, whose scan section names the beamline "
            "(plans/aps34idc_scan54.yaml is an example)"
        )
    return settings.with_input(given, dataset=dataset)
