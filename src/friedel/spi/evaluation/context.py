"""What all sections of an evaluation share: the plan, the folder, and frames and models made when first asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.core.observer import Observer, silent
from friedel.core.statistics import Interval, share
from friedel.spi.evaluation.data import EvaluationData, LabelledFrames, Runs, from_file
from friedel.spi.evaluation.models import EvaluationModels, Floats, Recipe
from friedel.spi.evaluation.plan import EvaluationPlan, EvaluationSizes
from friedel.spi.forward.independent import Beads, OtherDomainOptions
from friedel.spi.hits.model import HitModel, load_model

PAPER_NETWORK = "resnet-2-2"
"""Name of the paper's network among the trained models."""


@dataclass(eq=False)
class Evaluation:
    """One evaluation in its folder."""

    plan: EvaluationPlan
    folder: Path
    molecules: tuple[Beads, ...] = ()
    observer: Observer = silent

    @property
    def sizes(self) -> EvaluationSizes:
        """How large everything is."""
        return self.plan.chosen_sizes

    @property
    def pictures(self) -> Path:
        """Folder of the sections' files."""
        return self.folder / "sections"

    @cached_property
    def data(self) -> EvaluationData:
        """Simulated frames."""
        return EvaluationData(self.folder / "data", self.observer)

    @cached_property
    def models(self) -> EvaluationModels:
        """Models trained for the comparison."""
        return EvaluationModels(self.folder / "models", self.observer)

    @cached_property
    def model(self) -> HitModel:
        """The model that is evaluated."""
        return load_model(self.plan.model, device="cpu")

    @property
    def other_runs(self) -> Runs:
        """Runs of the second domain, and the plan's labelled files."""
        options = OtherDomainOptions(runs=self.sizes.other_runs, frames=self.sizes.other_frames)
        return [*self.data.other(options, self.molecules), *(from_file(file) for file in self.plan.files)]

    @property
    def experiments(self) -> Runs:
        """Runs of simulated random experiments that no training used."""
        return self.data.experiments(self.sizes.experiments, self.sizes.experiment_frames)

    def paper_network(self) -> HitModel:
        """Return the paper's ResNet(2, 2), trained on one simulated experiment."""
        training = self.data.paper(self.sizes.training_frames, test=False)
        return self.models.trained(PAPER_NETWORK, self.paper_recipe(2, 2), [training])

    def paper_recipe(self, n: int, m: int) -> Recipe:
        """Return how the paper's ResNet(n, m) is trained here."""
        return Recipe.paper(n, m, epochs=self.sizes.epochs, seed=self.plan.seed)


def share_right(probabilities: Floats, truth: NDArray[np.bool_]) -> Interval:
    """Return the accuracy at probability ½, with Wilson's interval."""
    return share(int(np.sum((probabilities > 0.5) == truth)), truth.size)


def visible(given: Evaluation, run: LabelledFrames) -> NDArray[np.bool_]:
    """Return which frames of a run have fringes that the model's default selection calls visible, ``(n,)``."""
    scores = given.model.score(run.frames, run.mask)
    return np.asarray(scores.fringes >= given.model.fringes_from)
