"""Which job a plan is for, told by its keys: so that one command checks every kind of plan."""

from pathlib import Path
from typing import Any

from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.series.plan import SeriesPlan
from friedel.bcdi.simulation.plan import CrystalPlan
from friedel.bcdi.training.plan import PhasingTrainingPlan
from friedel.core.errors import PlanError
from friedel.core.plan import Plan, read_yaml
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.evaluation.plan import EvaluationPlan
from friedel.spi.live.plan import WatchPlan
from friedel.spi.merge.plan import MergePlan
from friedel.spi.series.plan import RunSeriesPlan
from friedel.spi.simulation.merge_data import MergeDataPlan
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.training.plan import TrainingPlan

KINDS: tuple[type[Plan], ...] = (
    ReconstructionPlan,
    SeriesPlan,
    ClassifyPlan,
    RunSeriesPlan,
    MergePlan,
    WatchPlan,
    CrystalWatchPlan,
    SimulationPlan,
    MergeDataPlan,
    CrystalPlan,
    TrainingPlan,
    PhasingTrainingPlan,
    EvaluationPlan,
    PhasingEvaluationPlan,
)
"""Every kind of plan; of two that a file fits equally well, the first is meant."""


def kind_of(path: Path) -> type[Plan]:
    """Return the kind of plan that knows most of the file's keys; of equals, the one whose values it can be.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    PlanError
        If it isn't YAML.
    """
    values = read_yaml(path)

    def fitness(kind: type[Plan]) -> tuple[int, bool]:
        return len(values.keys() & kind.model_fields.keys()), _valid(kind, values)

    return max(KINDS, key=fitness)


def _valid(kind: type[Plan], values: dict[str, Any]) -> bool:
    try:
        kind.read(values)
    except PlanError:
        return False
    return True
