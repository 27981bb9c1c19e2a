"""A run's sizes: how many modes they have, where the main one lies, and which frames belong to it.

The particles of one kind have nearly one size; droplets have any, and dimers one of their own. So the logarithms of the
diameters are described by a few normal modes over an even ground, as many as the Bayesian information criterion allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FEWEST = 10
"""Sizes that a distribution needs before modes are looked for."""
_MOST_MODES = 4  # particles, dimers, and two more kinds
_ROUNDS = 100  # of expectation maximisation, for every number of modes
# Relative width of a mode: no narrower than sizes are measured, no wider than a population of one kind.
_NARROWEST, _WIDEST = 0.015, 0.2
# A mode reaches as far as its density exceeds the even ground's, and at most three standard deviations.
_REACH = 3.0


@dataclass(frozen=True, kw_only=True)
class SizeMode:
    """One population of sizes.

    Attributes
    ----------
    diameter : float
        Its middle, in the diameters' unit.
    spread : float
        Relative standard deviation.
    share : float
        Of all frames with a size.
    low, high : float
        Diameters between which frames belong to it rather than to the ground.
    """

    diameter: float
    spread: float
    share: float
    low: float
    high: float

    def holds(self, diameters: ArrayLike) -> NDArray[np.bool_]:
        """Say of each diameter whether it belongs to the mode; NaN doesn't."""
        values = np.asarray(diameters)
        return np.asarray((values >= self.low) & (values <= self.high))


def size_modes(diameters: ArrayLike, *, widest: float = _WIDEST, may_be_none: bool = False) -> tuple[SizeMode, ...]:
    """Return the modes of a size distribution, the one of most frames first; none for fewer than `FEWEST` sizes.

    Parameters
    ----------
    diameters : (n,) float
        Of single hits, any unit; NaN is left out.
    widest : float
        Greatest relative width of a mode.
    may_be_none : bool
        Return no mode where an even distribution explains the sizes as well.

    References
    ----------
    Schwarz, Ann. Stat. 6, 461 (1978): how many modes.
    """
    values = np.asarray(diameters, dtype=np.float64)
    logs = np.log(values[np.isfinite(values) & (values > 0)])
    if logs.size < FEWEST:
        return ()
    counts = range(0 if may_be_none else 1, _MOST_MODES + 1)
    mixtures = [_Mixture.fitted(logs, count, widest) for count in counts if logs.size >= FEWEST * count]
    best = min(mixtures, key=lambda mixture: mixture.criterion)
    return tuple(sorted(best.modes(), key=lambda mode: -mode.share))


@dataclass(frozen=True, eq=False)
class _Mixture:
    """Normal modes over an even ground; the last share is the ground's."""

    middles: Floats
    spreads: Floats
    shares: Floats
    width: float
    criterion: float

    @classmethod
    def fitted(cls, logs: Floats, count: int, widest: float) -> "_Mixture":
        """Return the likeliest mixture of ``count`` modes, by expectation and maximisation from the quantiles."""
        width = max(float(np.ptp(logs)), 3 * _WIDEST)
        middles = np.quantile(logs, (np.arange(count) + 0.5) / max(count, 1))
        spreads, shares = np.full(count, widest / 2), np.full(count + 1, 1 / (count + 1))
        for _ in range(_ROUNDS):
            parts = _densities(logs, middles, spreads, width) * shares
            belongs = parts / parts.sum(axis=1, keepdims=True)
            weights = belongs.sum(axis=0) + 1e-9
            middles = (logs @ belongs[:, :-1]) / weights[:-1]
            squares = ((logs[:, None] - middles) ** 2 * belongs[:, :-1]).sum(axis=0) / weights[:-1]
            spreads, shares = np.sqrt(squares).clip(_NARROWEST, widest), weights / weights.sum()
        likelihood = np.log((_densities(logs, middles, spreads, width) * shares).sum(axis=1)).sum()
        return cls(middles, spreads, shares, width, float(3 * count * np.log(logs.size) - 2 * likelihood))

    def modes(self) -> list[SizeMode]:
        """Return the modes with the diameters that belong to each."""
        found = []
        for middle, spread, share in zip(self.middles, self.spreads, self.shares, strict=False):
            above = share * self.width / (max(self.shares[-1], 1e-3) * spread * np.sqrt(2 * np.pi))
            reach = spread * min(float(np.sqrt(2 * np.log(max(above, 1.0)))), _REACH)
            low, high = float(np.exp(middle - reach)), float(np.exp(middle + reach))
            mode = SizeMode(
                diameter=float(np.exp(middle)), spread=float(spread), share=float(share), low=low, high=high
            )
            found.append(mode)
        return found


def _densities(logs: Floats, middles: Floats, spreads: Floats, width: float) -> Floats:
    """Return the density of each mode and, last, of the ground, ``(n, modes + 1)``."""
    normal = np.exp(-0.5 * ((logs[:, None] - middles) / spreads) ** 2) / (spreads * np.sqrt(2 * np.pi))
    return np.column_stack([normal, np.full(logs.size, 1 / width)])


def described(modes: Sequence[SizeMode], unit: str) -> str:
    """Return the modes in words."""
    return "; ".join(f"{mode.diameter:.3g} {unit} ± {mode.spread:.1%} ({mode.share:.0%})" for mode in modes)
