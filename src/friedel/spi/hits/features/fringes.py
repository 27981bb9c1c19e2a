"""Fringe visibility: how much fringes, streaks and speckles a pattern shows, in units of its own noise.

A blur without fringes only ever falls from the beam outwards, and around it varies as an ellipse does, whatever its
size, background and mask. So two things count: light that rises again along rays from the beam (fringes), and light
that varies around the beam faster than twice a turn (streaks, speckles). Both on several scales, and summed over
sectors: a weak ring shows in no single cell. No model of a particle, no training.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

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
    best = torch.zeros(len(photons))
    for scale in _SCALES:
        best = torch.maximum(best, _Changes.outwards(photons, area, frames.read_variance, scale).significance())
        photons, area = (values[..., ::2] + values[..., 1::2] for values in (photons, area))
    return best.sqrt()


@dataclass(frozen=True, eq=False)
class _Changes:
    """Changes of the light from stretch to stretch of each sector, weighed so that sectors can be added.

    Attributes
    ----------
    rise, variance, least, uneven, counted : (n, sectors, stretches) float32
        The change and its variance by counting; the variance of one photon more, for no count of zero is without
        error; what an uneven response can make; and whether both stretches were measured.
    """

    rise: Tensor
    variance: Tensor
    least: Tensor
    uneven: Tensor
    counted: Tensor

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
            least=(squared * (inner**2 + outer**2)).expand_as(density[..., 1:]),
            uneven=density[..., :-1].clamp_min(0) * weight * _UNEVEN_RAYS,
            counted=counted,
        )

    def significance(self) -> Tensor:
        """Return Σ t² of the significant rises, ``(n,)``: the greatest of single sectors, and of 2, 4 … together."""
        t = self.rise / (self.variance + self.least).addcmul_(self.uneven, self.uneven).add_(1e-12).sqrt_()
        significant = t.clamp_min_(_LEAST).square_().sub_(_LEAST**2).sum((1, 2))
        mine = significant - _NOISE_LEAVES * self.counted.sum((1, 2))
        return torch.maximum(mine, self._halved().significance()) if self.rise.shape[1] > 1 else mine

    def _halved(self) -> "_Changes":
        rise, variance, uneven = (v[:, ::2] + v[:, 1::2] for v in (self.rise, self.variance, self.uneven))
        least, counted = (torch.maximum(v[:, ::2], v[:, 1::2]) for v in (self.least, self.counted))
        return _Changes(rise, variance, least, uneven, counted)


def variation_around(frames: Polar) -> Tensor:
    """Return the significance of light that varies around the beam faster than an ellipse's, ``(n,)``.

    Opposite sectors are added, so that a beam off the centre makes nothing.
    """
    best, read_variance = torch.zeros(len(frames)), frames.read_variance
    for scale in _SCALES_AROUND:
        n, a = (values.reshape(len(values), SECTORS // 2, -1, scale).sum(-1).mT for values in frames.half_turn())
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
    """Return cos 2θ and sin 2θ of the sectors of a half turn, ``(2, sectors / 2)``."""
    angle = 2 * np.pi * (np.arange(SECTORS // 2) + 0.5) / SECTORS
    return torch.tensor(np.stack([np.cos(2 * angle), np.sin(2 * angle)]), dtype=torch.float32)


def _ellipse(n: Tensor, a: Tensor, read_variance: float) -> Tensor:
    """Return the photons expected around each ring, area · exp(c₀ + c cos 2θ + s sin 2θ), by quasi-likelihood.

    ``n`` and ``a`` are ``(frames, rings, sectors)``. That is what an ellipse of Gaussian light, of any axes, has.
    """
    cosine, sine = _twice_a_turn()
    total = n.sum(-1, keepdim=True).clamp_min(0) + _HALF_A_PHOTON
    c = s = torch.zeros_like(total)
    model = a * (total / a.sum(-1, keepdim=True).clamp_min(1e-3))
    for _ in range(_NEWTON_STEPS):
        share = model / (model + read_variance * a + _HALF_A_PHOTON)
        weight, gap = share * model, share * (n - model)
        sums = weight.sum(-1, keepdim=True).clamp_min(1e-6)
        dc, ds = (turn - (weight @ turn)[..., None] / sums for turn in (cosine, sine))
        cc, ss, cs = ((weight * one * other).sum(-1, keepdim=True) for one, other in ((dc, dc), (ds, ds), (dc, ds)))
        gc, gs = ((gap * turn).sum(-1, keepdim=True) for turn in (dc, ds))
        cc, ss = cc + 1, ss + 1
        det = cc * ss - cs**2
        c = c + ((ss * gc - cs * gs) / det).clamp_(-1, 1)
        s = s + ((cc * gs - cs * gc) / det).clamp_(-1, 1)
        model = a * torch.exp(c * cosine + s * sine)
        model = model * (total / model.sum(-1, keepdim=True).clamp_min(1e-6))
    return model
