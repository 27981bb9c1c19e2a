"""Which fraction of a voxel should the object be shifted by? Intensities leave it open; the support decides.

A facet that lies in the middle between two voxel planes has band-limited tails on both sides; one that lies on a plane
has none. The shift is taken at which a tight support explains most of the pattern: at others, a fit on that support
makes up for the missing tails by false detail in the phase.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.iterations.iterate import chi_of, iterate, start_from
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.support import shrink_wrap
from friedel.core.fourier import fourier, frequencies, inverse_fourier

# Steps of error reduction after which places are compared; ten or twenty tell them apart no better.
_STEPS = 4
# Of the bulk amplitude: tight enough that the tails lie outside.
_THRESHOLD = 0.2
# Offsets tried along each axis, first over a whole voxel, then around the best.
_COARSE, _CLOSE = (-0.5, -0.25, 0.0, 0.25), 0.12


def placed(obj: Tensor, measured: Measured) -> Tensor:
    """Return the object ``(z, y, x)`` moved by the fraction of a voxel at which a tight support explains most.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        A solution.
    measured : Measured
        The measurement, on the object's grid.
    """
    diffraction, place = fourier(obj), np.zeros(3)
    for axis in range(3):
        misfits = [_misfit(diffraction, _at(place, axis, offset), measured) for offset in _COARSE]
        place[axis] += _COARSE[0] + 0.25 * _valley(np.array(misfits), around=True)
    misfit, best = _misfit(diffraction, place, measured), place.copy()
    for axis in range(3):
        left, right = (_misfit(diffraction, _at(place, axis, offset), measured) for offset in (-_CLOSE, _CLOSE))
        best[axis] += _CLOSE * (_valley(np.array([left, misfit, right])) - 1.0)
    return inverse_fourier(diffraction * _ramp(obj, best))


def _at(place: NDArray[np.float64], axis: int, offset: float) -> NDArray[np.float64]:
    there = place.copy()
    there[axis] += offset
    return there


def _misfit(diffraction: Tensor, place: NDArray[np.float64], measured: Measured) -> float:
    obj = inverse_fourier(diffraction * _ramp(diffraction, place))[None]
    support = shrink_wrap(obj, torch.ones_like(obj, dtype=torch.bool), threshold=_THRESHOLD, sigma=0.0)
    state = iterate(start_from(measured, obj * support, support), measured, (("ER", _STEPS),))
    return float(chi_of(state.confined, measured)[0])


def _ramp(like: Tensor, place: NDArray[np.float64]) -> Tensor:
    """Return the factor of a centred diffraction that moves its object."""
    ramp = torch.ones((1, 1, 1), dtype=like.dtype, device=like.device)
    for axis, (n, offset) in enumerate(zip(like.shape, place, strict=True)):
        angle = -2.0 * torch.pi * float(offset) * torch.roll(frequencies(n, device=like.device), n // 2)
        ramp = ramp * torch.polar(torch.ones_like(angle), angle).reshape([n if k == axis else 1 for k in range(3)])
    return ramp


def _valley(values: NDArray[np.float64], *, around: bool = False) -> float:
    """Return the position, in steps, of the minimum of a parabola through the least value and its neighbours."""
    k, n = int(np.argmin(values)), len(values)
    if not around and k in (0, n - 1):
        return float(k)
    left, right = float(values[k - 1]), float(values[(k + 1) % n])
    curved = left - 2.0 * float(values[k]) + right
    return k + (0.5 * (left - right) / curved if curved > 0 else 0.0)
