"""How much likelier a frame's rings are with a particle's light in them than by the run's background alone.

A weak hit differs from a blank by a few photons that fall off otherwise. By Neyman and Pearson nothing tells them apart
better than the ratio of their likelihoods. What isn't known is averaged over: the background's strength in this shot,
its commonest change of shape, the particle's size and its share of the light. Rings alone count; structure around the
beam is `fringes`' part.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from friedel.spi.hits.features.polar import Polar
from friedel.spi.hits.sizes.spheroid import sphere_rings

if TYPE_CHECKING:
    from friedel.spi.hits.probability.blanks import Background

# What the likelihood is averaged over: standard deviations of the change of shape, diameters, shares of the light.
_CHANGES = torch.tensor([-1.2, 0.0, 1.2])
_DIAMETERS = torch.from_numpy(np.geomspace(2.5, 40, 8)).float()
_SHARES = torch.tensor([0.01, 0.025, 0.06, 0.15, 0.3, 0.5, 0.75, 0.95, 0.999])
# Strengths of the background for which models are made, standard deviations of its logarithm.
_STRENGTHS = torch.tensor([0.0, -2.4, -1.2, 1.2, 2.4])
# The background's shape is known to a tenth: a ring tells no more than this many photons would.
_TRUSTED_PHOTONS = 100.0
# Blanks' brightness has wider wings than a normal distribution: those of Student's t with so many degrees of freedom.
_FREEDOM = 3.0
_DARKEST = 1e-6


def evidence_of_a_hit(frames: Polar, background: "Background") -> Tensor:
    """Return the logarithm of p(rings | particle and background) / p(rings | background), ``(n, 2)`` float32.

    First with the blanks' mean shape as it is, then averaged over its commonest change too.

    Parameters
    ----------
    frames : Polar
        Of the background's run.
    background : Background
        The run's.
    """
    photons, area = frames.rings()
    brightness, _ = background.brightness(frames)
    departure = (brightness - background.level) / background.spread
    # Read noise stands as so many more photons: the same variance, and Poisson's likelihood holds for both. It alone
    # makes the models depend on the background's strength.
    noise = background.noise(area, frames.read_variance)
    counted = (photons + noise).clamp_min(0)
    strengths = _STRENGTHS if frames.read_variance else _STRENGTHS[:1]
    nearest = (departure[:, None] - strengths).abs().argmin(1)
    found = torch.zeros(len(frames), 2)
    for number, strength in enumerate(strengths.tolist()):
        rows = (nearest == number).nonzero()[:, 0]
        if len(rows):
            mine, dark = (values[rows] if len(area) > 1 else values for values in (area, noise))
            models = _Models.of(background, mine.mean(0), dark.mean(0), strength)
            found[rows] = models.ratios(counted[rows], mine, departure[rows], background.spread)
    return found


@dataclass(frozen=True, eq=False)
class _Models:
    """Photons a pixel of blanks ``(changes, 64)`` and of hits ``(changes, shares, diameters, 64)``, of equal sums."""

    blank: Tensor
    hit: Tensor

    @classmethod
    def of(cls, background: "Background", area: Tensor, noise: Tensor, strength: float) -> "_Models":
        shapes = background.profile * (_CHANGES[:, None] * background.change).exp()
        total = (area @ background.profile) * np.exp(background.level + strength * background.spread)
        light = total * _of_one_photon(shapes, area)[:, None, None]
        particle = total * _of_one_photon(_particles(), area)
        shares, floor = _SHARES[:, None, None], noise / area.clamp_min(1) + _DARKEST
        return cls(blank=light[:, 0, 0] + floor, hit=(1 - shares) * light + shares * particle + floor)

    def ratios(self, counted: Tensor, area: Tensor, departure: Tensor, spread: float) -> Tensor:
        """Return both ratios of frames' rings ``(n, 64)``, whose background would be so much stronger than usual."""
        trust, at = _TRUSTED_PHOTONS / (_TRUSTED_PHOTONS + counted), len(_CHANGES) // 2
        expected = area * (counted.sum(1) / (area @ self.blank[at]).clamp_min(_DARKEST))[:, None]
        blank, hit = (self._likelihood(counted * trust, expected * trust, m) for m in (self.blank, self.hit))
        blank = blank + _wings(departure)[:, None]
        left = departure[:, None] + (1 - _SHARES).log() / spread
        hit = hit + _wings(left)[:, None, :, None]
        fixed = hit[:, at].logsumexp((1, 2)) - blank[:, at]
        free = hit.logsumexp((1, 2, 3)) - blank.logsumexp(1)
        return torch.stack([fixed, free], dim=1) - np.log(len(_SHARES) * len(_DIAMETERS))

    def _likelihood(self, counted: Tensor, expected: Tensor, model: Tensor) -> Tensor:
        flat = model.flatten(0, -2)
        return (counted @ flat.log().T - expected @ flat.T).view(-1, *model.shape[:-1])


@cache
def _particles() -> Tensor:
    """Return the rings of the particles averaged over, ``(diameters, 64)``."""
    return sphere_rings(_DIAMETERS)


def _wings(departure: Tensor) -> Tensor:
    """Return the logarithm of the density of brightnesses, but for a constant."""
    return -(_FREEDOM + 1) / 2 * (departure**2 / _FREEDOM).log1p()


def _of_one_photon(shapes: Tensor, area: Tensor) -> Tensor:
    return shapes / (shapes @ area).clamp_min(_DARKEST)[..., None]
