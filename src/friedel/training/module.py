"""A classifier while it learns: loss, augmentation and figures, as Lightning wants them.

Knows no files and no physics. What the network sees is ready; here it is only flipped.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from friedel.training.examples import Batch
from friedel.training.figures import counters, probability, single_logit
from friedel.training.learner import Learner
from friedel.training.options import TrainingOptions

_CHECK_EVERY = 20


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
