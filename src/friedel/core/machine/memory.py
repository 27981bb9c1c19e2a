"""Memory: keep the C allocator from handing every array back to the kernel, and make batches smaller that do not fit.

By default glibc serves each block above a threshold straight from the kernel and returns it on release. An iterative
solver allocates and releases the same arrays thousands of times, and then spends much of its time in page faults.
Raising two thresholds keeps freed memory in the process for the next array: for arrays of up to 32 MiB (a complex
volume of 160³). Larger ones go back at once: kept, they would pile up to several times what is in use, because the
allocator can't reuse the gaps between them.

By default each thread also gets a heap of its own, of 64 MiB at most, and the large arrays of a batch make and unmake
such heaps all the time. One heap for all threads keeps their memory, too. This changes no result, and nothing outside
glibc (macOS, musl, Windows).
"""

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from friedel.core.errors import InputError
from friedel.core.observer import Observer, Warned, silent

if TYPE_CHECKING:
    from torch import Tensor

# Parameter numbers from glibc's <malloc.h>; mallopt(3) describes them.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGEST_KEPT_BYTES = 1 << 25  # 32 MiB, the largest threshold that mallopt takes on 64-bit systems
_KEPT_IN_ALL_BYTES = 1 << 30  # freed memory at the heap's end that stays in the process


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the process reuse freed arrays of up to 32 MiB; return whether the C library took the hint.

    Safe to call often and from anywhere: only the first call does anything. Best before the first thread starts.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    hints = {_M_MMAP_THRESHOLD: _LARGEST_KEPT_BYTES, _M_TRIM_THRESHOLD: _KEPT_IN_ALL_BYTES, _M_ARENA_MAX: 1}
    return all(mallopt(parameter, value) for parameter, value in hints.items())


_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on a GPU or on the CPU (where torch has no class for it)."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def in_smaller_batches(
    work: "Callable[[Tensor], Tensor]", inputs: "Tensor", *, observer: Observer = silent
) -> "Tensor":
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
    import torch

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
        The error that it raised.
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
