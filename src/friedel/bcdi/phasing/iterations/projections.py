"""The two projections every iterative method is made of; pure functions over batches of objects.

Objects are ``(..., z, y, x)`` complex with the origin at the centre; see `measured` for why nothing is shifted.
"""

from typing import Any

import torch
from torch import Tensor

from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.support import smooth
from friedel.core.fourier import (
    fourier_corner,
    inverse_fourier_corner,
    inverse_real_fourier_corner,
    real_fourier_corner,
)

# Keeps 1/|F| finite where the model is dark; far below one photon for any object worth phasing.
_DARK = 1e-20
# Width of the average that amplitudes are drawn to, voxels: wider than stripes, which are 3 to 6 voxels apart, and
# narrow enough that a density which changes over the crystal may do so.
_AROUND = 4.0
# Beyond the reach of any voxel deep inside nothing is known of the density.
_REACH = 1e-3
# How much brighter a voxel's amplitude may get in one projection under partial coherence.
_STEEPEST = 10.0


def intensity_of(diffraction: Tensor, blur: Tensor | None = None) -> Tensor:
    """Return |F|² of complex ``(..., z, y, x)``, convolved with the coherence function if ``blur`` is given."""
    squared = _Squared.apply if diffraction.requires_grad else _squared
    coherent: Tensor = squared(diffraction)
    if blur is None:
        return coherent
    return inverse_real_fourier_corner(real_fourier_corner(coherent) * blur, coherent.shape[-3:]).clamp_min(0.0)


def _squared(diffraction: Tensor) -> Tensor:
    # Squares first, in one run of memory, then pairs: on a CPU several times faster than abs() or a sum over pairs.
    squares = torch.view_as_real(diffraction).square()
    return squares[..., 0] + squares[..., 1]


class _Squared(torch.autograd.Function):
    """|F|², whose gradient is 2 F: twice as fast as what autograd makes of its steps."""

    @staticmethod
    def forward(ctx: Any, diffraction: Tensor) -> Tensor:
        ctx.save_for_backward(diffraction)
        return _squared(diffraction)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (diffraction,) = ctx.saved_tensors
        return torch.view_as_complex(torch.view_as_real(diffraction) * (2.0 * gradient)[..., None])


def project_modulus(obj: Tensor, measured: Measured) -> Tensor:
    """Return the nearest object whose diffraction has the measured amplitudes; unknown voxels stay as they are.

    Parameters
    ----------
    obj : (..., z, y, x) complex Tensor
        Objects, origin at the centre.
    measured : Measured
        Amplitudes; with partial coherence the ratio is taken against the blurred intensity
        (Clark et al., Nat. Commun. 3, 993, 2012).

    Returns
    -------
    (..., z, y, x) complex Tensor
    """
    diffraction = fourier_corner(obj)
    intensity = intensity_of(diffraction, measured.blur)
    if measured.blur is not None:
        # The FFT of a narrow blur rings: beside the peak the blurred model may be near 0 where |F| isn't; so the ratio
        # is limited.
        intensity = torch.maximum(intensity, measured.amplitude.square() / _STEEPEST**2)
    inverse_modulus = intensity.add_(_DARK).rsqrt_()
    diffraction *= torch.addcmul(measured.unfitted, measured.amplitude, inverse_modulus)
    return inverse_fourier_corner(diffraction)


def project_support(obj: Tensor, support: Tensor) -> Tensor:
    """Return the object set to zero outside the support (``(..., z, y, x)`` bool)."""
    return obj * support


def towards_uniform(values: Tensor, deep: Tensor, share: float) -> Tensor:
    """Return objects whose amplitudes are drawn to what they are on average around: a crystal has one density.

    Local minima of strongly strained crystals show as stripes of amplitude, which no fit punishes and no crystal has.
    Deep inside amplitudes are drawn both ways; on the surface, where voxels are partly filled, only down.

    Parameters
    ----------
    values : (..., z, y, x) complex Tensor
        Objects, in a box around the support.
    deep : (..., z, y, x) bool Tensor
        Voxels deep inside: those that no surface cuts.
    share : float
        How far they are drawn: 0 not at all, 1 all the way.
    """
    amplitude = torch.mul(values, values.conj()).real.sqrt()
    inside = deep.to(amplitude.dtype)
    weight = smooth(inside, _AROUND)
    around = torch.where(weight > _REACH, smooth(amplitude * inside, _AROUND) / weight, amplitude)
    wanted = torch.where(deep, around, torch.minimum(amplitude, around))
    return values * (1.0 + share * (wanted / amplitude.clamp_min(1e-30) - 1.0))
