"""Whether frames that look like blanks are weak hits: a background lies the same in every shot, a particle turns.

One weak frame hardly shows it. But opposite sectors have the same light of a particle (Friedel's law) and noises of
their own, so that products of their deviations from the frames' mean pattern add up over a run: to nothing where the
pattern only grows brighter and dimmer. The signal is the one that Kam's correlations of many shots are made of.
"""

import torch
from torch import Tensor

from friedel.spi.hits.features.polar import RINGS, SECTORS, Polar

# Rings and sectors of a cell: a particle's pattern varies by its size along rings, and over some 20° around the beam.
_RINGS, _SECTORS = 4, 2
_LEAST_AREA = 0.25  # of a cell's rings × sectors, pixels; cells of less aren't looked at
_UNEVEN = 0.05  # relative changes that may be the detector's
_HALF_A_PHOTON = 0.5  # added to variances, so that dark cells aren't divided by zero
_LARGEST = 6.0  # standard deviations that one cell counts: more is a fault of the detector
_MOST_OF_A_FRAME = 3.0  # standard deviations that one frame counts: a few hits among blanks mustn't decide
# Blanks of 150 simulated runs have less than the first in sum, and less than the second each; weak hits of bodies that
# aren't round 0.4 to 1.8 each. A handful of frames isn't asked.
_CERTAIN, _EACH, _FEWEST = 2.4, 0.3, 10


def turns(frames: Polar) -> bool:
    """Say whether patterns differ from their mean as those of particles in any orientation do.

    Parameters
    ----------
    frames : Polar
        Of one run, without visible structure.

    References
    ----------
    Kam, Macromolecules 10, 927 (1977).
    """
    if len(frames) < _FEWEST:
        return False
    found = _agreement(frames, torch.ones(len(frames), dtype=torch.bool))
    # Bright hits among blanks would bend the mean, and every blank would differ from it alike.
    found = _agreement(frames, found <= max(_MOST_OF_A_FRAME, float(found.median())))
    each = float(found.clamp(-_MOST_OF_A_FRAME, _MOST_OF_A_FRAME).mean())
    return each > _EACH and each * len(found) ** 0.5 > _CERTAIN


def _agreement(frames: Polar, usual: Tensor) -> Tensor:
    """Return how far opposite cells agree on a deviation from the mean pattern, in standard deviations, ``(n,)``.

    The mean is over the ``usual`` frames ``(n,)``. About 0 ± 1 if the light's shape is the same in all frames, whatever
    it is, but for its fall along the rings.
    """
    photons, area = (_cells(values) for values in (frames.photons, frames.area))
    half = SECTORS // _SECTORS // 2
    known = (area > _LEAST_AREA * _RINGS * _SECTORS).float()
    known = known * known.roll(half, 1)
    photons, area = photons * known, area * known
    even = area * (photons.sum(1, keepdim=True) / area.sum(1, keepdim=True).clamp_min(1e-3)).clamp_min(0)
    model = even * (photons[usual].sum(0).clamp_min(0) + 1) / (even[usual].sum(0) + 1)
    model = model * photons.sum(1, keepdim=True).clamp_min(0) / model.sum(1, keepdim=True).clamp_min(1e-3)
    noise = model + frames.read_variance * area
    variance = noise + _HALF_A_PHOTON + (_UNEVEN * model) ** 2
    t = ((photons - model) * variance.rsqrt()).clamp(-_LARGEST, _LARGEST) * known
    # Deviations from a ring's own mean add up to nothing: opposite ones then agree by 1/k less, k cells in the ring.
    lost = (noise / variance * known) / known.sum(1, keepdim=True).clamp_min(1)
    together = t[:, :half] * t[:, half:] + (lost[:, :half] * lost[:, half:]).sqrt()
    return together.sum((1, 2)) / known[:, :half].sum((1, 2)).clamp_min(1).sqrt()


def _cells(values: Tensor) -> Tensor:
    return values.reshape(len(values), SECTORS // _SECTORS, _SECTORS, RINGS // _RINGS, _RINGS).sum((2, 4))
