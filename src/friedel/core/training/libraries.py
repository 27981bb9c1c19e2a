"""The training libraries, imported in one place: the error for absent ones names the command to install them.

Import this only from modules that train; the rest of the package runs without.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from friedel.core.errors import InputError, MissingDependencyError

try:
    import lightning.pytorch as pl
    import tensorboard  # noqa: F401 - Lightning's logger asks for it late, after the data are ready
    import torchmetrics
    from torchmetrics import classification as metrics
except ImportError as error:
    raise MissingDependencyError(error.name or "lightning", "train", "train a network") from error

__all__ = ["metrics", "pl", "quiet", "torchmetrics"]

# Advice that doesn't hold here, by its beginning.
_NOT_HERE = (
    # Batches are slices of a memory map: workers would only copy them.
    r"The '\w+' does not have many workers",
    # A short training is not a mistake.
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    # The checkpoints of the run that is being resumed.
    r"Checkpoint directory .* exists and is not empty",
    # The user chose the device.
    r"GPU available but not used",
    # One process trains unless the user starts several.
    r"The `srun` command is available on your system but is not used",
    # Lightning calls a part of torch that torch is about to rename.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's log lines and the warnings listed here, for as long as the block runs."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for beginning in _NOT_HERE:
                warnings.filterwarnings("ignore", message=beginning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


# torchrun and Lightning's own launcher set the first three, SLURM the last.
_NUMBERS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def first_process() -> bool:
    """Say whether this is the process that prepares and writes for all; alone, it is."""
    return all(int(os.environ.get(name) or 0) == 0 for name in _NUMBERS)


def wait_until(ready: Callable[[], bool], what: str, *, seconds: float = 24 * 3600.0, pause: float = 1.0) -> None:
    """Wait for what the first process makes for all.

    Parameters
    ----------
    ready : callable
        Says whether it is there.
    what : str
        What is waited for, for the error.
    seconds, pause : float
        How long at most, and how long between two looks.

    Raises
    ------
    InputError
        If it takes too long.
    """
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise InputError(f"{what}: not made by the first process within {seconds:g} s; look at its output")
        time.sleep(pause)
