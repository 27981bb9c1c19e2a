"""How far a predicted object is from the truth, or from its pattern; shift, global phase and twin don't count.

All functions are differentiable, take batches and return one number an object. Diffractions are centred.
"""

import torch
from torch import Tensor
from torch.nn import functional

from friedel.core.fourier import fourier, inverse_fourier_corner

AXES = (-3, -2, -1)
_DARK = 1e-12  # keeps quotients and roots finite where a pattern or a prediction is zero
# Fraction of the bulk amplitude at which a prediction is cut off where the network gives no shape; and the largest
# share of the box that is kept: a prediction of uniform weak amplitude mustn't fill the whole box.
_EDGE, _LARGEST = 0.2, 0.35


def blind_correlation(prediction: Tensor, truth: Tensor, *, weighting: float = 1.0) -> Tensor:
    """Return the correlation of objects, given by their diffractions; shift, global phase and twin don't count.

    |⟨ψ, ψ'⟩| is the modulus of the sum of F F'* over reciprocal space; for every shift by whole voxels it is that
    of the product's transform, whose maximum is taken. The twin's diffraction is F*. Twin-blind as in Masto et al.,
    arXiv:2507.06644, who compare phases.

    Parameters
    ----------
    prediction, truth : (b, z, y, x) complex Tensor
        Diffractions.
    weighting : float
        Power of |truth| that each voxel counts with, in place of 1.

    Returns
    -------
    (b,) Tensor
        0 to 1.
    """
    strength = truth.abs()
    weight = (strength / strength.amax(AXES, keepdim=True).clamp_min(_DARK) + 1e-4) ** (2 * (weighting - 1))
    norm = (weight * _squares(prediction)).sum(AXES) * (weight * _squares(truth)).sum(AXES)
    products = torch.stack([weight * prediction * truth.conj(), weight * prediction * truth])
    # The transform is "ortho": its values are the sums over reciprocal space divided by √n. A centred array, taken for
    # a corner one, only turns its phases.
    over_shifts = _squares(inverse_fourier_corner(products)) * truth[0].numel()
    best = over_shifts.amax(AXES).amax(0)
    return (best / norm.clamp_min(_DARK)).clamp_min(_DARK).sqrt()


def misfit(diffraction: Tensor, amplitude: Tensor, measured: Tensor) -> Tensor:
    """Return χ = ‖s·|F| − A‖ / ‖A‖ over measured voxels, with the best scale s, ``(b,)``.

    Parameters
    ----------
    diffraction : (b, z, y, x) complex Tensor
        F of the prediction.
    amplitude : (b, z, y, x) Tensor
        A, any scale.
    measured : (b, z, y, x) Tensor
        1 where measured, 0 elsewhere.
    """
    modulus = (_squares(diffraction) + _DARK).sqrt() * measured
    amplitude = amplitude * measured
    scale = (modulus * amplitude).sum(AXES, keepdim=True) / modulus.square().sum(AXES, keepdim=True).clamp_min(_DARK)
    left = (scale * modulus - amplitude).square().sum(AXES)
    return (left / amplitude.square().sum(AXES).clamp_min(_DARK) + _DARK).sqrt()


def confined(obj: Tensor) -> Tensor:
    """Return objects ``(b, z, y, x)`` cut to where their smoothed amplitude is strong, a third of the box at the most.

    A prediction made from the measured amplitude fits it by construction; cut to a crystal, it fits only if it is one.
    """
    amplitude = obj.detach().abs()
    bulk = (amplitude**4).sum(AXES, keepdim=True) / amplitude.square().sum(AXES, keepdim=True).clamp_min(_DARK)
    near = functional.avg_pool3d(amplitude[:, None], 3, stride=1, padding=1)[:, 0]
    outside = round((1 - _LARGEST) * near[0].numel())
    weakest = near.flatten(1).kthvalue(outside, dim=1).values.reshape(-1, 1, 1, 1)
    return obj * (near > torch.maximum(_EDGE * bulk.sqrt(), weakest))


def own_diffraction(obj: Tensor) -> Tensor:
    """Return the diffraction ``(b, z, y, x)`` of what of an object is left when it is `confined`."""
    return fourier(confined(obj))


def _squares(values: Tensor) -> Tensor:
    pairs = torch.view_as_real(values).square()
    return pairs[..., 0] + pairs[..., 1]
