"""Other solutions that fit: near the found one, on its support and on a tighter and a looser one.

A phased object is one of several that fit nearly as well; stripes are the well-known difference. Iterating on from the
solution with strong feedback leaves its minimum and ends in another, with the support following at a threshold near
the chosen one. Where photons are few, projections onto the square roots of counts add noise; there only the support
changes. `own_share` says how much of a difference is the found solution's own error, from how well both fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.ambiguities import even_phase
from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, iterate, start_from
from friedel.bcdi.phasing.iterations.likelihood import mean_deviance
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import shrink_wrap
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.core.fourier import fourier_corner

Object = NDArray[np.complex64]

THRESHOLDS = (1.0, 1.4, 1 / 1.4)
"""Thresholds of the supports tried, relative to the chosen one: neighbours on the scan that it is chosen from."""
# Three times as many iterations come to the same differences, on average within 5 %.
_SCHEDULE, _BETA = parse_schedule("60*RAAR+10*ER"), 0.9
# Voxels of smoothing before the threshold, and iterations between updates: as in the loosest shrink-wrap of phasing
# (`LOOSE` in `friedel.bcdi.phasing.strategy`), so that the support may move.
_SIGMA, _UPDATE_EVERY = 0.5, 20
_DIM_SIGMA = 1.0  # where photons are few: noise from voxel to voxel must not make holes in the support
# Correlation of a body's amplitudes with their inversion from which it counts as centro-symmetric (crystals of random
# faces have 0.63 to 0.94, a plate 0.99), and the even phase, rms, beyond which it isn't weak: it counts in proportion.
_SYMMETRIC, _WEAK_RAD = 0.97, 0.7
_STEPS = 30  # of L-BFGS on each support; more fit the alternatives a little better, for as much more time


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another object for the same counts.

    Attributes
    ----------
    object : (z, y, x) complex64
        In any place, turn and scale.
    deviance : float
        Its mean Poisson deviance over fitted voxels, at the best scale.
    """

    object: Object
    deviance: float


def nearby(
    obj: Tensor, support: Tensor, measured: Measured, *, threshold: float, low_dose: bool, n_most: int = len(THRESHOLDS)
) -> list[Alternative]:
    """Return where going on from a solution leads, once for each of the first ``n_most`` `THRESHOLDS`.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        The solution.
    support : (z, y, x) bool Tensor
        Its support.
    measured : Measured
        The measurement.
    threshold : float
        At which its support was cut, as a fraction of the bulk's amplitude.
    low_dose : bool
        Whether photons are few.
    """
    found = []
    for factor in THRESHOLDS[:n_most]:
        level = min(threshold * factor, 0.9)
        start, followed = (_cut if low_dose else _gone_on)(obj, support, measured, level)
        refined = refine(start, followed, measured, RefineOptions(steps=_STEPS, early_stop=False)).obj
        found.append(judged(refined.cpu().numpy(), measured))
    return found


def without_even_phase(obj: Tensor, support: Tensor, measured: Measured) -> Alternative | None:
    """Return where the fit leads from the solution without its even phase; None unless the body is symmetric.

    Of a centro-symmetric body the odd part of a weak phase changes the intensities in proportion, the even part, which
    is what differs between the twins, only as its square. It fills the dark fringes, as everything does that the model
    lacks (partial coherence, background), so that a fit can put that into the phase.

    Parameters
    ----------
    obj, support, measured
        As for `nearby`.
    """
    solution: Object = obj.cpu().numpy()
    even, symmetry = even_phase(solution)
    density = np.abs(solution).astype(np.float64) ** 2
    if symmetry < _SYMMETRIC or (density * even**2).sum() > _WEAK_RAD**2 * density.sum():
        return None
    start = torch.from_numpy(solution * np.exp(-1j * even).astype(np.complex64)).to(obj.device)
    refined = refine(start, support, measured, RefineOptions(steps=_STEPS, early_stop=False)).obj
    return judged(refined.cpu().numpy(), measured)


def _gone_on(obj: Tensor, support: Tensor, measured: Measured, level: float) -> tuple[Tensor, Tensor]:
    wrap = ShrinkWrap(threshold=level, sigma=(_SIGMA, _SIGMA), every=_UPDATE_EVERY, first=1)
    state = iterate(start_from(measured, obj[None], support[None]), measured, _SCHEDULE, beta=_BETA, wrap=wrap)
    return state.confined[0], state.support[0]


def _cut(obj: Tensor, support: Tensor, measured: Measured, level: float) -> tuple[Tensor, Tensor]:
    anywhere = torch.ones_like(support)[None]
    return obj, shrink_wrap(obj[None], anywhere, threshold=level, sigma=_DIM_SIGMA)[0]


def judged(obj: Object, measured: Measured) -> Alternative:
    """Return an object with the deviance of its fit."""
    model = intensity_of(fourier_corner(torch.from_numpy(obj).to(measured.intensity.device)), measured.blur)
    scale = (measured.intensity * measured.fitted).sum() / (model * measured.fitted).sum().clamp_min(1e-30)
    return Alternative(obj, float(mean_deviance(model * scale, measured.intensity, measured.fitted)))


def own_share(deviance: float, others: Sequence[float], *, limit: float, scatter: float) -> NDArray[np.float64]:
    """Return which share of the squared difference to each other solution is the solution's own error.

    Errors of two solutions add up in their difference. They are shared out as the fits' deviances beyond photon noise
    are: equal fits make equal shares; a solution that fits much better than the found one holds nearly none of it.

    Parameters
    ----------
    deviance : float
        The solution's mean deviance.
    others : sequence of float, (n_others,)
        Those of the others.
    limit : float
        The most that a fit at the photon limit leaves.
    scatter : float
        Standard deviation of what photon noise leaves, from one measurement to the next.

    Returns
    -------
    (n_others,) float64
        0 to 1.
    """
    least = min([limit, deviance, *others])
    own, theirs = deviance - least + scatter, np.asarray(others, dtype=np.float64) - least + scatter
    return np.asarray(own / (own + theirs))
