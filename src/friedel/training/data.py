"""Hand examples to Lightning, batch by batch, each process its share."""

from torch.utils.data import DataLoader

from friedel.training.examples import Batch, Batches, BatchReader, Examples
from friedel.training.libraries import pl
from friedel.training.options import TrainingOptions


class ExampleData(pl.LightningDataModule):
    """Training and validation examples as loaders of whole batches.

    Parameters
    ----------
    training, validation : Examples
        What to learn from, and what to measure on.
    options : TrainingOptions
        Its ``batch`` and ``workers`` count here.
    seed : int
        Seed of the order of the training frames.
    """

    def __init__(self, training: Examples, validation: Examples, options: TrainingOptions, *, seed: int = 0) -> None:
        super().__init__()
        self.training, self.validation, self.options, self.seed = training, validation, options, seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the shuffled training batches of this process."""
        return self._loader(self.training, seed=self.seed)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation batches of this process, in order."""
        return self._loader(self.validation, seed=None)

    def _loader(self, examples: Examples, *, seed: int | None) -> DataLoader[Batch]:
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        batches = Batches(len(examples), self.options.batch, seed=seed, rank=rank, world=world)
        return DataLoader(BatchReader(examples), sampler=batches, batch_size=None, num_workers=self.options.workers)
