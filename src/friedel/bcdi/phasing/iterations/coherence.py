"""Partial coherence as a Gaussian blur of the intensities (Clark et al., Nat. Commun. 3, 993, 2012)."""

import torch
from torch import Tensor

from friedel.core.fourier import frequencies, half_frequencies


def transfer(widths: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return the half-spectrum transfer function of a Gaussian blur.

    Parameters
    ----------
    widths : (3,) Tensor
        Standard deviations along ``(z, y, x)``, voxels of reciprocal space; their sign doesn't matter.
    shape : (int, int, int)
        Array shape.

    Returns
    -------
    (z, y, x // 2 + 1) Tensor
    """
    axes = [frequencies(n, device=widths.device) for n in shape[:2]] + [
        half_frequencies(shape[2], device=widths.device)
    ]
    z, y, x = (torch.exp(-2 * (torch.pi * width * axis) ** 2) for width, axis in zip(widths, axes, strict=True))
    return z[:, None, None] * y[None, :, None] * x[None, None, :]
