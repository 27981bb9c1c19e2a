"""The plan of an evaluation of phasing: the network, the methods it is compared with, the conditions. Runs nothing."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from friedel.core.evaluation import SectionedPlan
from friedel.core.options import Options

SECTIONS = ("overview", "photons", "sampling", "range", "gaps", "sizes", "scan")
"""Names of the report's sections, in its order."""
Count = Annotated[int, Field(ge=1)]
Edge = Annotated[int, Field(ge=16, le=512)]


class PhasingEvaluationSizes(Options):
    """How many crystals, and which conditions."""

    size: Edge = 32
    """Edge of the patterns where nothing else is said."""
    overview: Count = 50
    """Crystals of the overview: 1e7 photons, a phase range of 2π."""
    crystals: Count = 20
    """Crystals of every other condition."""
    large: Count = 3
    """Crystals of every size above 64."""
    photons: tuple[Annotated[float, Field(ge=100)], ...] = (1e5, 1e6, 1e7, 1e8)
    """Photons in the whole pattern."""
    oversampling: tuple[Annotated[float, Field(ge=1.05)], ...] = (3.0, 2.5, 2.0, 1.7, 1.5, 1.3)
    """Box over the crystal's extent along every axis."""
    over_sphere: tuple[Annotated[float, Field(ge=1)], ...] = (1.2,)
    """Box over the diameter of the sphere round the crystal."""
    phase_range_turns: tuple[tuple[float, float], ...] = ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 3.0))
    """Ranges, in units of 2π, from which peak-to-peak phases are drawn; 1e8 photons."""
    gaps: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (2, 0), (2, 2), (4, 4))
    """Rows and columns that are missing beside the peak, at 32 of each; more in larger patterns."""
    edges: tuple[Edge, ...] = (32, 48, 64, 96, 128)
    """Edges of the patterns in the comparison of sizes."""


FULL = PhasingEvaluationSizes()
QUICK = PhasingEvaluationSizes(
    overview=2,
    crystals=1,
    large=1,
    photons=(1e5, 1e8),
    oversampling=(3.0, 1.3),
    phase_range_turns=((1.0, 3.0),),
    gaps=((2, 2),),
    edges=(32, 48),
)
"""Some minutes on two cores; shows that everything works, not what it is worth."""


class PhasingEvaluationPlan(SectionedPlan):
    """Everything that decides an evaluation's figures."""

    names_or_paths: ClassVar[tuple[str, ...]] = ("model", "published")

    command: ClassVar[str] = "friedel evaluate phasing"
    run_it: ClassVar[str] = "friedel evaluate phasing --plan plan.yaml -o DIR"
    known_sections: ClassVar[tuple[str, ...]] = SECTIONS
    full: ClassVar[Options] = FULL
    quick: ClassVar[Options] = QUICK

    model: str = "default"
    """Name or path of the network that is evaluated, alone and with refinement."""
    published: str | None = None
    """Name or path of weights of 3D-CDI-NN as published, to stand beside; None takes those shipped, if any."""
    iterative_starts: Count = 10
    """Random starts of this package's own iterative chain."""
    cohere: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.1, 0.2, 0.3)
    """Shrink-wrap thresholds at which cohere runs one start each, where it is installed (extra "peers")."""
    scan: Path | None = None
    """Plan of a measured scan to phase (plans/aps34idc_scan54.yaml); without it, or its files, the report says so."""
    scan_shape: tuple[Edge, Edge, Edge] | None = (64, 64, 64)
    """Central part of the scan that is phased; None takes what the scan's plan says."""
    sizes: PhasingEvaluationSizes | None = None
    """Conditions of your own; they win over ``size``."""
    device: str | None = None
    """"cpu" or "cuda"; None takes a GPU if there is one."""

    @property
    def chosen_sizes(self) -> PhasingEvaluationSizes:
        """The sizes that hold."""
        chosen: PhasingEvaluationSizes = self.with_sizes().sizes  # type: ignore[assignment]  # never None there
        return chosen
