"""How significantly a hit's pattern differs from a round one: what parts a droplet from a particle of its size.

A droplet is round, so its light is the same all around each ring. A particle's facets, corners and arms make it vary,
alike in opposite sectors (Friedel's law). What varies otherwise isn't the particle's: saturated columns, uneven
modules, fluctuations of the beam; and a beam off the centre, which is fitted and taken out.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from friedel.spi.hits.features.polar import RINGS, SECTORS, Polar

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
    photons, area = frames.rings()
    slope, astray = _slopes(photons / area.clamp_min(1e-3))
    found = []
    for rings, sectors in _CELLS:
        cells, room = (_pooled(values, rings, sectors) for values in (frames.photons, frames.area))
        growth, error = (v.reshape(len(v), 1, RINGS // rings, rings).mean(-1) for v in (slope, astray))
        found.append(_agreement(cells, room, growth, error, frames.read_variance))
    return torch.stack(found).amax(0)


def _agreement(photons: Tensor, area: Tensor, slope: Tensor, astray: Tensor, read_variance: float) -> Tensor:
    """Return how far opposite cells agree on a deviation from their ring's mean, in standard deviations, ``(n,)``.

    Parameters
    ----------
    photons, area : (n, sectors, rings), (1 or n, sectors, rings) float32
        Photons and measured pixels of cells.
    slope, astray : (n, 1, rings) float32
        As of `_slopes`, a pixel.
    read_variance : float
        Of a pixel, photons².
    """
    half, full = photons.shape[1] // 2, SECTORS * RINGS / (photons.shape[1] * photons.shape[2])
    known = (area > _LEAST_AREA * full).float()
    known = known * known.roll(half, 1)
    photons, area = photons * known, area * known
    model = area * (photons.sum(1, keepdim=True) / area.sum(1, keepdim=True).clamp_min(1e-3)).clamp_min(0)
    variance = (astray * area).square_().mul_(_ASTRAY**2).addcmul_(model, model, value=_UNEVEN**2)
    variance += model + (read_variance * area + _HALF_A_PHOTON)
    gap = _centred(photons - model, slope * area, variance)
    t = gap.mul_(variance.rsqrt_()).clamp_(-_LARGEST, _LARGEST).mul_(known)
    return (t[:, :half] * t[:, half:]).sum((1, 2)) / known[:, :half].sum((1, 2)).clamp_min(1).sqrt()


def _pooled(values: Tensor, rings: int, sectors: int) -> Tensor:
    n, around, outwards = values.shape
    wide = values.reshape(n, around // sectors, sectors, outwards).sum(2)
    return wide.reshape(n, around // sectors, outwards // rings, rings).sum(3)


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
    cosine, sine = angle.cos(), angle.sin()
    weighed = growth / variance
    pull, stiff = (weighed * gap).sum(2), (weighed * growth).sum(2)
    # The normal equations of a shift along both axes.
    aa, bb, ab = stiff @ cosine**2 + 1e-6, stiff @ sine**2 + 1e-6, stiff @ (cosine * sine)
    a, b, det = pull @ cosine, pull @ sine, aa * bb - ab**2
    x, y = ((bb * a - ab * b) / det, (aa * b - ab * a) / det)
    x, y = (offset.clamp(-_FURTHEST, _FURTHEST)[:, None] for offset in (x, y))
    return gap - growth * (x * cosine + y * sine)[..., None]
