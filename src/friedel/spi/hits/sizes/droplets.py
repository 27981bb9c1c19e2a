"""Which hits are droplets: round bodies of any size, where the run's particles are not round or all of one size.

A particle of the run is known by its pattern, which isn't round; and, where it is, by a size that many hits share. What
is neither is a droplet: its light is a ball's, and its size its own.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.spi.hits.sizes.modes import FEWEST, SizeMode, size_modes

ROUND = 3.0
"""Least `unround` of a pattern that isn't a round one: no droplet of the demo's kind reaches it, and one in eleven of
made-up experiments, where detectors saturate or drift."""
_COMPACT = 0.1  # asphericity above which a body's size differs from view to view
_ONE_SIZE = 0.08  # relative spread of the sizes of particles of one kind, and of what facets and noise make of them
# What is merged should be particles: a round hit is kept where it is one with odds of better than 7 to 3.
_SURELY = 0.7
_FEWER = 0.5  # of the hits are droplets; else round bodies of any size are the run's particles
_WIDTH = 0.6  # least width of the droplets' logarithmic sizes
_ROUNDS = 100  # of expectation maximisation


def are_droplets(diameter: ArrayLike, asphericity: ArrayLike, unround: ArrayLike) -> NDArray[np.bool_]:
    """Say which hits are round and of no size that the run's particles have, ``(n,)``.

    Sizes of particles are the modes of all compact hits. How many round hits belong to each, and how many have any
    size, is found by expectation and maximisation.

    Parameters
    ----------
    diameter, asphericity : (n,) float
        Of hits, as in `HitScores`; NaN where unknown.
    unround : (n,) float
        By how many standard deviations each pattern isn't round; NaN where unknown.
    """
    sizes, elongation, angular = (np.asarray(values, np.float64) for values in (diameter, asphericity, unround))
    known = np.isfinite(sizes) & (sizes > 0) & np.isfinite(angular)
    rows = np.flatnonzero(known & (angular < ROUND))
    found = np.zeros(sizes.shape, dtype=bool)
    if known.sum() < FEWEST or not rows.size:
        return found
    modes = size_modes(sizes[known & (elongation < _COMPACT)], widest=_ONE_SIZE, may_be_none=True)
    found[rows] = _belonging(np.log(sizes[rows]), modes) < _SURELY
    return found if found.sum() < _FEWER * known.sum() else np.zeros_like(found)


def _belonging(logs: NDArray[np.float64], modes: tuple[SizeMode, ...]) -> NDArray[np.float64]:
    """Return the probability that each of the logarithmic sizes is of one of the modes, not of an even ground."""
    middles = np.log([mode.diameter for mode in modes])
    spreads = np.array([mode.spread for mode in modes])
    normal = np.exp(-0.5 * ((logs[:, None] - middles) / spreads) ** 2) / (spreads * np.sqrt(2 * np.pi))
    density = np.column_stack([normal, np.full(logs.size, 1 / max(float(np.ptp(logs)), _WIDTH))])
    shares = np.full(len(modes) + 1, 1 / (len(modes) + 1))
    for _ in range(_ROUNDS):
        belongs = density * shares
        belongs /= belongs.sum(axis=1, keepdims=True)
        shares = belongs.mean(axis=0)
    return np.asarray(1 - belongs[:, -1])
