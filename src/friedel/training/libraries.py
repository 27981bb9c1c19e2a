"""The training libraries, from one place: absent, they end in the line that installs them. Quiet while they work.

Import this only from modules that train; the rest of the package runs without.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from friedel.base.errors import MissingDependencyError

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
    # Lightning calls a part of torch that torch is about to rename.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's chatter and the warnings listed here, for as long as the block runs."""
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
