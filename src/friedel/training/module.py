"""A classifier while it learns: loss, augmentation, optimiser and figures, as Lightning wants them.

Knows no files and no physics. What the network sees is ready; here it is only flipped.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from friedel.base.errors import InputError, PlanError
from friedel.training.examples import Batch
from friedel.training.figures import counters, probability, single_logit
from friedel.training.libraries import pl
from friedel.training.options import TrainingOptions
from friedel.training.schedule import learning_rate_factor

_CHECK_EVERY = 20
_MADE_WITH = "made_with"


class Classifier(pl.LightningModule):
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
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.options, self.seed = options, seed
        self.figures = counters()
        self.average: AveragedModel | None = None

    @property
    def result(self) -> nn.Module:
        """The network to keep: the running average of the weights, or else the weights as they are."""
        return self.network if self.average is None else self.average.module

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule over all steps."""
        optimiser = torch.optim.AdamW(_parameter_groups(self.network, self.options), lr=self.options.learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_factor(step, steps, self.options)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def setup(self, stage: str) -> None:
        """Start the running average; its horizon in steps is known only now."""
        if self.options.average and self.average is None:
            per_epoch = self.trainer.estimated_stepping_batches / self.options.epochs
            decay = 1 - 1 / max(self.options.average * per_epoch, 1.0)
            follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(self.network, multi_avg_fn=follow, use_buffers=True)
            self.average.requires_grad_(False)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout and flips from run, step and process."""
        state = np.random.SeedSequence((self.seed, self.global_step, self.global_rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the mean loss of one batch."""
        inputs, labels, weights = batch
        inputs = inputs.float()
        inputs = self._augmented(inputs)
        loss = self._loss(self.network(_channels_last(inputs)), labels, weights)
        if index % _CHECK_EVERY == 0:
            self._require_finite(loss)
        self.log("loss/training", loss, on_step=True, on_epoch=False)
        return loss

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Step, then let the average follow."""
        super().optimizer_step(*arguments, **named)
        if self.average is not None:
            self.average.update_parameters(self.network)

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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what this training was made with."""
        checkpoint[_MADE_WITH] = self._made_with()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on from a training of other options.

        Raises
        ------
        PlanError
            If the options that shape the result differ.
        """
        before, now = checkpoint.get(_MADE_WITH, {}), self._made_with()
        changed = [f"{key} {before.get(key)!r} → {value!r}" for key, value in now.items() if before.get(key) != value]
        if changed:
            raise PlanError(
                f"the checkpoint was made with other options ({', '.join(changed)}); "
                "resume with the same plan, or start anew without resuming"
            )

    def _augmented(self, inputs: Tensor) -> Tensor:
        if self.options.flips:
            inputs = flip_at_random(inputs, centred=self.options.centred_channels)
        return transpose_at_random(inputs) if self.options.transpose else inputs

    def _made_with(self) -> dict[str, Any]:
        where_only = {"accelerator", "devices", "num_nodes", "strategy", "workers"}
        return self.options.model_dump(mode="json", exclude=where_only) | {"seed": self.seed}

    def _loss(self, scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        smoothing = self.options.label_smoothing if self.training else 0.0
        losses = functional.cross_entropy(scores.float(), labels, reduction="none", label_smoothing=smoothing)
        return (weights * losses).mean()

    def _require_finite(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise InputError(
                f"the training loss became {float(loss.detach())} in epoch {self.current_epoch + 1}: "
                f"look for NaN in the inputs, or lower learning_rate (it is {self.options.learning_rate:g})"
            )


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


def _parameter_groups(network: nn.Module, options: TrainingOptions) -> list[dict[str, Any]]:
    # Decay belongs to kernels: an offset or a normalisation's scale pulled to zero only fights the data.
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    return [{"params": kernels, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
