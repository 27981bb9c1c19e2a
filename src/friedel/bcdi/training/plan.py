"""What a phasing network learns from, and by what: sections of a plan. Holds numbers only."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from friedel.bcdi.crystals.drawn_object import REFLECTIONS
from friedel.bcdi.crystals.fcc import Reflection
from friedel.bcdi.crystals.random_crystal import STRAINS, UNDISLOCATED
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.core.training.options import LearningOptions

Fraction = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]


class CrystalOptions(Options):
    """Which crystals and measurements to learn from; each range is drawn from evenly, photons in their logarithm."""

    size: Annotated[int, Field(ge=8, multiple_of=8)] = 32
    """Voxels of the network's grid along each axis."""
    oversampling: Range = (1.2, 2.2)
    """Box over crystal along each axis on the network's grid, where a pattern is brought to about 1.5."""
    phase_range_rad: Range = (0.0, 2 * np.pi)
    """Peak-to-peak phase inside the crystal."""
    photons: Range = (1e5, 1e8)
    """Photons in all."""
    strains: tuple[str, ...] = tuple(UNDISLOCATED)
    """Families of strain (`friedel.bcdi.crystals.random_crystal.STRAINS`) of crystals made as the network learns."""
    store: Path | None = None
    """Store of `friedel simulate crystals` to draw from; every tenth of its crystals is kept for measuring."""
    stored_share: Fraction = 1.0
    """Share of crystals that come from the store, where there is one; the others are made."""
    symmetries: Annotated[int, Field(ge=1)] = 1
    """Patterns of one crystal to learn from, each under another of the cube's symmetries, with photons, noise, edges
    and gap of its own. Crystals are kept until they are asked for again, up to 512: best a divisor of `patterns`."""
    reflections: tuple[Reflection, ...] = REFLECTIONS
    """Families of reflections that stored crystals are seen in."""
    magnify: bool = True
    """Magnify stored crystals to the phase range drawn; else each keeps its own."""
    coverage: tuple[Fraction, Fraction] = (0.5, 1.0)
    """Central share of each axis that was measured: a coarsely sampled pattern doesn't fill the network's grid."""
    gaps: Fraction = 0.2
    """Share of patterns with a detector gap across them."""

    @field_validator("oversampling", "phase_range_rad", "photons", "coverage")
    @classmethod
    def _rising(cls, values: Range) -> Range:
        if values[0] > values[1]:
            raise ValueError("a range is given as lowest, highest")
        return values

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.oversampling[0] < 1 or self.photons[0] <= 0 or self.phase_range_rad[0] < 0 or self.coverage[0] <= 0:
            raise ValueError("oversampling starts at 1 or above, photons and coverage above 0, phase_range_rad at 0")
        if not self.strains or set(self.strains) - set(STRAINS):
            raise ValueError(f"strains are among {', '.join(STRAINS)}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the network's grid."""
        return self.size, self.size, self.size


class LossOptions(Options):
    """The loss of a phasing network: weights of its terms."""

    supervised: Annotated[float, Field(ge=0)] = 1.0
    """Weight of 1 − the correlation with the truth; 0 trains without labels."""
    physics: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the misfit between the prediction's own pattern and the measured one (AutoPhaseNN's idea)."""
    weighting: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Exponent p: a voxel counts by |F|^(2p) of the truth in the correlation: 1 gives the objects' correlation, less
    gives weak fringes more weight."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.supervised + self.physics <= 0:
            raise ValueError("supervised and physics can't both be 0: nothing would be learnt")
        return self


class Curriculum(Options):
    """Crystals, how many, and the loss."""

    crystals: CrystalOptions = CrystalOptions()
    """What to draw from."""
    patterns: Annotated[int, Field(ge=2)] = 4096
    """Patterns of an epoch; each epoch has new ones."""
    validation: Annotated[int, Field(ge=1)] = 256
    """Patterns to measure on, always the same."""
    loss: LossOptions = LossOptions()
    """Truth, physics, or both."""


class PhasingNetworkOptions(Options):
    """Which network, and how patterns are brought to its grid."""

    architecture: str = "phase_unet"
    """Name of the network (`friedel.core.networks.ARCHITECTURES`); "cdi_nn" is 3D-CDI-NN as published."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor."""
    oversampling: Annotated[float, Field(ge=1)] = 1.5
    """Box over crystal that patterns are resampled to when the network is used; the crystals' range is about it."""


class PhasingTrainingPlan(Plan):
    """Everything that decides a trained phasing network."""

    command: ClassVar[str] = "friedel train phasing"
    run_it: ClassVar[str] = "friedel train phasing --plan model.yaml -o DIR"

    name: str = "phasing"
    """What to call the model."""
    curriculum: Curriculum = Curriculum()
    """Crystals, how many, and the loss."""
    model: PhasingNetworkOptions = PhasingNetworkOptions()
    """The network."""
    training: LearningOptions = LearningOptions(batch=32)
    """Optimiser, schedule, machines."""
    limits: str = ""
    """Where the model isn't to be trusted, for its card."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of weights, crystals, noise and dropout."""
    output: Path | None = None
    """Folder for the model; the command line's ``-o`` wins."""
