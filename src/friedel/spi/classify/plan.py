"""The plan of a classification: which frames, which model, what to keep and what to write. Runs nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field

from friedel.core.cluster import ClusterOptions
from friedel.core.errors import PlanError
from friedel.core.options import Options
from friedel.core.plan import read_yaml
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.selection import SelectionOptions

Plan = TypeVar("Plan", bound=Options)


class EmcOptions(Options):
    """The selected frames as photons, for Dragonfly."""

    write: bool = True
    """Write them."""
    adu_per_photon: Annotated[float, Field(gt=0)] | None = None
    """Detector units a photon makes; None: integers, and floats that are all whole, are photons already."""


class ClassifyPlan(Options):
    """Everything that decides a classification's result; only the frames must be named."""

    frames: FrameFiles | None = None
    """Which files to read; None only while they are named elsewhere (on the command line)."""
    model: str = "default"
    """Name of shipped weights, or path of others."""
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


def load_classify_plan(path: str | Path) -> ClassifyPlan:
    """Read a plan; relative paths in it are taken from the plan's own folder.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    PlanError
        If it isn't YAML, or a key or a value is wrong (with the nearest valid name).
    """
    path = Path(path)
    plan = ClassifyPlan.read(read_yaml(path), origin=str(path))
    folder = path.resolve().parent
    located: dict[str, Any] = {
        "frames": plan.frames and plan.frames.relative_to(folder),
        "output": plan.output and folder / plan.output,
    }
    return plan.model_copy(update=located)


def with_settings(plan: ClassifyPlan, settings: Sequence[str], *, given: Mapping[str, Any]) -> ClassifyPlan:
    """Return the plan with what the command line says.

    Parameters
    ----------
    plan : ClassifyPlan
        Read from a file, or the defaults.
    settings : sequence of str
        "key=value", the key as in the plan with dots between levels: ``select.single=0.9``.
    given : mapping
        Keys (with dots) and values of the command's own options; None leaves the plan's value.

    Raises
    ------
    PlanError
        If a setting isn't "key=value", or a key or a value is wrong.
    """
    return merged(plan, settings, given=given)


def merged(plan: Plan, settings: Sequence[str], *, given: Mapping[str, Any]) -> Plan:
    """Return any plan with what the command line says; see `with_settings`.

    Raises
    ------
    PlanError
        If a setting isn't "key=value", or a key or a value is wrong.
    """
    values: dict[str, Any] = plan.model_dump()
    for key, value in given.items():
        if value is not None:
            _put(values, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise PlanError(f"--set {setting!r}: write key=value, for instance --set select.single=0.9")
        try:
            _put(values, key.strip(), yaml.safe_load(text))
        except yaml.YAMLError:
            raise PlanError(f"--set {setting!r}: the value can't be read; put it in quotes") from None
    return type(plan).read(values, origin="command line")


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *levels, last = key.split(".")
    for level in levels:
        inner = values.get(level)
        if not isinstance(inner, dict):
            inner = values[level] = {}
        values = inner
    values[last] = value


def classify_plan_text(plan: ClassifyPlan) -> str:
    """Return the complete plan, defaults included, as YAML that `load_classify_plan` reads back."""
    heading = "# A complete plan, defaults included. Run it: friedel classify --plan plan.yaml -o DIR\n"
    return heading + yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
