"""How well a model explains the photons: χ, Poisson deviance, and the losses that refinement minimises."""

import torch
from torch import Tensor

# Variance-stabilising offset of √ for Poisson counts (Anscombe, Biometrika 35, 246, 1948). It also rounds off the
# kink of the amplitude loss at dark voxels, where wrong phases would otherwise lock in.
ANSCOMBE = 3.0 / 8.0
_AXES = (-3, -2, -1)


def chi(modulus: Tensor, amplitude: Tensor) -> Tensor:
    """Return ‖s·m − A‖ / ‖A‖ over the last three axes with the best scale s; both are zero where not compared."""
    cross, power = (modulus * amplitude).sum(_AXES), modulus.square().sum(_AXES)
    total = amplitude.square().sum(_AXES)
    return (1.0 - cross.square() / (power * total).clamp_min(1e-30)).clamp_min(0.0).sqrt()


def deviance(model: Tensor, photons: Tensor) -> Tensor:
    """Return the Poisson deviance of each voxel, 2 (m − n + n ln(n/m)); about 1 on average where the model is true."""
    bright = torch.where(photons > 0, photons * torch.log(photons.clamp_min(1e-9) / model.clamp_min(1e-9)), 0.0)
    return 2.0 * (model - photons + bright)


def mean_deviance(model: Tensor, photons: Tensor, weight: Tensor) -> Tensor:
    """Return the mean deviance over the last three axes where ``weight`` is 1."""
    return (deviance(model, photons) * weight).sum(_AXES) / weight.sum(_AXES).clamp_min(1.0)


def amplitude_loss(model: Tensor, photons: Tensor, weight: Tensor) -> Tensor:
    """Return 2 Σ w (√(m + 3/8) − √(n + 3/8))²: a Gaussian likelihood of the stabilised amplitudes, scalar."""
    return 2.0 * (weight * ((model + ANSCOMBE).sqrt() - (photons + ANSCOMBE).sqrt()).square()).sum()


def poisson_loss(model: Tensor, photons: Tensor, weight: Tensor) -> Tensor:
    """Return half the Poisson deviance, scalar, with a floor of 0.01 photons under the logarithm."""
    floored = model + 1e-2
    return (weight * (model - photons * torch.log(floored / (photons + 1e-2)))).sum()


LOSSES = {"amplitude": amplitude_loss, "poisson": poisson_loss}
