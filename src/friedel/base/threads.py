"""How many threads torch takes for a piece of work: small arrays are done before a second thread has woken up."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

# Measured on two cores: phasing 32³ takes a third of the time on one thread, 64³ four fifths; 128³ gains by two.
_SMALL_VOXELS = 80**3


def cores() -> int:
    """Return how many cores this process may use; where the system doesn't say, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """Return the numerical libraries that are loaded; looking for them takes milliseconds."""
    return ThreadpoolController()


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep NumPy's libraries, and torch if it is in use, to one core for a piece of work; give the others back then."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(1)
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def stay_single_threaded() -> None:
    """Keep this process to one core from now on: for one of several that work side by side."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    _libraries().limit(limits=1, user_api="blas")


@contextmanager
def threads_for(n_voxels: int) -> Iterator[None]:
    """Let torch work on arrays of so many voxels with as many threads as are worth it: one, if they are small."""
    if n_voxels > _SMALL_VOXELS:
        yield
        return
    with single_thread():
        yield
