"""How long frames take: percentiles of the latest, and of all, in memory that doesn't grow. Measures nothing itself."""

import math

import numpy as np
from numpy.typing import NDArray

_LATEST = 8192
# From a microsecond to a quarter of an hour in steps of two per cent.
_SHORTEST_S, _STEP, _BINS = 1e-6, math.log(1.02), 1040


class Latencies:
    """Times from arrival to score, of single frames."""

    def __init__(self) -> None:
        self._latest = np.zeros(_LATEST)
        self._bins = np.zeros(_BINS, np.int64)
        self._count = 0

    def add(self, seconds: NDArray[np.float64]) -> None:
        """Add the times of some frames, ``(n,)``, s."""
        latest = seconds[-_LATEST:]
        self._latest[(self._count + np.arange(len(latest))) % _LATEST] = latest
        self._count += len(seconds)
        places = np.log(np.maximum(seconds, _SHORTEST_S) / _SHORTEST_S) / _STEP
        self._bins += np.bincount(np.minimum(places.astype(np.int64), _BINS - 1), minlength=_BINS)

    def latest(self, *percents: float) -> tuple[float, ...]:
        """Return percentiles over the latest few thousand frames, s; zeros while there are none."""
        held = self._latest[: min(self._count, _LATEST)]
        return tuple(float(x) for x in np.percentile(held, percents)) if len(held) else (0.0,) * len(percents)

    def overall(self, percent: float) -> float:
        """Return a percentile over all frames, s, to two per cent; zero while there are none."""
        if not self._count:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._bins), math.ceil(self._count * percent / 100)))
        return _SHORTEST_S * math.exp((place + 1) * _STEP)
