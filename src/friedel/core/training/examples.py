"""Ready tensors with their labels: what a network learns from. A memory map serves as well as an array."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from friedel.core.errors import InputError
from friedel.core.training.libraries import pl
from friedel.core.training.options import TrainingOptions

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Inputs and labels, or a selection of them.

    Attributes
    ----------
    inputs : (n, c, h, w) floating
        What the network is given; float16 is enough for it, and a `numpy.memmap` is read batch by batch.
    labels : (n,) bool or 0/1
        True where the frame is a single hit.
    weights : (n,) float, optional
        How much each frame counts in the loss; about 1 on average. None counts all alike.
    rows : (k,) int, optional
        The selected frames, in any order; None selects all.
    """

    inputs: NDArray[np.floating[Any]]
    labels: NDArray[Any]
    weights: NDArray[np.floating[Any]] | None = None
    rows: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        if self.inputs.ndim != 4 or not np.issubdtype(self.inputs.dtype, np.floating):
            raise InputError(
                f"inputs must be floating, with axes (n, c, h, w); got {self.inputs.dtype} of {self.inputs.shape}"
            )
        for name, values in (("labels", self.labels), ("weights", self.weights)):
            if values is not None and values.shape != (len(self.inputs),):
                raise InputError(f"{name} {values.shape} don't fit {len(self.inputs)} frames; one for each is needed")
        if not np.isin(self.labels, (0, 1)).all():
            strange = np.setdiff1d(self.labels, (0, 1))[:3].tolist()
            raise InputError(f"labels are 1 (single hit) or 0 (anything else), got {strange}")

    def __len__(self) -> int:
        return len(self.labels) if self.rows is None else len(self.rows)

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Labels of the selected frames, ``(k,)``."""
        chosen = self.labels if self.rows is None else self.labels[self.rows]
        return np.asarray(chosen).astype(bool)

    def select(self, rows: NDArray[np.intp]) -> Self:
        """Return the selection of these frames of the selection; nothing is copied."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def require_both_classes(self, purpose: str) -> None:
        """Raise an InputError if all labels are alike; ``purpose`` is the end of "… are needed for …"."""
        single = int(self.truth.sum())
        if single in (0, len(self)):
            raise InputError(
                f"{single} of {len(self)} frames are labelled single: frames of both classes are needed for {purpose}"
            )

    def split(self, fraction: float, *, rng: np.random.Generator) -> tuple[Self, Self]:
        """Return the selection without, and then with, a random ``fraction`` of each class.

        Raises
        ------
        InputError
            If a class is too small to be in both.
        """
        self.require_both_classes("training and validation")
        held: list[NDArray[np.intp]] = []
        for members in (np.flatnonzero(self.truth), np.flatnonzero(~self.truth)):
            wanted = max(1, round(fraction * len(members)))
            if wanted >= len(members):
                raise InputError(
                    f"{len(members)} frames of a class can't be split, {fraction:g} of them for validation"
                )
            held.append(rng.permutation(members)[:wanted])
        chosen = np.zeros(len(self), dtype=bool)
        chosen[np.concatenate(held)] = True
        return self.select(np.flatnonzero(~chosen)), self.select(np.flatnonzero(chosen))


class BatchReader(Dataset[Batch]):
    """Examples as a dataset whose index is a whole batch of positions in the selection."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, positions: NDArray[np.intp]) -> Batch:
        """Return inputs ``(b, c, h, w)``, labels ``(b,)`` int64 and weights ``(b,)`` float32."""
        examples = self.examples
        rows = np.sort(positions if examples.rows is None else examples.rows[positions])  # a memory map reads forwards
        inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[rows]))
        labels = torch.from_numpy(examples.labels[rows].astype(np.int64))
        weights = np.ones(len(rows)) if examples.weights is None else examples.weights[rows]
        return inputs, labels, torch.from_numpy(weights.astype(np.float32))


class Batches(Sampler[NDArray[np.intp]]):
    """Positions of each batch, the same for the same seed and epoch, shared out among processes.

    Parameters
    ----------
    count : int
        Frames in the selection.
    size : int
        Frames per batch and process.
    seed : int, optional
        Seed of the shuffling; None keeps the order.
    rank, world : int
        This process, and how many there are.
    """

    def __init__(self, count: int, size: int, *, seed: int | None = None, rank: int = 0, world: int = 1) -> None:
        self.count, self.seed, self.rank, self.world, self.epoch = count, seed, rank, world, 0
        self.size = max(1, min(size, count // world)) if seed is not None else size

    def set_epoch(self, epoch: int) -> None:
        """Shuffle for this epoch from now on; the trainer calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.seed is not None:
            return self.count // (self.size * self.world)
        return -(-len(range(self.rank, self.count, self.world)) // self.size)

    def __iter__(self) -> Iterator[NDArray[np.intp]]:
        """Yield each batch's positions, ``(b,)``.

        Shuffled, every process gets equally many full batches, as distributed gradients are averaged at every step; the
        frames left over are left out of this epoch, as a batch of one frame has no variance to normalise by.
        """
        if self.seed is None:
            order = np.arange(self.rank, self.count, self.world)
        else:
            shuffled = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
            order = shuffled[: len(self) * self.size * self.world][self.rank :: self.world]
        yield from (order[start : start + self.size] for start in range(0, len(order), self.size))


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
