"""Which job a plan is for, told by its keys: so that one command checks every kind of plan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from friedel.bcdi.evaluation.plan import (
    PhasingEvaluationPlan,
    load_phasing_evaluation_plan,
    phasing_evaluation_plan_text,
)
from friedel.bcdi.plan import ReconstructionPlan, load_plan, plan_text
from friedel.bcdi.simulation.plan import CrystalPlan, crystal_plan_text, load_crystal_plan
from friedel.bcdi.training.plan import PhasingTrainingPlan, load_phasing_training_plan, phasing_training_plan_text
from friedel.core.errors import PlanError
from friedel.core.options import Options
from friedel.core.plan import read_yaml
from friedel.spi.classify.plan import ClassifyPlan, classify_plan_text, load_classify_plan
from friedel.spi.evaluation.plan import EvaluationPlan, evaluation_plan_text, load_evaluation_plan
from friedel.spi.simulation.plan import SimulationPlan, load_simulation_plan, simulation_plan_text
from friedel.spi.training.plan import TrainingPlan, load_training_plan, training_plan_text

RESULTS = ("output",)
"""Keys of paths that a job makes and so needn't find."""


@dataclass(frozen=True)
class PlanKind:
    """A kind of plan.

    Attributes
    ----------
    command : str
        The command that runs it.
    model : type
        Its options.
    load : function
        Reads and checks a plan's file.
    text : function
        Gives the complete plan as YAML.
    """

    command: str
    model: type[Options]
    load: Callable[[Path], Any]
    text: Callable[[Any], str]


KINDS: tuple[PlanKind, ...] = (
    PlanKind("friedel reconstruct", ReconstructionPlan, load_plan, plan_text),
    PlanKind("friedel simulate hits", SimulationPlan, load_simulation_plan, simulation_plan_text),
    PlanKind("friedel simulate crystals", CrystalPlan, load_crystal_plan, crystal_plan_text),
    PlanKind("friedel classify", ClassifyPlan, load_classify_plan, classify_plan_text),
    PlanKind("friedel train hits", TrainingPlan, load_training_plan, training_plan_text),
    PlanKind("friedel train phasing", PhasingTrainingPlan, load_phasing_training_plan, phasing_training_plan_text),
    PlanKind("friedel evaluate hits", EvaluationPlan, load_evaluation_plan, evaluation_plan_text),
    PlanKind(
        "friedel evaluate phasing", PhasingEvaluationPlan, load_phasing_evaluation_plan, phasing_evaluation_plan_text
    ),
)
"""Every kind of plan."""


def kind_of(path: Path) -> PlanKind:
    """Return the kind of plan that knows most of the file's keys; of equals, the one whose values it can be.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    PlanError
        If it isn't YAML.
    """
    values = read_yaml(path)

    def fitness(kind: PlanKind) -> tuple[int, bool]:
        return len(values.keys() & kind.model.model_fields.keys()), _valid(kind, values)

    return max(KINDS, key=fitness)


def _valid(kind: PlanKind, values: dict[str, Any]) -> bool:
    try:
        kind.model.read(values)
    except PlanError:
        return False
    return True


def absent_paths(plan: Options) -> list[Path]:
    """Return the files a plan names that aren't there, in the plan's order."""
    return [path for path in _paths(plan) if not path.exists()]


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Options):
        for name in type(value).model_fields:
            if name not in RESULTS:
                yield from _paths(getattr(value, name))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _paths(entry)
