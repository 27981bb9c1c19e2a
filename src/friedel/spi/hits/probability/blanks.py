"""What a run's empty frames look like, and how far a frame goes beyond them: which frames are blanks.

The background is the run's own: the mean rings of those of its frames that show no structure and agree with each other
but for their brightness. A frame is blank if it shows no structure, is no brighter than blanks are, and its light falls
off as theirs does. A run without such frames has no background, and no frame of it is called blank.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from friedel.spi.hits.features.fringes import fringe_visibility
from friedel.spi.hits.features.polar import Polar

FEWEST = 5
"""Blanks that a sample must hold for its background to be believed."""
# Above this, frames show structure: noise alone reaches it in one frame of 200.
_STRUCTURE = 3.0
# Above this, fringes are there.
_SHOWN = 5.0
_RARE = 0.97  # quantile of the blanks' fringe visibility that is taken as what noise and detector reach
# Limits from simulated runs: the likeness (`Background.likeness`) of blanks to the run's hits is below the first, that
# of weak hits taken for blanks above it; unless blanks are more than the second share of all frames.
_LIKE_HITS, _MOST = 0.75, 0.5
_ROUNDS = 6  # of choosing members and measuring them anew
# Members of the background differ from it by less than this many standard deviations.
_ALIKE = 4.0
_UNEVENNESS = 0.1  # relative error of a ring's expected light, beside counting noise
_NARROWEST = 0.1  # least standard deviation of the logarithm of blanks' brightness: pulses differ at least by so much
_MAD_TO_SIGMA = 1.4826  # 1 / Φ⁻¹(3/4), for a normal distribution


@dataclass(frozen=True, eq=False, kw_only=True)
class Background:
    """A run's blanks.

    Attributes
    ----------
    profile : (64,) float32 tensor
        Photons a pixel of each ring, 0 where nothing was measured.
    level, spread : float
        Median and standard deviation, over blanks, of the logarithm of their brightness relative to the profile.
    structure : float
        Fringe visibility that blanks show where counting noise alone would show one; at least 1. More than that is
        the detector's or the beamline's, and is noise to the run's fringes.
    """

    profile: Tensor
    level: float
    spread: float
    structure: float = 1.0

    @classmethod
    def measured(cls, frames: Polar) -> Self | None:
        """Return the background of a sample of a run's frames; None if fewer than `FEWEST` of them can be blanks."""
        fringes = fringe_visibility(frames)
        still = fringes < _STRUCTURE
        if int(still.sum()) < FEWEST:
            return None
        quiet = frames.rows(still)
        photons, area = quiet.rings()
        brightness = photons.sum(1) / area.sum(1).clamp_min(1)
        members = brightness <= brightness.kthvalue(max(FEWEST, len(quiet) // 3)).values
        found = cls._of(quiet, members)
        for _ in range(_ROUNDS):
            excess, shape = found.departures(quiet)
            members = (excess.abs() < _ALIKE) & (shape < _ALIKE)
            if int(members.sum()) < FEWEST:
                return None
            found = cls._of(quiet, members)
        excess, shape = found.departures(frames)
        alike = (excess.abs() < _ALIKE) & (shape < _ALIKE)
        # Where most of what agrees shows structure, or looks like the frames that do, it is weak hits of one kind.
        if float(fringes[alike].median()) >= _STRUCTURE:
            return None
        if float(alike.float().mean()) < _MOST and found.likeness(frames.rows(fringes >= _SHOWN)) > _LIKE_HITS:
            return None
        return replace(found, structure=max(float(fringes[alike].quantile(_RARE)) / _STRUCTURE, 1.0))

    def likeness(self, hits: Polar) -> float:
        """Return how like the mean rings of hits the profile is: the cosine between their square roots, 0 … 1."""
        if not len(hits):
            return 0.0
        photons, area = hits.rings()
        area = area.expand_as(photons).sum(0)
        theirs, mine = photons.sum(0).clamp_min(0).sqrt(), (self.profile * area).clamp_min(0).sqrt()
        return float(torch.nn.functional.cosine_similarity(theirs, mine, dim=0))

    @classmethod
    def _of(cls, frames: Polar, members: Tensor) -> Self:
        photons, area = frames.rows(members).rings()
        profile = photons.sum(0) / area.expand_as(photons).sum(0).clamp_min(1)
        shaped = cls(profile=profile.clamp_min(0), level=0.0, spread=1.0)
        brightness, _ = shaped._brightness(frames.rows(members))
        level = brightness.median()
        spread = _MAD_TO_SIGMA * (brightness - level).abs().median()
        return cls(profile=shaped.profile, level=float(level), spread=max(float(spread), _NARROWEST))

    def _brightness(self, frames: Polar) -> tuple[Tensor, Tensor]:
        """Return the logarithm of the frames' brightness and its variance by counting, ``(n,)`` each."""
        photons, area = frames.rings()
        expected = (area * self.profile).sum(1).clamp_min(1e-3)
        total = photons.sum(1).clamp_min(0)
        noise = total + frames.read_variance * area.sum(1) + 1
        return ((total + 0.5) / (expected + 0.5)).log(), noise / (total + 0.5) ** 2

    def departures(self, frames: Polar) -> tuple[Tensor, Tensor]:
        """Return how much brighter than blanks frames are, and how differently their light falls off.

        Both ``(n,)``, in standard deviations; of the second about 0 is what blanks have, and the scale of the
        background is free.
        """
        brightness, variance = self._brightness(frames)
        excess = (brightness - self.level) / (variance + self.spread**2).sqrt()
        photons, area = frames.rings()
        expected = area * self.profile * brightness.exp()[:, None]
        noise = expected + frames.read_variance * area + (_UNEVENNESS * expected) ** 2 + 1
        squared = ((photons - expected) ** 2 / noise * (area > 0)).sum(1)
        freedom = (area > 0).sum(1).clamp_min(2) - 1
        return excess, (2 * squared).sqrt() - (2 * freedom - 1).sqrt()


# Log odds of a blank: what it begins with; what structure, structure beyond noise, excess and fall-off take from it.
# Fitted to 2573 blanks among 4000 frames of 40 simulated runs with 1 to 50 % hits: 1.7 % of the blanks are missed, and
# no single hit with visible fringes is taken for one.
_BEGIN, _WEIGHTS = 3.55, (-0.18, -0.44, -0.81, -0.51)
_LARGEST = 10.0  # standard deviations at which evidence against a blank is cut off: beyond, models of noise don't hold


def blank_probability(frames: Polar, fringes: Tensor, background: Background | None) -> Tensor:
    """Return the probability that a frame is a blank, ``(n,)`` float32.

    Parameters
    ----------
    frames : Polar
        Of one run.
    fringes : (n,) float32
        Their fringe visibility, in units of what the run's blanks show (`Background.structure`).
    background : Background or None
        The run's; without one no frame is called blank.
    """
    if background is None:
        return torch.zeros(len(frames))
    excess, shape = background.departures(frames)
    against = (fringes, fringes - _STRUCTURE, excess, shape)
    kept = torch.stack([column.clamp(0, _LARGEST) for column in against], dim=1)
    return torch.sigmoid(_BEGIN + kept @ torch.tensor(_WEIGHTS))
