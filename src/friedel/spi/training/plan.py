"""The plan of a training of single-hit classifiers: data, model, training, calibration. Runs nothing."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from friedel.core.machine.cluster import ClusterOptions
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.core.training.options import TrainingOptions
from friedel.spi.forward.scene import Kind
from friedel.spi.particles.particle import PARTICLES
from friedel.spi.simulation.plan import SimulationPlan


class LabelledFile(Options):
    """Frames whose labels are known."""

    path: Path
    """File of `friedel simulate hits`, or any other file of frames."""
    dataset: str | None = None
    """Dataset of the frames, if there are several."""
    labels: Path | None = None
    """Labels of other files, 1 for a single hit: ``.npy``, or text with one number a line. A simulation has its own."""
    mask: Path | None = None
    """CXI mask (0 is good) beside the file's own."""


class DomainRandomisationOptions(Options):
    """Many short runs, each at another simulated random experiment (`friedel.spi.forward.domain_randomisation`)."""

    count: Annotated[int, Field(ge=1)]
    """Experiments."""
    frames: Annotated[int, Field(ge=1)] = 32
    """Frames of each."""
    particles: tuple[str, ...] = PARTICLES
    """Shapes to draw from."""
    frame_shape: tuple[int, int] = (128, 128)
    """Pixels (y, x)."""
    bad_kinds: dict[Kind, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Relative shares of what frames without a single particle show; empty: each experiment draws its own."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the first; the others follow."""


class TrainingData(Options):
    """Which frames to learn from. What is simulated is kept in the training's folder."""

    files: tuple[LabelledFile, ...] = ()
    """Runs that are there already."""
    simulations: tuple[SimulationPlan, ...] = ()
    """Runs to simulate first."""
    domain_randomisation: DomainRandomisationOptions | None = None
    """Short runs to simulate first, each with a beam, detector, mask and particle of its own."""
    cluster: ClusterOptions | None = None
    """Processes or machines that simulate the experiments; None: this process alone."""
    shapes: tuple[str, ...] = ()
    """Only frames of these particles; empty: of all. To learn from icosahedra alone, for instance."""
    without_shapes: tuple[str, ...] = ()
    """No frames of these particles: to see how a shape never learnt is judged."""
    without_kinds: tuple[Kind, ...] = ()
    """No frames that show these ("droplet")."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Fraction held back, of each class, to measure and calibrate on."""
    hold: Literal["frames", "runs"] = "frames"
    """Hold back frames at random, or whole runs: frames of the same run are more alike than those of the next one."""


class ModelOptions(Options):
    """Which network, and what it is shown."""

    architecture: str = "resnet"
    """Name of the network (`friedel.core.networks.ARCHITECTURES`)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor."""
    start: str = ""
    """Name or path of trained weights to start from, instead of random ones: of the same network, or of one with fewer
    layers."""
    blend: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the weights started from in the result: what was learnt before is kept, what is new is learnt."""
    preprocessing: str = "standardise"
    """What turns frames into its input (`friedel.spi.training.preprocessing.PREPROCESSING`)."""


class CalibrationOptions(Options):
    """Calibration: from scores to probabilities, of which a share p is right at probability p."""

    method: Literal["temperature", "platt", "isotonic", "none"] = "temperature"
    """One number; two (temperature and bias); or a rising line, which needs hundreds of frames. Fitted on half of the
    frames held back."""
    reject_error: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The reject band is where frames of one probability are judged wrongly more often than this."""
    run_bias: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Log odds are lowered, run by run, by this share of what nine in ten of the run's hits have beyond the threshold
    of the default selection: where hits are clear, what is middling isn't one. For models of many experiments."""


class TrainingPlan(Plan):
    """Everything that decides a trained model."""

    command: ClassVar[str] = "friedel train hits"
    run_it: ClassVar[str] = "friedel train hits --plan model.yaml -o DIR"

    name: str = "hits"
    """What to call the model."""
    data: TrainingData = TrainingData()
    """Frames and labels."""
    model: ModelOptions = ModelOptions()
    """Network and preprocessing."""
    training: TrainingOptions = TrainingOptions()
    """Optimiser, schedule, machines."""
    calibration: CalibrationOptions = CalibrationOptions()
    """From scores to probabilities."""
    limits: str = ""
    """Where the model isn't to be trusted, for its card."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of weights, split, shuffling, flips and dropout; simulations have their own."""
    output: Path | None = None
    """Folder for the model; the command line's ``-o`` wins."""
