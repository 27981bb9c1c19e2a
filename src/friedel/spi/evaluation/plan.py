"""The plan of an evaluation: which model, which comparisons, and how large each is. Runs nothing."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from friedel.core.evaluation import SectionedPlan
from friedel.core.options import Options
from friedel.spi.particles.particle import PARTICLES
from friedel.spi.training.plan import LabelledFile

SECTIONS = ("domains", "methods", "rates", "answers", "calibration", "shapes", "depths", "looks", "speed")
"""Names of the report's sections, in its order."""
Count = Annotated[int, Field(ge=1)]


class EvaluationSizes(Options):
    """How many frames and trainings each section takes."""

    training_frames: Annotated[int, Field(ge=100)] = 5000
    """Frames of one simulated experiment with icosahedra, from which the paper's network learns."""
    test_frames: Annotated[int, Field(ge=50)] = 2000
    """Further frames of it, to test on."""
    epochs: Count = 12
    """Passes of every training over its frames."""
    experiments: Count = 60
    """Made-up experiments on which the model is tested; none of them was in its training."""
    experiment_frames: Annotated[int, Field(ge=8)] = 64
    """Frames of each."""
    other_runs: Count = 16
    """Runs of the second domain."""
    other_frames: Annotated[int, Field(ge=16)] = 120
    """Frames of each."""
    labels: Annotated[int, Field(ge=2)] = 20
    """Labels a class for adapting."""
    transfer_frames: Annotated[int, Field(ge=50)] = 1000
    """Training frames for VGG16's features, which are slow."""
    depths: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3), (4, 4), (5, 5))
    """(n, m) of the paper's network."""
    shapes: tuple[str, ...] = PARTICLES
    """Shapes whose false negatives are counted; each is also left out of a training."""
    shape_frames: Annotated[int, Field(ge=64)] = 8192
    """Frames of icosahedra for the training that sees nothing else; of each shape, a quarter for the others."""
    speed_frames: Count = 7000
    """Frames of 256² to time."""
    map_frames: Annotated[int, Field(ge=50)] = 7214
    """Frames of 128² for the diffusion map's time."""
    bootstrap: Count = 500
    """Draws behind each confidence interval."""


FULL = EvaluationSizes()
QUICK = EvaluationSizes(
    training_frames=1200,
    test_frames=400,
    epochs=5,
    experiments=16,
    experiment_frames=48,
    other_runs=8,
    other_frames=80,
    transfer_frames=200,
    depths=((1, 1), (2, 2)),
    shapes=("icosahedron", "soccer_ball", "torus"),
    shape_frames=1024,
    speed_frames=1000,
    map_frames=1000,
    bootstrap=200,
)
"""Some minutes on two cores; shows that everything works, not what it is worth."""


class EvaluationPlan(SectionedPlan):
    """Everything that decides an evaluation's figures."""

    names_or_paths: ClassVar[tuple[str, ...]] = ("model",)

    command: ClassVar[str] = "friedel evaluate hits"
    run_it: ClassVar[str] = "friedel evaluate hits --plan plan.yaml -o DIR"
    known_sections: ClassVar[tuple[str, ...]] = SECTIONS
    full: ClassVar[Options] = FULL
    quick: ClassVar[Options] = QUICK

    model: str = "default"
    """Name or path of the model that is evaluated."""
    vgg16: Path | None = None
    """torchvision's ``vgg16-397923af.pth``; without it VGG16 has random weights, and the report says so."""
    molecules: tuple[Path, ...] = ()
    """PDB or mmCIF files whose particles join the second domain (extra "particles")."""
    files: tuple[LabelledFile, ...] = ()
    """Labelled runs that join the second domain: measured, or simulated elsewhere. Never ones trained on."""
    sizes: EvaluationSizes | None = None
    """Sizes of your own; they win over ``size``."""

    @property
    def chosen_sizes(self) -> EvaluationSizes:
        """The sizes that hold."""
        chosen: EvaluationSizes = self.with_sizes().sizes  # type: ignore[assignment]  # never None there
        return chosen
