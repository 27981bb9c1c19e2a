"""Where arrays live and how chance is seeded: always arguments, never globals."""

import torch

from friedel.core.errors import PlanError


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device asked for, or CUDA if there is one, else the CPU.

    Raises
    ------
    PlanError
        If CUDA is asked for by name and absent.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise PlanError(f"device {str(device)!r} was asked for, but torch sees no CUDA GPU; use device='cpu' or None")
    return chosen


def generator(seed: int) -> torch.Generator:
    """Return a CPU random generator of this seed: the same numbers whatever the device."""
    return torch.Generator().manual_seed(seed)
