"""What a run's empty frames look like, and how far a frame goes beyond them: which frames are blanks.

The background is the run's own: the mean rings of those of its frames that show no structure and agree with each other
but for their brightness. A frame is blank if it shows no structure, is no brighter than blanks are, and its light falls
off as theirs does. A run without such frames has no background, and no frame of it is called blank.
"""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.statistics import MAD_TO_SIGMA
from friedel.spi.hits.features.fringes import fringe_visibility
from friedel.spi.hits.features.polar import DRIFT, RINGS, Polar
from friedel.spi.hits.probability.evidence import evidence_of_a_hit
from friedel.spi.hits.probability.turning import turns

FEWEST = 5
"""Blanks that a sample must hold for its background to be believed."""
# Above this, frames show structure: noise alone reaches it in one frame of 200.
_STRUCTURE = 3.0
# Above this, fringes are there.
_SHOWN = 5.0
_RARE = 0.97  # quantile of the blanks' fringe visibility that is taken as what noise and detector reach
# Limits from simulated runs of the likeness (`Background.likeness`) of blanks to the run's hits, where blanks are a
# lesser share of all frames, more than half of them, or nearly all: weak hits taken for blanks are above.
_SHARES, _LIKE_HITS = (0.5, 0.9), (0.75, 0.96, 0.985)
_MOST_STRUCTURE = 3.0  # blanks of 88 simulated runs reach 1.9; weak hits taken for them that aren't smooth 6 to 8
_ROUNDS = 6  # of choosing members and measuring them anew
# Members of the background differ from it by less than this many standard deviations.
_ALIKE = 4.0
_UNEVENNESS = 0.1  # relative error of a ring's expected light, beside counting noise
_NARROWEST = 0.1  # least standard deviation of the logarithm of blanks' brightness: pulses differ at least by so much
# From the median to the ninth decile of the evidence among blanks: 0.3 to 1.6 in simulated runs whose model is right.
_COUNTING_SPREAD = 1.6
_ROUNDS_OF_SHARE = 3  # from a share to probabilities and back: it changes by less than 1 % after two
# A detector's modules drift where without it the blanks spread wider than this: 1.6 … 5 there, 1.0 on steady ones.
_STEADY = 1.3
_MODULES = 4  # that a ring crosses
# Changes of shape are looked for in stretches of so many rings, of so many blanks, up to so many times the light.
_WIDE, _FEWEST_FOR_SHAPES, _LARGEST_CHANGE = 4, 20, 3.0


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
    change : (64,) float32 tensor
        Logarithm of the commonest change of shape from blank to blank, one standard deviation of it; 0 for none.
    share : float
        Of blanks among the sample's frames.
    dispersion : float
        How many times wider `evidence_of_a_hit` spreads among blanks than counting alone explains, at least 1.
    drift : float
        Drift of the detector's modules, each as a whole, relative to a pixel's read noise.
    """

    profile: Tensor
    level: float
    spread: float
    structure: float = 1.0
    change: Tensor = field(default_factory=lambda: torch.zeros(RINGS))
    share: float = 0.5
    dispersion: float = 1.0
    drift: float = 0.0

    @classmethod
    def measured(cls, frames: Polar) -> Self | None:
        """Return the background of a sample of a run's frames; None if fewer than `FEWEST` of them can be blanks."""
        fringes = fringe_visibility(frames)
        steady = cls._found(frames, fringes, drift=0.0)
        if not frames.read_variance:
            return steady
        drifting = cls._found(frames, fringes, drift=DRIFT)
        if steady is None or drifting is None:
            return steady or drifting
        return steady if steady.dispersion < _STEADY else drifting

    @classmethod
    def _found(cls, frames: Polar, fringes: Tensor, drift: float) -> Self | None:
        """Return the background of a detector whose modules drift by so much of their read noise."""
        still = fringes < _STRUCTURE
        if int(still.sum()) < FEWEST:
            return None
        quiet = frames.rows(still)
        photons, area = quiet.rings()
        brightness = photons.sum(1) / area.sum(1).clamp_min(1)
        members = brightness <= brightness.kthvalue(max(FEWEST, len(quiet) // 3)).values
        found = cls._of(quiet, members, drift)
        for _ in range(_ROUNDS):
            members = found._holds(quiet)
            if int(members.sum()) < FEWEST:
                return None
            found = cls._of(quiet, members, drift)
        alike = found._holds(frames)
        # Where most of what agrees shows structure, or looks like the frames that do, it is weak hits of one kind.
        if float(fringes[alike].median()) >= _STRUCTURE or turns(frames.rows(alike & (fringes < _STRUCTURE))):
            return None
        share = float(alike.float().mean())
        if found.likeness(frames.rows(fringes >= _SHOWN)) > _LIKE_HITS[bisect(_SHARES, share)]:
            return None
        structure = max(float(fringes[alike].quantile(_RARE)) / _STRUCTURE, 1.0)
        if structure > _MOST_STRUCTURE:
            return None
        return replace(found, structure=structure, share=share)._completed(frames, fringes)

    def _completed(self, frames: Polar, fringes: Tensor) -> Self:
        """Return the background with what its blanks differ by, and with their share of the sample."""
        blanks = frames.rows(self._holds(frames) & (fringes < _STRUCTURE))
        found = replace(self, change=self._commonest_change(blanks))
        usual, high = evidence_of_a_hit(blanks, found)[:, 1].quantile(torch.tensor([0.5, 0.9])).tolist()
        found = replace(found, dispersion=max((high - usual) / _COUNTING_SPREAD, 1.0))
        for _ in range(_ROUNDS_OF_SHARE):
            share = float(blank_probability(frames, fringes / found.structure, found).mean())
            found = replace(found, share=max(share, self.share))  # of few blanks none would be left
        return found

    def _holds(self, frames: Polar) -> Tensor:
        excess, shape = self.departures(frames)
        return (excess.abs() < _ALIKE) & (shape < _ALIKE)

    def noise(self, area: Tensor, read_variance: float) -> Tensor:
        """Return the variance, without light, of sums over so many pixels."""
        return read_variance * area * (1 + self.drift**2 / _MODULES * area)

    def _commonest_change(self, blanks: Polar) -> Tensor:
        """Return `change` from blanks: the first principal component of what counting noise doesn't explain."""
        if len(blanks) < _FEWEST_FOR_SHAPES:
            return torch.zeros(RINGS)
        photons, area = blanks.rings()
        strength = photons.sum(1).clamp_min(0) / (area * self.profile).sum(1).clamp_min(1e-3)
        expected = strength[:, None] * area * self.profile
        wide = [
            v.expand_as(photons).reshape(-1, RINGS // _WIDE, _WIDE).sum(2)
            for v in (photons, expected, self.noise(area, blanks.read_variance))
        ]
        counted, light = wide[0], wide[1].clamp_min(1e-3)
        relative = ((counted - light) / light).clamp(-_LARGEST_CHANGE, _LARGEST_CHANGE)
        noise = ((light + wide[2]) / light**2).mean(0)
        # In units of each stretch's own noise, of which one stretch then holds one.
        scale = noise.rsqrt()
        even = relative * scale
        values, vectors = torch.linalg.eigh(even.T @ even / len(blanks) - torch.eye(len(scale)))
        found = vectors[:, -1] * values[-1].clamp_min(0).sqrt() / scale
        return found.clamp(-1, 1).repeat_interleave(_WIDE)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return it as arrays to be kept, under names that begin with `_KEPT`."""
        return {_KEPT + item.name: np.asarray(getattr(self, item.name), dtype=np.float64) for item in fields(self)}

    @classmethod
    def from_arrays(cls, kept: Mapping[str, NDArray[Any]]) -> Self | None:
        """Return what `arrays` made; None if there is none among them."""
        if _KEPT + "profile" not in kept:
            return None
        values: dict[str, Any] = {}
        for item in fields(cls):
            value = torch.from_numpy(kept[_KEPT + item.name]).float()
            values[item.name] = value if value.ndim else float(value)
        return cls(**values)

    def likeness(self, hits: Polar) -> float:
        """Return how like the mean rings of hits the profile is: the cosine between their square roots, 0 … 1."""
        if not len(hits):
            return 0.0
        photons, area = hits.rings()
        area = area.expand_as(photons).sum(0)
        theirs, mine = photons.sum(0).clamp_min(0).sqrt(), (self.profile * area).clamp_min(0).sqrt()
        return float(torch.nn.functional.cosine_similarity(theirs, mine, dim=0))

    @classmethod
    def _of(cls, frames: Polar, members: Tensor, drift: float) -> Self:
        photons, area = frames.rows(members).rings()
        together = area.expand_as(photons).sum(0)
        # Half a photon: no ring is impossible.
        profile = (photons.sum(0).clamp_min(0) + 0.5) / together.clamp_min(1) * (together > 0)
        shaped = cls(profile=profile, level=0.0, spread=1.0, drift=drift)
        brightness, _ = shaped.brightness(frames.rows(members))
        level = brightness.median()
        spread = MAD_TO_SIGMA * (brightness - level).abs().median()
        return replace(shaped, level=float(level), spread=max(float(spread), _NARROWEST))

    def brightness(self, frames: Polar) -> tuple[Tensor, Tensor]:
        """Return the logarithm of the frames' brightness relative to the profile and its variance, ``(n,)`` each."""
        photons, area = frames.rings()
        expected = (area * self.profile).sum(1).clamp_min(1e-3)
        total = photons.sum(1).clamp_min(0)
        noise = total + self.noise(area.sum(1), frames.read_variance) + 1
        return ((total + 0.5) / (expected + 0.5)).log(), noise / (total + 0.5) ** 2

    def departures(self, frames: Polar) -> tuple[Tensor, Tensor]:
        """Return how much brighter than blanks frames are, and how differently their light falls off.

        Both ``(n,)``, in standard deviations; of the second about 0 is what blanks have, and the scale of the
        background is free.
        """
        brightness, variance = self.brightness(frames)
        excess = (brightness - self.level) / (variance + self.spread**2).sqrt()
        photons, area = frames.rings()
        expected = area * self.profile * brightness.exp()[:, None]
        noise = expected + self.noise(area, frames.read_variance) + (_UNEVENNESS * expected) ** 2 + 1
        squared = ((photons - expected) ** 2 / noise * (area > 0)).sum(1)
        freedom = (area > 0).sum(1).clamp_min(2) - 1
        return excess, (2 * squared).sqrt() - (2 * freedom - 1).sqrt()


_KEPT = "blanks_"

# Log odds of a blank: what it begins with; what evidence of a hit takes from it, with the blanks' mean shape and with
# any; what structure beyond noise takes; what the run's own log odds count for. Fitted to 16,000 frames of 45 simulated
# runs with 1 to 50 % hits. On 10,400 frames of 26 others 0.4 % of the blanks are missed, and no hit of more than 1000
# photons is taken for one.
_BEGIN, _WEIGHTS = 2.77, (-0.19, -0.256, -0.556, 1.33)
# Beyond these, models of the background don't hold: neither evidence nor structure counts for more.
_LEAST_EVIDENCE, _STRONGEST = -6.0, 20.0
_RAREST = 0.02  # share of blanks, or of all else, that is told from none


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
    evidence = evidence_of_a_hit(frames, background) / background.dispersion
    share = torch.tensor(background.share).clamp(_RAREST, 1 - _RAREST)
    fixed, free = evidence.clamp(_LEAST_EVIDENCE, _STRONGEST).T
    structure = (fringes - _STRUCTURE).clamp(0, _STRONGEST)
    against = torch.stack([fixed, free, structure, share.logit().expand_as(fixed)], dim=1)
    return torch.sigmoid(_BEGIN + against @ torch.tensor(_WEIGHTS))
