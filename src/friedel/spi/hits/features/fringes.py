"""Fringe visibility: how much fringes, streaks and speckles a pattern shows, in units of its own noise.

A blur without fringes only ever falls from the beam outwards, and around it varies as an ellipse does, whatever its
size, background and mask. So two things count: light that rises again along rays from the beam (fringes), and light
that varies around the beam faster than twice a turn (streaks, speckles). Both on several scales, and summed over
sectors: a weak ring shows in no single cell. No model of a particle, no training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from friedel.spi.hits.features.polar import DRIFT, SECTORS, Polar

_SCALES = (1, 2, 4, 8)  # rings that are added to a stretch: fringes are 2 to 16 pixels from dark to bright and back
_SCALES_AROUND = (4, 8)  # the same for variation around the beam, which needs more photons a cell
# What noise alone makes: rises and variations of less than so many standard deviations don't count.
_LEAST = 3.0
# ∫ (t² − 9) over a normal distribution's tail beyond 3, and over both.
_NOISE_LEAVES = 2.5e-3
# Changes of less than this share of the light may be the detector's, or the beam's.
_UNEVEN_RAYS, _UNEVEN_AROUND = 0.05, 0.25
_HALF_A_PHOTON = 0.5  # added to counts and variances, so that dark cells aren't divided by zero
# Enough for axes of 1 : 2 within the fringes' noise.
_NEWTON_STEPS = 4


def fringe_visibility(frames: Polar) -> Tensor:
    """Return each frame's fringe visibility.

    Parameters
    ----------
    frames : Polar
        Photons about the beam.

    Returns
    -------
    (n,) float32, at least 0
        √(rises² + variation²), each √Σ t² over what is significant, the greatest of its scales, less what noise alone
        gives. About 0 without fringes; grows with the square root of the photons in them.
    """
    return torch.hypot(rises(frames), variation_around(frames))


def rises(frames: Polar) -> Tensor:
    """Return the significance of light that rises outwards, ``(n,)``."""
    photons, area = (values[:, ::2] + values[:, 1::2] for values in (frames.photons, frames.area))
    scales = []
    for scale in _SCALES:
        scales.append(_Changes.outwards(photons, area, frames.read_variance, scale))
        photons, area = (values[..., ::2] + values[..., 1::2] for values in (photons, area))
    which = torch.cat([torch.full((scale.rise.shape[-1],), k) for k, scale in enumerate(scales)])
    return _Changes.joined(scales).significance(functional.one_hot(which).float()).amax(1).clamp_min(0).sqrt()


@dataclass(frozen=True, eq=False)
class _Changes:
    """Changes of the light from stretch to stretch of each sector, weighed so that sectors can be added.

    Attributes
    ----------
    rise, variance, uneven : (n, sectors, stretches) float32
        The change and its variance by counting; and what an uneven response can make.
    least, counted : (1 or n, sectors, stretches) float32
        The variance of one photon more, for no count of zero is without error; and whether both stretches were
        measured.
    """

    rise: Tensor
    variance: Tensor
    uneven: Tensor
    least: Tensor
    counted: Tensor

    @classmethod
    def joined(cls, parts: Sequence["_Changes"]) -> "_Changes":
        """Return the stretches of several scales side by side."""
        return cls(*(torch.cat([getattr(part, name) for part in parts], dim=-1) for name in cls.__annotations__))

    @classmethod
    def outwards(cls, n: Tensor, a: Tensor, read_variance: float, scale: int) -> "_Changes":
        """Compare stretches of ``scale`` rings with the next ones of the same sector: a mask then makes no rise.

        Parameters
        ----------
        n, a : (frames, sectors, stretches) float32
            Photons and measured pixels of each stretch.
        read_variance : float
            Of a pixel, photons².
        scale : int
            Rings in a stretch.
        """
        share = 1 / a.clamp_min(1e-3)
        density = n * share
        noise = (n.clamp_min(0) * share).add_(read_variance).mul_(share)
        counted = ((a[..., :-1] > scale * 0.5) & (a[..., 1:] > scale * 0.5)).to(n.dtype)
        inner, outer = share[..., :-1], share[..., 1:]
        weight = counted / (inner + outer)
        squared = weight**2
        drift = DRIFT**2 * read_variance
        return cls(
            rise=(density[..., 1:] - density[..., :-1]).mul_(weight),
            variance=(noise[..., 1:] + noise[..., :-1] + drift).mul_(squared),
            uneven=density[..., :-1].clamp_min(0) * (weight * _UNEVEN_RAYS),
            least=squared * (inner**2 + outer**2),
            counted=counted,
        )

    def significance(self, groups: Tensor) -> Tensor:
        """Return Σ t² of the significant rises, ``(n, k)``: the greatest of single sectors, and of 2, 4 … together.

        ``groups`` ``(stretches, k)`` says which stretches are added.
        """
        t = (self.variance + self.least).addcmul_(self.uneven, self.uneven).add_(1e-12).rsqrt_().mul_(self.rise)
        significant = t.clamp_min_(_LEAST).square_().sub_(_LEAST**2).sum(1)
        mine = (significant - _NOISE_LEAVES * self.counted.sum(1)) @ groups
        return torch.maximum(mine, self._halved().significance(groups)) if self.rise.shape[1] > 1 else mine

    def _halved(self) -> "_Changes":
        rise, variance, uneven = (v[:, ::2] + v[:, 1::2] for v in (self.rise, self.variance, self.uneven))
        least, counted = (torch.maximum(v[:, ::2], v[:, 1::2]) for v in (self.least, self.counted))
        return _Changes(rise, variance, uneven, least, counted)


def variation_around(frames: Polar) -> Tensor:
    """Return the significance of light that varies around the beam faster than an ellipse's, ``(n,)``.

    Opposite sectors are added, so that a beam off the centre makes nothing.
    """
    best, read_variance = torch.zeros(len(frames)), frames.read_variance
    halves = [values.mT for values in frames.half_turn()]
    for scale in _SCALES_AROUND:
        n, a = (values.reshape(len(values), -1, scale, SECTORS // 2).sum(2) for values in halves)
        known = (a > scale).to(n.dtype)
        known = known * (known.sum(-1, keepdim=True) >= SECTORS // 4)
        n, a = n * known, a * known
        model = _ellipse(n, a, read_variance)
        variance = model + (_UNEVEN_AROUND * model) ** 2 + read_variance * (a + (DRIFT * a) ** 2) + _HALF_A_PHOTON
        t = (n - model).div_(variance.sqrt_())
        significant = t.abs_().clamp_min_(_LEAST).square_().sub_(_LEAST**2).sum((1, 2))
        best = torch.maximum(best, significant - 2 * _NOISE_LEAVES * known.sum((1, 2)))
    return best.sqrt()


@cache
def _twice_a_turn() -> Tensor:
    """Return 1, c = cos 2θ, s = sin 2θ, c², s² and c s of the sectors of a half turn, ``(sectors / 2, 6)``."""
    angle = 2 * np.pi * (np.arange(SECTORS // 2) + 0.5) / SECTORS
    c, s = np.cos(2 * angle), np.sin(2 * angle)
    return torch.tensor(np.stack([np.ones_like(c), c, s, c * c, s * s, c * s], axis=1), dtype=torch.float32)


def _ellipse(n: Tensor, a: Tensor, read_variance: float) -> Tensor:
    """Return the photons expected around each ring, area · exp(c₀ + c cos 2θ + s sin 2θ), by quasi-likelihood.

    ``n`` and ``a`` are ``(frames, rings, sectors)``. That is what an ellipse of Gaussian light, of any axes, has.
    """
    turns = _twice_a_turn()
    total = n.sum(-1, keepdim=True).clamp_min(0) + _HALF_A_PHOTON
    shape = torch.zeros(*total.shape[:-1], 2)
    model = a * (total / a.sum(-1, keepdim=True).clamp_min(1e-3))
    for _ in range(_NEWTON_STEPS):
        share = model / (model + (read_variance * a + _HALF_A_PHOTON))
        weights = ((share * model) @ turns).unbind(-1)
        gap, *pulls = (share.mul_(n - model) @ turns[:, :3]).unbind(-1)
        # Moments about the weighted means of c and s: the ring's brightness is free.
        sums = weights[0].clamp_min(1e-6)
        mc, ms = weights[1] / sums, weights[2] / sums
        cc, ss, cs = weights[3] - mc * weights[1] + 1, weights[4] - ms * weights[2] + 1, weights[5] - mc * weights[2]
        gc, gs = pulls[0] - mc * gap, pulls[1] - ms * gap
        det = cc * ss - cs**2
        step = torch.stack([(ss * gc - cs * gs) / det, (cc * gs - cs * gc) / det], dim=-1)
        shape = shape + step.clamp_(-1, 1)
        model = (shape @ turns[:, 1:3].T).exp_().mul_(a)
        model = model.mul_(total / model.sum(-1, keepdim=True).clamp_min(1e-6))
    return model
