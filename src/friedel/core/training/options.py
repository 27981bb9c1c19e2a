"""How a network is trained: a plan's ``training`` section. Holds numbers only, and needs no training library."""

import math
from typing import Annotated, Literal

from pydantic import Field

from friedel.core.options import Options

Fraction = Annotated[float, Field(ge=0, lt=1)]


class LearningOptions(Options):
    """Optimiser, schedule and the machines used, for any network. The defaults suit two CPU cores."""

    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training examples."""
    batch: Annotated[int, Field(ge=2)] = 128
    """Examples per step, on each device."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """The schedule's highest learning rate (AdamW)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's weight decay; biases and normalisations are exempt."""
    gradient_clip: Annotated[float, Field(ge=0)] = 0.0
    """Largest norm of the gradient over all weights (larger ones are scaled down to it); 0 doesn't clip."""
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    """Course of the learning rate: up for `warm_up` of the steps and down along a cosine; or down all the way."""
    warm_up: Fraction = 0.2
    """Part of the steps in which a one-cycle schedule rises."""
    average: Annotated[float, Field(ge=0)] = 1.0
    """Horizon, in epochs, of the running average of the weights that is kept as the result; 0 keeps the last step's."""
    keep: Literal["last", "best"] = "last"
    """Weights to end with: those of the last epoch, or of the epoch with the least validation loss."""
    precision: Literal["bf16", "float32"] = "bf16"
    """Arithmetic of the layers; with bf16 weights, loss and optimiser stay float32, and so do the layers on processors
    that have no quick bfloat16."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device; auto takes a GPU if there is one."""
    devices: Annotated[int, Field(ge=1)] = 1
    """Devices on each machine."""
    num_nodes: Annotated[int, Field(ge=1)] = 1
    """Machines; start the command on each with torchrun or SLURM's srun."""
    strategy: str = "auto"
    """Lightning's name for how devices share the work ("ddp")."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that prepare batches; 0 prepares them in the training process."""


class TrainingOptions(LearningOptions):
    """How a classifier of frames is trained: the options of any network, and random flips of the frames."""

    flips: bool = True
    """Flip training frames left-right and up-down, at random."""
    transpose: bool = False
    """Swap rows and columns of half the (square) frames too: with flips, all eight orientations."""
    centred_channels: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Channels with their origin at pixel n // 2 (spectra): flips turn them about it, not about the frame's middle."""
    label_smoothing: Fraction = 0.0
    """Label smoothing: this share of a label's weight is spread evenly over both classes."""


_START = 0.04  # of the highest rate, 1/25: the starting factor of PyTorch's and fastai's one-cycle schedules


def learning_rate_factor(step: int, steps: int, options: LearningOptions) -> float:
    """Return the learning rate at ``step`` of ``steps``, in units of the highest.

    One-cycle: from 4 % up along half a cosine for `warm_up` of the steps, then down along another to (almost) zero;
    after L. N. Smith, "A disciplined approach to neural network hyper-parameters", arXiv:1803.09820. Cosine: down only.
    """
    rising = options.warm_up * steps if options.schedule == "one-cycle" else 0.0
    if step < rising:
        return _START + (1 - _START) * _half_cosine(step / rising)
    return 1 - _half_cosine(min((step - rising) / max(steps - rising, 1.0), 1.0))


def _half_cosine(part: float) -> float:
    return (1 - math.cos(math.pi * part)) / 2
