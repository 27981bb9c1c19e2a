"""Train a phasing network on crystals made as it learns, and measure it on others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from friedel.bcdi.training.learner import PatternData, Phaser, judge
from friedel.bcdi.training.patterns import VALIDATION, PatternReader
from friedel.bcdi.training.plan import Curriculum
from friedel.core.machine.memory import smaller
from friedel.core.observer import Observer, silent
from friedel.core.training.checkpoints import has_checkpoints
from friedel.core.training.fit import run_training
from friedel.core.training.options import LearningOptions

SUCCESS = 0.9
"""Correlation from which a prediction counts as the crystal."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedPhaser:
    """What a training leaves.

    Attributes
    ----------
    network : nn.Module
        The trained network, on the CPU, in evaluation mode.
    figures : mapping of str to float
        Of the validation crystals: median correlation and χ, and the share of successes.
    first : bool
        Whether this is the first of the processes that trained together: the one that writes.
    """

    network: nn.Module
    figures: dict[str, float]
    first: bool = True


def train_phaser(
    network: nn.Module,
    curriculum: Curriculum,
    options: LearningOptions | None = None,
    *,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    observer: Observer = silent,
) -> TrainedPhaser:
    """Train a network to predict objects from their patterns.

    Parameters
    ----------
    network : nn.Module
        Maps amplitudes ``(b, 1, z, y, x)`` to ``(b, 2, z, y, x)``; trained in place.
    curriculum : Curriculum
        Crystals and loss.
    options : LearningOptions, optional
        How to train.
    folder : Path
        For checkpoints and TensorBoard's logs; a fresh start removes those of an earlier training.
    seed : int
        Seed of crystals, noise and dropout.
    resume : bool
        Go on from the newest readable checkpoint, to the result of an unbroken training; without one, start.
    observer : Observer
        Hears progress.

    Raises
    ------
    InputError
        If the loss stops being a number, or memory is too small for two patterns.
    PlanError
        If the checkpoint was made with other options.

    Notes
    -----
    A batch that doesn't fit into memory is halved, with a warning, and the training goes on with two halves a step.
    """
    training = _Training(network, curriculum, options or LearningOptions(), folder, seed, observer)
    kept, first = training.run(resume=resume)
    return TrainedPhaser(network=kept, figures=measure_phaser(kept, curriculum, seed=seed), first=first)


@dataclass(frozen=True, eq=False)
class _Training:
    """A training that can be begun again with smaller parts of its batches."""

    network: nn.Module
    curriculum: Curriculum
    options: LearningOptions
    folder: Path
    seed: int
    observer: Observer

    def run(self, *, resume: bool) -> tuple[nn.Module, bool]:
        beginning = {name: value.clone() for name, value in self.network.state_dict().items()}
        size = self.options.batch
        while True:
            try:
                return self.attempt(size, resume=resume)
            except (RuntimeError, MemoryError) as error:
                size = smaller(size, error, least=2, observer=self.observer)
            self.network.load_state_dict(beginning)
            resume = has_checkpoints(self.folder)

    def attempt(self, size: int, *, resume: bool) -> tuple[nn.Module, bool]:
        """Train with so many patterns at a time, as many times a step as make a batch."""
        counts = self.curriculum.patterns, self.curriculum.validation
        learner = Phaser(self.network, self.options, self.curriculum.loss, seed=self.seed)
        at_a_time = self.options.model_copy(update={"batch": size})
        data = PatternData(self.curriculum.crystals, counts, at_a_time, seed=self.seed)
        parts = self.options.batch // size
        return run_training(learner, data, folder=self.folder, resume=resume, observer=self.observer, parts=parts)


def measure_phaser(network: nn.Module, curriculum: Curriculum, *, seed: int, batch: int = 32) -> dict[str, float]:
    """Return a network's figures on the validation crystals, by name; in float32, on the CPU.

    Parameters
    ----------
    network : nn.Module
        The network.
    curriculum : Curriculum
        Its validation crystals are used.
    seed : int
        Seed of their noise and sampling.
    batch : int
        Patterns at a time.
    """
    reader = PatternReader(curriculum.crystals, curriculum.validation, seed=seed, stream=VALIDATION)
    found = []
    with torch.inference_mode():
        for start in range(0, curriculum.validation, batch):
            patterns = reader[np.arange(start, min(start + batch, curriculum.validation))]
            given = network(patterns[0].contiguous(memory_format=torch.channels_last_3d))
            found.append(torch.stack(judge(given, patterns, gives=str(network.gives))))
    correlations, chi = torch.cat(found, dim=1).numpy()
    return {
        "correlation": float(np.median(correlations)),
        "chi": float(np.median(chi)),
        "success": float((correlations > SUCCESS).mean()),
    }
