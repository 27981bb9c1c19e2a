"""How significantly a hit's pattern differs from a round one: what parts a droplet from a particle of its size.

A droplet is round, so its light is the same all around each ring. A particle's facets, corners and arms make it vary,
alike in opposite sectors (Friedel's law). What varies otherwise isn't the particle's: saturated columns, uneven
modules, fluctuations of the beam; and a beam off the centre, which is fitted and taken out.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from friedel.spi.hits.features.polar import Polar

# Rings and sectors added to a cell: facets make patterns of a few fringes' width that turn every 30° or more.
_CELLS = ((2, 2), (4, 2))
# Relative changes that may be the detector's, and pixels by which a ring may lie elsewhere: pixels are squares, rings
# are one wide, and half a pixel of a shift that was taken out is left at second order.
_UNEVEN, _ASTRAY = 0.05, 0.2
_FURTHEST = 2.0  # pixels that the beam is looked for off the centre
_LARGEST = 15.0  # standard deviations that one cell counts: more is a fault of the detector
_HALF_A_PHOTON = 0.5  # added to variances, so that dark cells aren't divided by zero
_LEAST_AREA = 0.25  # of a cell's rings × sectors, pixels; cells of less aren't looked at


def unround(frames: Polar) -> Tensor:
    """Return by how many standard deviations each pattern is not round, ``(n,)``.

    Parameters
    ----------
    frames : Polar
        Hits, photons about the beam.

    Returns
    -------
    (n,) float32
        Σ t t' / √cells of the deviations t and t' from the ring's mean in opposite cells, the greatest of two sizes of
        cells. About 0 ± 1 for round patterns; it grows with the photons, so a weak hit of any shape has little of it.
    """
    found = [_agreement(frames, rings, sectors) for rings, sectors in _CELLS]
    return torch.stack(found).amax(0)


def _agreement(frames: Polar, rings: int, sectors: int) -> Tensor:
    """Return how far opposite cells of so many rings and sectors agree on a deviation, in standard deviations."""
    whole = frames.area.expand_as(frames.photons)
    profile = frames.photons.sum(1) / whole.sum(1).clamp_min(1e-3)
    photons, area = _pooled(frames.photons, rings, sectors), _pooled(whole, rings, sectors)
    half = photons.shape[1] // 2
    known = area > _LEAST_AREA * rings * sectors
    known = known & known.roll(half, 1)
    photons, area = photons * known, area * known
    model = (area * (photons.sum(1, keepdim=True) / area.sum(1, keepdim=True).clamp_min(1e-3))).clamp_min(0)
    count = profile.shape[1] // rings
    slope, astray = (values.reshape(-1, 1, count, rings).mean(-1) for values in _slopes(profile))
    variance = model + (_UNEVEN * model) ** 2 + (_ASTRAY * astray * area) ** 2
    variance = variance + frames.read_variance * area + _HALF_A_PHOTON
    t = _centred(photons - model, slope * area, variance) / variance.sqrt()
    t = t.clamp(-_LARGEST, _LARGEST) * known
    return (t[:, :half] * t[:, half:]).sum((1, 2)) / known[:, :half].sum((1, 2)).clamp_min(1).sqrt()


def _pooled(values: Tensor, rings: int, sectors: int) -> Tensor:
    n, around, outwards = values.shape
    return values.reshape(n, around // sectors, sectors, outwards // rings, rings).sum((2, 4))


def _slopes(profile: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slope of the rings' light ``(n, 64)``, and what a ring a pixel elsewhere would have more or less."""
    before, after = (functional.pad(profile[:, None], pad, mode="replicate")[:, 0] for pad in ((1, 0), (0, 1)))
    before, after = before[:, :-1], after[:, 1:]
    slope = (after - before) / 2
    return slope, torch.maximum(slope.abs(), (after - 2 * profile + before).abs())


def _centred(gap: Tensor, growth: Tensor, variance: Tensor) -> Tensor:
    """Return deviations without what a shift of the pattern makes of them; ``growth`` is a pixel's outwards."""
    count = gap.shape[1]
    angle = 2 * np.pi * (torch.arange(count) + 0.5) / count
    turns = torch.stack([angle.cos(), angle.sin()], dim=-1)[:, None]
    shifts = (growth[..., None] * turns).flatten(1, 2)
    weighed = shifts / variance.flatten(1)[..., None]
    normal = weighed.mT @ shifts + 1e-6 * torch.eye(2)
    right = (weighed * gap.flatten(1)[..., None]).sum(1)
    offset = torch.linalg.solve(normal, right[..., None]).clamp(-_FURTHEST, _FURTHEST)
    return gap - (shifts @ offset)[..., 0].view_as(gap)
