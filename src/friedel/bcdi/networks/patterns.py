"""Input of phasing networks (√I / max) and how their output becomes an object: the same in training and in use.

A phasing network has an attribute ``gives``: "object" (two channels: amplitude, and phase in radians) or "diffraction"
(two channels: cosine and sine of the reciprocal-space phase). Its grid is centred in both spaces.
"""

import torch
from torch import Tensor, nn

from friedel.core.fourier import fourier, inverse_fourier

PREPROCESSING = "oversampling, amplitude/max"
"""What the cards of phasing networks name as their preprocessing."""


def network_input(intensities: Tensor) -> Tensor:
    """Return √I / max, ``(b, 1, z, y, x)`` float32, of intensities ``(b, z, y, x)``, 0 where unknown."""
    amplitude = intensities.float().clamp_min(0.0).sqrt()
    return (amplitude / amplitude.amax((-3, -2, -1), keepdim=True).clamp_min(1e-30))[:, None]


def is_phasing_network(network: nn.Module) -> bool:
    """Say whether a network predicts objects from patterns."""
    return getattr(network, "gives", None) in ("object", "diffraction")


def predicted_object(given: Tensor, amplitude: Tensor, *, gives: str) -> Tensor:
    """Return the object that a network's output stands for.

    Parameters
    ----------
    given : (b, 2, z, y, x) Tensor
        The network's output.
    amplitude : (b, 1, z, y, x) Tensor
        What it was shown.
    gives : str
        The network's ``gives``.

    Returns
    -------
    (b, z, y, x) complex64 Tensor
        Centred, any scale.
    """
    if gives == "object":
        return torch.polar(given[:, 0].float(), given[:, 1].float())
    return inverse_fourier(amplitude[:, 0] * torch.complex(given[:, 0].float(), given[:, 1].float()))


def predicted_diffraction(given: Tensor, amplitude: Tensor, *, gives: str) -> Tensor:
    """Return the complex diffraction, ``(b, z, y, x)``, that a network's output stands for; as `predicted_object`."""
    if gives == "diffraction":
        return amplitude[:, 0] * torch.complex(given[:, 0].float(), given[:, 1].float())
    return fourier(predicted_object(given, amplitude, gives=gives))
