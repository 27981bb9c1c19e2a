"""What to do when a batch doesn't fit the memory: halve it, and say so."""

from collections.abc import Callable

import torch
from torch import Tensor

from friedel.base.errors import InputError
from friedel.base.observer import Observer, Warned, silent

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on a GPU or on the CPU (where torch has no class for it)."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def in_smaller_batches(work: Callable[[Tensor], Tensor], inputs: Tensor, *, observer: Observer = silent) -> Tensor:
    """Apply a function to a batch, in halves, quarters, … of it where the memory doesn't suffice for all at once.

    Parameters
    ----------
    work : function
        Maps a batch ``(b, ...)`` to ``(b, ...)``, each entry by itself.
    inputs : (b, ...) Tensor
        The batch.
    observer : Observer
        Told of each halving.

    Raises
    ------
    InputError
        If not even a single entry fits.
    """
    size = len(inputs)
    while True:
        try:
            return torch.cat([work(part) for part in torch.split(inputs, size)])
        except (RuntimeError, MemoryError) as error:
            size = smaller(size, error, observer=observer)


def smaller(size: int, error: BaseException, *, least: int = 1, observer: Observer = silent) -> int:
    """Return half the size of a batch that didn't fit, and say so; any other error is raised again.

    Parameters
    ----------
    size : int
        The batch that didn't fit.
    error : Exception
        What it came to.
    least : int
        Smallest batch to try.
    observer : Observer
        Told.

    Raises
    ------
    InputError
        If the batch was the smallest already.
    """
    if not is_out_of_memory(error):
        raise error
    if size // 2 < least:
        raise InputError(
            f"out of memory with a batch of {size}: take a smaller array or network, or another device ('cpu')"
        ) from error
    observer(Warned("memory", f"a batch of {size} doesn't fit the memory: going on with {size // 2} at a time"))
    return size // 2
