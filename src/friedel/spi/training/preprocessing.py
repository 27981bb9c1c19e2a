"""From a run's frames to a network's input, by name: what plans and model cards call preprocessing."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.errors import PlanError
from friedel.spi.hits.features.features import CHANNELS, NAME, SIDE, model_input
from friedel.spi.hits.preparation.prepare import checked_mask, prepare
from friedel.spi.hits.preparation.run_calibration import measure_run
from friedel.spi.hits.preparation.standardise import Standardiser
from friedel.spi.records import Frames

Inputs: TypeAlias = NDArray[np.float32]
ForRun: TypeAlias = Callable[[NDArray[Any]], Inputs]


class Preprocessing(Protocol):
    """What turns frames into a network's input ``(n, c, h, w)``.

    Attributes
    ----------
    shape : (int, int, int)
        ``(c, h, w)`` of the input.
    """

    shape: tuple[int, int, int]

    def for_run(self, sample: NDArray[Any], mask: NDArray[np.bool_] | None) -> ForRun:
        """Return the function from a run's frames ``(n, y, x)`` to inputs, given some of its frames and its mask."""
        ...

    def statistics(self) -> dict[str, Tensor]:
        """Return the arrays to keep beside the weights."""
        ...


class Standardised:
    """The paper's: each central pixel to zero mean and unit variance over the training frames."""

    def __init__(self, training: Iterable[Frames]) -> None:
        self._standardiser = Standardiser.fit(training)
        self.shape = (1, *self._standardiser.mean.shape)

    def for_run(self, sample: NDArray[Any], mask: NDArray[np.bool_] | None) -> ForRun:
        """Return the standardiser with the run's mask."""
        return lambda frames: self._standardiser(frames, mask)

    def statistics(self) -> dict[str, Tensor]:
        """Return mean and deviation per pixel."""
        return self._standardiser.statistics()


class Fringes:
    """The default model's: pattern and fringe spectrum, free of the detector's units; nothing is learnt."""

    shape = (CHANNELS, SIDE, SIDE)

    def __init__(self, training: Iterable[Frames]) -> None:
        del training

    def for_run(self, sample: NDArray[Any], mask: NDArray[np.bool_] | None) -> ForRun:
        """Measure the run by the sample, and return the features by those constants."""
        measured = checked_mask(sample, mask)
        constants = measure_run(sample, measured)

        def inputs(frames: NDArray[Any]) -> Inputs:
            with torch.inference_mode():
                return model_input(prepare(frames, measured, constants)).numpy()

        return inputs

    def statistics(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}


PREPROCESSING: dict[str, Callable[[Iterable[Frames]], Preprocessing]] = {
    Standardiser.NAME: Standardised,
    NAME: Fringes,
}
"""Maker of every preprocessing, by name, from the training frames (which it may not need). Open: add your own."""


def require_known(name: str) -> None:
    """Raise a PlanError if there is no preprocessing of this name."""
    if name not in PREPROCESSING:
        raise PlanError(f"model.preprocessing: unknown {name!r}; known: {', '.join(sorted(PREPROCESSING))}")
