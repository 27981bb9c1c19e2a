"""A classifier while it learns: loss, augmentation and figures, as Lightning wants them.

Knows no files and no physics. What the network sees is ready; here it is only flipped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from friedel.core.machine.device import quick_in_bfloat16
from friedel.core.observer import Observer, silent
from friedel.core.training.examples import Batch, ExampleData, Examples
from friedel.core.training.fit import run_training
from friedel.core.training.learner import Learner
from friedel.core.training.libraries import metrics, torchmetrics
from friedel.core.training.options import TrainingOptions

_CHECK_EVERY = 20  # batches between looks whether the loss is finite: each look waits for the GPU


class Classifier(Learner):
    """A network with two scores, trained by cross-entropy.

    Parameters
    ----------
    network : nn.Module
        Maps inputs ``(b, c, h, w)`` to scores ``(b, 2)``; index 1 is "single hit".
    options : TrainingOptions
        How to train it.
    seed : int
        Seed of dropout and flips, taken anew at each step, so that a resumed run goes on as the unbroken one would.
    """

    def __init__(self, network: nn.Module, options: TrainingOptions, *, seed: int = 0) -> None:
        super().__init__(network.to(memory_format=torch.channels_last), options, seed=seed)  # type: ignore[call-overload]
        self.options = options
        self.figures = counters()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the mean loss of one batch."""
        inputs, labels, weights = batch
        inputs = inputs.float()
        inputs = self._augmented(inputs)
        loss = self._loss(self.network(_channels_last(inputs)), labels, weights)
        if index % _CHECK_EVERY == 0:
            self.require_finite(loss)
        self.log("loss/training", loss, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add one batch to the figures."""
        inputs, labels, weights = batch
        scores = self.result(_channels_last(inputs.float()))
        self.log("loss/validation", self._loss(scores, labels, weights), batch_size=len(labels), sync_dist=True)
        self.figures.update(probability(single_logit(scores)), labels)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the epoch."""
        found: dict[str, Tensor] = self.figures.compute()
        # The counters have added up over processes already; a mean of equal numbers changes nothing.
        self.log_dict({f"validation/{name}": value.float() for name, value in found.items()}, sync_dist=True)
        self.figures.reset()

    def _augmented(self, inputs: Tensor) -> Tensor:
        if self.options.flips:
            inputs = flip_at_random(inputs, centred=self.options.centred_channels)
        return transpose_at_random(inputs) if self.options.transpose else inputs

    def _loss(self, scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        smoothing = self.options.label_smoothing if self.training else 0.0
        losses = functional.cross_entropy(scores.float(), labels, reduction="none", label_smoothing=smoothing)
        return (weights * losses).mean()


def flip_at_random(images: Tensor, *, centred: tuple[int, ...] = ()) -> Tensor:
    """Flip each image of ``(b, c, h, w)`` left-right, up-down, both or not at all, with equal chances.

    ``centred`` channels are flipped about pixel n // 2, which a plain flip of an even number of pixels would move.
    """
    for axis in (-1, -2):
        flipped = images.flip(axis)
        for channel in centred:
            even = images.shape[axis] % 2 == 0
            flipped[:, channel] = flipped[:, channel].roll(int(even), axis)
        images = torch.where(_heads(images), flipped, images)
    return images


def transpose_at_random(images: Tensor) -> Tensor:
    """Swap rows and columns of half the images of ``(b, c, n, n)``."""
    return torch.where(_heads(images), images.transpose(-1, -2), images)


def _heads(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def counters() -> torchmetrics.MetricCollection:
    """Return fresh counters: accuracy, precision, recall and F1 at probability 0.5; area under precision-recall.

    They take probabilities of "single" and labels, both ``(n,)``, batch by batch, and add up over processes.
    """
    return torchmetrics.MetricCollection(
        {
            "accuracy": metrics.BinaryAccuracy(),
            "precision": metrics.BinaryPrecision(),
            "recall": metrics.BinaryRecall(),
            "f1": metrics.BinaryF1Score(),
            "pr_auc": metrics.BinaryAveragePrecision(),
        }
    )


def single_logit(scores: Tensor) -> Tensor:
    """Return the log odds of "single", ``(b,)`` float32, from a network's two scores ``(b, 2)``."""
    return (scores[:, 1] - scores[:, 0]).float()


def probability(logits: Tensor) -> Tensor:
    """Return the probability of each logit in float64: in float32 confident frames would tie at 1."""
    return torch.sigmoid(logits.double())


def measure(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the figures of logits ``(n,)`` against labels ``(n,)``, by name."""
    found = counters()(probability(logits), labels.long())
    return {name: float(value) for name, value in found.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """What a training leaves.

    Attributes
    ----------
    network : nn.Module
        The trained network, on the CPU, in evaluation mode.
    logits : (k,) float32
        Its log odds of "single" on the validation frames, in their order.
    figures : mapping of str to float
        accuracy, precision, recall, f1 and pr_auc on the validation frames.
    first : bool
        Whether this is the first of the processes that trained together: the one that writes.
    """

    network: nn.Module
    logits: NDArray[np.float32]
    figures: dict[str, float]
    first: bool = True


def train_classifier(
    network: nn.Module,
    training: Examples,
    validation: Examples,
    options: TrainingOptions | None = None,
    *,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    observer: Observer = silent,
) -> Trained:
    """Train a network with two scores to tell single hits.

    Parameters
    ----------
    network : nn.Module
        Maps inputs ``(b, c, h, w)`` to scores ``(b, 2)``; index 1 is "single hit". It is trained in place.
    training, validation : Examples
        What to learn from, and what to measure the result on.
    options : TrainingOptions, optional
        How to train.
    folder : Path
        For checkpoints and TensorBoard's logs; a fresh start removes those of an earlier training.
    seed : int
        Seed of the order of frames, of flips and of dropout.
    resume : bool
        Go on from the newest readable checkpoint, to the result of an unbroken training; without one, start.
    observer : Observer
        Hears progress.

    Raises
    ------
    InputError
        If all frames of a set have one label, or the loss stops being a number.
    PlanError
        If the checkpoint was made with other options.
    """
    options = options or TrainingOptions()
    training.require_both_classes("training")
    validation.require_both_classes("validation")
    learner = Classifier(network, options, seed=seed)
    data = ExampleData(training, validation, options, seed=seed)
    kept, first = run_training(learner, data, folder=folder, resume=resume, observer=observer)
    logits = score(kept, validation, precision=options.precision, batch=options.batch)
    figures = measure(torch.from_numpy(logits), torch.from_numpy(validation.truth))
    return Trained(network=kept, logits=logits, figures=figures, first=first)


def score(
    network: nn.Module, examples: Examples, *, precision: str = "float32", batch: int = 128
) -> NDArray[np.float32]:
    """Return a network's log odds of "single", ``(k,)`` float32, in the examples' order.

    Parameters
    ----------
    network : nn.Module
        Maps inputs ``(b, c, h, w)`` to scores ``(b, 2)``; in evaluation mode, on any device.
    examples : Examples
        Their labels are not looked at.
    precision : str
        "bf16" or "float32".
    batch : int
        Frames at a time.
    """
    return _applied(network, lambda inputs: single_logit(network(inputs)), examples, precision, batch).numpy()


def describe(network: nn.Module, examples: Examples, *, precision: str = "float32", batch: int = 128) -> Tensor:
    """Return a network's features of examples, ``(k, d)`` float32; arguments as `score`.

    The network has a method ``features`` from inputs ``(b, c, h, w)`` to ``(b, d)``.

    Parameters
    ----------
    network : nn.Module
        With a method ``features`` from inputs ``(b, c, h, w)`` to ``(b, d)``.
    examples, precision, batch
        As for `score`.
    """
    features: Callable[[Tensor], Tensor] = network.features  # type: ignore[assignment]
    return _applied(network, features, examples, precision, batch)


def _applied(
    network: nn.Module, function: Callable[[Tensor], Tensor], examples: Examples, precision: str, batch: int
) -> Tensor:
    device = next(network.parameters()).device
    found: list[Tensor] = []
    in_bfloat16 = precision == "bf16" and quick_in_bfloat16(device)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16):
        for start in range(0, len(examples), batch):
            rows = np.arange(start, min(start + batch, len(examples)))
            rows = rows if examples.rows is None else examples.rows[rows]
            inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[rows])).to(device).float()
            found.append(function(inputs.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(found)
