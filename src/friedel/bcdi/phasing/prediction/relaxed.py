"""A few projections between a network's prediction and its use: they take milliseconds and lower its misfit.

They correct small errors only: a prediction of a wrong object stays wrong. The support follows by shrink-wrap.
"""

import torch
from torch import Tensor

from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, iterate, start_from
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.multiscale import central_part, lift, limited_shape, lower
from friedel.bcdi.phasing.iterations.projections import project_modulus
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import shrink_wrap

THRESHOLD = 0.2
"""Fraction of the bulk amplitude at which a prediction is cut out."""
_SIGMA = 0.7  # voxels of smoothing before the threshold: single bright voxels don't count, and the surface stays sharp
_EVERY = 4  # iterations between updates of the support: three in the twelve projections of the default
# Projections run on at most this central part of the pattern: there they take a quarter of a millisecond.
_VOXELS = 32


def cut_out(obj: Tensor) -> tuple[Tensor, Tensor]:
    """Return an object ``(z, y, x)`` set to zero outside its support, and the support."""
    anywhere = torch.ones(obj.shape, dtype=torch.bool, device=obj.device)[None]
    support = shrink_wrap(obj[None], anywhere, threshold=THRESHOLD, sigma=_SIGMA)[0]
    return obj * support, support


def relaxed(obj: Tensor, measured: Measured, schedule: str) -> tuple[Tensor, Tensor]:
    """Return a prediction after some projections, cut out, and its support.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        The prediction, on the measurement's grid.
    measured : Measured
        The measurement.
    schedule : str
        What to run (see `parse_schedule`), on the pattern's central part of at most 32³; a larger pattern's fringes
        beyond it come in by two projections at full size. Empty only cuts out.
    """
    if not schedule:
        return cut_out(obj)
    small = central_part(measured, limited_shape(measured.shape, _VOXELS))
    whole = small.shape == measured.shape
    coarse, support = cut_out(obj if whole else lower(obj, small.shape))
    wrap = ShrinkWrap(threshold=THRESHOLD, sigma=(_SIGMA, _SIGMA), every=_EVERY, first=0)
    state = iterate(start_from(small, coarse[None], support[None]), small, parse_schedule(schedule), wrap=wrap)
    if whole:
        return state.confined[0], state.support[0]
    fine, _ = cut_out(project_modulus(lift(state.confined[0], measured.shape), measured))
    return cut_out(project_modulus(fine, measured))
