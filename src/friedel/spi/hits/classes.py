"""Classes of hits: averages of patterns that differ by a rotation about the beam alone, and which frame belongs where.

Rotational expectation maximisation: each class is a pattern in polar cells, each frame a Poisson draw from some class
in some rotation and brightness. Opposite sectors are added (Friedel's law), so half a turn is enough. Orientations
other than about the beam make classes of their own, which is what one wants to look at before a merge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.errors import InputError
from friedel.spi.hits.features.polar import RINGS, Polar, cell_of_pixels

SECTORS = 64
"""Sectors of a whole turn; rotations are tried in steps of 5.6 degrees."""
_TURNS = SECTORS // 2  # rotations tried: half a turn, as opposite sectors are added
# Iterations in all, and those in which the likelihood's power still rises; the others are at one, to converge.
_ROUNDS, _WARM = 40, 25
# Log-likelihoods of frames with more photons than this are scaled down as if they had so many: there errors of detector
# and model, not counting noise, make the differences.
_TRUSTED_PHOTONS = 2000.0
# Power of the likelihood (inverse temperature) at the first iteration; it rises to one, so that classes form by coarse
# differences first.
_WARMEST = 0.02
# Least photons a cell of every class, relative to the mean pattern, so that a photon in a dark cell excludes no class.
_FLOOR = 0.02


@dataclass(frozen=True, eq=False, kw_only=True)
class Classes:
    """Classes, the one of most frames first.

    Attributes
    ----------
    averages : (k, 128, 128) float32
        Mean patterns, photons a pixel of a frame of mean brightness, turned alike within a class; NaN beyond the
        largest circle and where nothing was measured.
    member : (n,) int64
        Class of each frame.
    probability : (n,) float32
        That it belongs there.
    turn_deg : (n,) float32
        Rotation of the frame relative to its class, 0 to 180.
    """

    averages: NDArray[np.float32]
    member: NDArray[np.int64]
    probability: NDArray[np.float32]
    turn_deg: NDArray[np.float32]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Frames of each class."""
        return np.bincount(self.member, minlength=len(self.averages))


def find_classes(frames: Polar, *, classes: int = 12, seed: int = 0) -> Classes:
    """Sort hits into classes.

    Parameters
    ----------
    frames : Polar
        Hits, in `SECTORS` sectors.
    classes : int
        How many to begin with; those that end without a frame are left out.
    seed : int
        Chooses the frames that classes begin as.

    Raises
    ------
    InputError
        If there are fewer than two frames a class.

    References
    ----------
    Loh & Elser, Phys. Rev. E 80, 026705 (2009): expectation maximisation over rotations, here in two dimensions.
    """
    if classes < 1 or len(frames) < 2 * classes:
        raise InputError(f"{len(frames)} frames are too few for {classes} classes; at least two for each are needed")
    fit = _Rotational(frames)
    patterns = fit.begun(classes, seed)
    for number in range(_ROUNDS):
        heat = _WARMEST ** max(1 - number / _WARM, 0.0)
        belongs = fit.belonging(patterns, heat)
        patterns = fit.averages(patterns, belongs)
    return fit.result(patterns, fit.belonging(patterns, 1.0))


class _Rotational:
    """Frames and area as ``(n, turns · rings)``, two rings together."""

    def __init__(self, frames: Polar) -> None:
        photons, area = frames.half_turn()
        # Two rings together: noise halves, and fringes are wider.
        self.photons, self.area = (v.reshape(-1, _TURNS, RINGS // 2, 2).sum(-1).clamp_min(0) for v in (photons, area))
        self.area = self.area.expand_as(self.photons)
        self.total = self.photons.sum((1, 2))
        self.trust = (_TRUSTED_PHOTONS / self.total.clamp_min(1)).clamp_max(1)
        mean = self.photons.sum((0, 1)) / self.area.sum((0, 1)).clamp_min(1e-3)
        self.floor = (_FLOOR * mean + 1e-6).expand(_TURNS, -1)

    def begun(self, classes: int, seed: int) -> Tensor:
        """Return frames unlike each other, with some of the mean, as first patterns ``(k, turns, rings)``."""
        rng = np.random.default_rng(seed)
        scaled = self.photons / self.total.clamp_min(1)[:, None, None] * self.total.mean()
        profiles = scaled.sum(1).sqrt()
        chosen = [int(rng.integers(len(profiles)))]
        for _ in range(classes - 1):
            far = torch.cdist(profiles, profiles[chosen]).amin(1).double().numpy() ** 2 + 1e-9
            chosen.append(int(rng.choice(len(profiles), p=far / far.sum())))
        mean = scaled.mean(0).mean(0) / self.area.mean((0, 1)).clamp_min(1e-3)
        smooth = sum(scaled[chosen].roll(step, 1) for step in (-1, 0, 1)) / 3
        return 0.5 * smooth / self.area[chosen].clamp_min(1) + 0.5 * mean + self.floor

    def belonging(self, patterns: Tensor, heat: float) -> Tensor:
        """Return how probable each class and turn is for each frame, ``(n, k, turns)``."""
        turned = torch.stack([patterns.roll(turn, 1) for turn in range(_TURNS)], dim=1)
        flat = turned.flatten(0, 1).flatten(1)
        likelihood = self.photons.flatten(1) @ flat.log().T
        # The brightness that suits best: its logarithm is what is left of the Poisson likelihood.
        likelihood -= self.total[:, None] * (self.area.flatten(1) @ flat.T).clamp_min(1e-9).log()
        return (likelihood * (heat * self.trust)[:, None]).softmax(1).view(-1, len(patterns), _TURNS)

    def averages(self, patterns: Tensor, belongs: Tensor) -> Tensor:
        """Return the patterns that fit the frames best, given how they belong."""
        light, room = torch.zeros_like(patterns), torch.zeros_like(patterns)
        for turn in range(_TURNS):
            area = self.area.roll(-turn, 1)
            weights = belongs[:, :, turn].T
            expected = (area.flatten(1) @ patterns.flatten(1).T).clamp_min(1e-9)
            light += (weights @ self.photons.roll(-turn, 1).flatten(1)).view_as(light)
            room += ((weights * (self.total[:, None] / expected).T) @ area.flatten(1)).view_as(room)
        found = light / room.clamp_min(1e-9)
        scale = self.total.mean() / (found * self.area.mean(0)).sum((1, 2), keepdim=True).clamp_min(1e-9)
        return found * scale + self.floor

    def result(self, patterns: Tensor, belongs: Tensor) -> Classes:
        """Return the classes that hold a frame."""
        place = belongs.flatten(1).argmax(1)
        member, turn = (place // _TURNS).numpy(), (place % _TURNS).numpy()
        counts = np.bincount(member, minlength=len(patterns))
        order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
        renumbered = np.full(len(patterns), -1)
        renumbered[order] = np.arange(len(order))
        shown = torch.where(self.area.amax(0) > 0, patterns, torch.nan).numpy()[order]
        return Classes(
            averages=np.stack([_image(pattern) for pattern in shown]),
            member=renumbered[member],
            probability=belongs.sum(2).amax(1).numpy(),
            turn_deg=(turn * (180.0 / _TURNS)).astype(np.float32),
        )


def _image(pattern: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a pattern ``(turns, rings / 2)`` as an image of 128²."""
    whole = np.concatenate([pattern, pattern]).repeat(2, axis=1).ravel()
    return np.append(whole, np.nan)[cell_of_pixels(SECTORS)].astype(np.float32)
