"""A phasing network while it learns: from the truth, from its own pattern, or both. As Lightning wants it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from friedel.bcdi.networks.patterns import predicted_diffraction, predicted_object
from friedel.bcdi.training.losses import blind_correlation, misfit, own_diffraction
from friedel.bcdi.training.patterns import TRAINING, VALIDATION, Batch, FreshBatches, PatternReader
from friedel.bcdi.training.plan import CrystalOptions, LossOptions
from friedel.core.training.examples import Batches
from friedel.core.training.learner import Learner
from friedel.core.training.libraries import pl
from friedel.core.training.options import LearningOptions

_CHECK_EVERY = 20  # batches between looks whether the loss is finite: each look waits for the GPU


class Phaser(Learner):
    """A network that predicts objects, trained by correlation with the truth and by the misfit of its own pattern.

    Parameters
    ----------
    network : nn.Module
        Maps amplitudes ``(b, 1, z, y, x)`` to ``(b, 2, z, y, x)``; what, its ``gives`` says
        (`friedel.bcdi.networks.patterns`).
    options : LearningOptions
        How to train it.
    loss : LossOptions
        Weights of the loss's terms.
    seed : int
        Seed of dropout.
    """

    def __init__(self, network: nn.Module, options: LearningOptions, loss: LossOptions, *, seed: int = 0) -> None:
        super().__init__(network.to(memory_format=torch.channels_last_3d), options, seed=seed)  # type: ignore[call-overload]
        self.loss_options = loss
        self.gives = str(network.gives)

    def made_with(self) -> dict[str, Any]:
        """Return the options that shape the result, the loss's among them."""
        return super().made_with() | {"loss": self.loss_options.model_dump(mode="json")}

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the mean loss of one batch."""
        loss = self._judged(self.network, batch)["loss"]
        if index % _CHECK_EVERY == 0:
            self.require_finite(loss)
        self.log("loss/training", loss, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log loss, correlation and misfit of one batch."""
        found = self._judged(self.result, batch)
        for name, value in found.items():
            where = "loss/validation" if name == "loss" else f"validation/{name}"
            self.log(where, value, batch_size=len(batch[0]), sync_dist=True)

    def _judged(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        inputs = batch[0]
        given = network(inputs.contiguous(memory_format=torch.channels_last_3d))
        # bf16 is for the layers: the transforms and sums of the loss need float32.
        with torch.autocast(inputs.device.type, enabled=False):
            correlations, chi = judge(given, batch, gives=self.gives, weighting=self.loss_options.weighting)
            loss = self.loss_options.supervised * (1 - correlations) + self.loss_options.physics * chi
        return {"loss": loss.mean(), "correlation": correlations.detach().mean(), "chi": chi.detach().mean()}


def judge(given: Tensor, batch: Batch, *, gives: str, weighting: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the correlation with the truth and the misfit χ of a network's output, each ``(b,)``.

    Parameters
    ----------
    given : (b, 2, z, y, x) Tensor
        The output.
    batch : Batch
        Inputs, true diffractions, and where they were measured.
    gives : str
        The network's ``gives``.
    weighting : float
        See `LossOptions`.
    """
    inputs, truth, measured = batch
    prediction = predicted_diffraction(given, inputs, gives=gives)
    correlations = blind_correlation(prediction, truth, weighting=weighting)
    if gives == "diffraction":
        prediction = own_diffraction(predicted_object(given, inputs, gives=gives))
    return correlations, misfit(prediction, inputs[:, 0], measured)


class PatternData(pl.LightningDataModule):
    """Random crystals as loaders of whole batches: new ones in each epoch to learn from, always the same to measure on.

    Parameters
    ----------
    crystals : CrystalOptions
        What to draw from.
    counts : (int, int)
        Patterns of an epoch, and of the validation.
    options : LearningOptions
        Its ``batch`` and ``workers`` count here.
    seed : int
        Seed of the crystals.
    """

    def __init__(
        self, crystals: CrystalOptions, counts: tuple[int, int], options: LearningOptions, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.crystals, self.counts, self.options, self.seed = crystals, counts, options, seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training batches of this process."""
        rank, world = self._place()
        batches = FreshBatches(self.counts[0], self.options.batch, seed=self.seed, rank=rank, world=world)
        return self._loader(TRAINING, self.counts[0], batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation batches of this process."""
        rank, world = self._place()
        return self._loader(
            VALIDATION, self.counts[1], Batches(self.counts[1], self.options.batch, rank=rank, world=world)
        )

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, stream: int, count: int, batches: Batches) -> DataLoader[Batch]:
        reader = PatternReader(self.crystals, count, seed=self.seed, stream=stream)
        return DataLoader(reader, sampler=batches, batch_size=None, num_workers=self.options.workers)
