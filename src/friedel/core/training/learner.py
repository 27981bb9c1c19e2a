"""What every network does while it learns: optimiser, running average, seeds and checkpoints, as Lightning wants them.

The batches, the loss and the figures of validation are left to derived classes.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from friedel.core.errors import InputError, PlanError
from friedel.core.training.libraries import pl
from friedel.core.training.options import LearningOptions, learning_rate_factor

_MADE_WITH = "made_with"


class Learner(pl.LightningModule):
    """A network in training.

    Parameters
    ----------
    network : nn.Module
        What learns, in the memory format it is to have.
    options : LearningOptions
        How to train it.
    seed : int
        Seed of all chance in training, taken anew at each step: a resumed run goes on as the unbroken one would.
    """

    def __init__(self, network: nn.Module, options: LearningOptions, *, seed: int = 0) -> None:
        super().__init__()
        self.network, self.seed = network, seed
        self.learning = options
        self.average: AveragedModel | None = None

    @property
    def result(self) -> nn.Module:
        """The network to keep: the running average of the weights, or else the weights as they are."""
        return self.network if self.average is None else self.average.module

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule over all steps."""
        optimiser = torch.optim.AdamW(_parameter_groups(self.network, self.learning), lr=self.learning.learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_factor(step, steps, self.learning)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def setup(self, stage: str) -> None:
        """Start the running average; its horizon in steps is known only now."""
        if self.learning.average and self.average is None:
            per_epoch = self.trainer.estimated_stepping_batches / self.learning.epochs
            decay = 1 - 1 / max(self.learning.average * per_epoch, 1.0)
            follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(self.network, multi_avg_fn=follow, use_buffers=True)
            self.average.requires_grad_(False)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed all chance from run, step and process."""
        state = np.random.SeedSequence((self.seed, self.global_step, self.global_rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Step, then let the average follow."""
        super().optimizer_step(*arguments, **named)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what this training was made with."""
        checkpoint[_MADE_WITH] = self.made_with()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on from a training of other options.

        Raises
        ------
        PlanError
            If the options that shape the result differ.
        """
        before, now = checkpoint.get(_MADE_WITH, {}), self.made_with()
        changed = [f"{key} {before.get(key)!r} → {value!r}" for key, value in now.items() if before.get(key) != value]
        if changed:
            raise PlanError(
                f"the checkpoint was made with other options ({', '.join(changed)}); "
                "resume with the same plan, or start anew without resuming"
            )

    def made_with(self) -> dict[str, Any]:
        """Return the options that shape the result: what a checkpoint and its continuation must share."""
        where_only = {"accelerator", "devices", "num_nodes", "strategy", "workers"}
        return self.learning.model_dump(mode="json", exclude=where_only) | {"seed": self.seed}

    def require_finite(self, loss: Tensor) -> None:
        """Stop the training if the loss is no number any more.

        Raises
        ------
        InputError
            If it isn't finite.
        """
        if not torch.isfinite(loss):
            raise InputError(
                f"the training loss became {float(loss.detach())} in epoch {self.current_epoch + 1}: "
                f"look for NaN in the inputs, or lower learning_rate (it is {self.learning.learning_rate:g})"
            )


def _parameter_groups(network: nn.Module, options: LearningOptions) -> list[dict[str, Any]]:
    # Decay regularises kernels only: drawing offsets and normalisation scales to zero adds bias and limits nothing.
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    return [{"params": kernels, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
