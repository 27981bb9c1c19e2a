"""How many threads torch takes for a piece of work: small arrays are done before a second thread has woken up."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Measured on two cores: phasing 32³ takes a third of the time on one thread, 64³ four fifths; 128³ gains by two.
_SMALL_VOXELS = 80**3


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep torch, if it is in use, from taking several cores for one piece of work; give them back afterwards."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_for(n_voxels: int) -> Iterator[None]:
    """Let torch work on arrays of so many voxels with as many threads as are worth it: one, if they are small."""
    if n_voxels > _SMALL_VOXELS:
        yield
        return
    with single_thread():
        yield
