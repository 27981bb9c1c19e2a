"""Which of several processes that train together this is, before the trainer knows it. Starts none."""

import os
import time
from collections.abc import Callable

from friedel.base.errors import InputError

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
