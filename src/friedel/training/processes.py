"""Which of several processes that train together this is, before the trainer knows it. Starts none."""

import os

# torchrun and Lightning's own launcher set the first three, SLURM the last.
_NUMBERS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def first_process() -> bool:
    """Say whether this is the process that prepares and writes for all; alone, it is."""
    return all(int(os.environ.get(name) or 0) == 0 for name in _NUMBERS)
