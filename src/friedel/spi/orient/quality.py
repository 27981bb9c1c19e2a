"""How far a merged intensity can be trusted, from the correlation of two half sets; the verdict's sentences too."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRUSTED, DOUBTED = 0.85, 0.75
"""Mean correlation of independent halves: from the first on they say the same; below the second they don't."""
INVISIBLE = 0.03  # visibility of the speckles: 200 frames of pure noise stay below 0.01
SEVENTH = 0.143
"""Correlation of halves at which the whole's with the truth is 0.5: the usual criterion."""


def corrected(halves: Floats) -> Floats:
    """Return the correlation with the truth that the whole set has if its halves agree this well: √(2C / (1 + C))."""
    positive = np.clip(np.nan_to_num(halves), 0, 1)
    return np.sqrt(2 * positive / (1 + positive))


@dataclass(frozen=True, eq=False, kw_only=True)
class MergeQuality:
    """How far a merged intensity can be trusted.

    Attributes
    ----------
    q : (n_shells,) float64
        Shells, in the unit of the detector's q.
    halves : (n_shells,) float64
        Pearson's correlation of two halves of the frames, oriented from independent starts; NaN where unmeasured.
    q_resolved : float
        Where the halves' correlation falls below 1/7; the detector's edge if it doesn't.
    named : int
        Frames left out because they fit no orientation.
    visibility : float
        Of the speckles, from the frames alone: below 0.03 nothing tells orientations apart, whatever halves say.
    """

    q: Floats
    halves: Floats
    q_resolved: float
    named: int
    visibility: float = 1.0

    @property
    def corrected(self) -> Floats:
        """Expected correlation of the whole with the truth, by shell."""
        return corrected(self.halves)

    @property
    def mean_halves(self) -> float:
        """Mean over the shells of the halves' correlation."""
        return float(np.nanmean(self.halves)) if np.isfinite(self.halves).any() else 0.0

    @property
    def mean_corrected(self) -> float:
        """Mean over the shells of the expected correlation with the truth."""
        return float(np.mean(self.corrected[np.isfinite(self.halves)])) if np.isfinite(self.halves).any() else 0.0

    @property
    def verdict(self) -> Literal["trust", "check", "don't trust", "unknown"]:
        """One word for it; "unknown" where no half sets were made."""
        if not np.isfinite(self.halves).any():
            return "unknown"
        if self.visibility < INVISIBLE:
            return "don't trust"
        if self.mean_halves >= TRUSTED:
            return "trust"
        return "check" if self.mean_halves >= DOUBTED else "don't trust"


def resolved(q: Floats, halves: Floats) -> float:
    """Return where the correlation of halves first stays below 1/7 for two shells; the last shell if it never does."""
    low = np.nan_to_num(halves, nan=1.0) < SEVENTH
    both = np.flatnonzero(low[:-1] & low[1:])
    return float(q[both[0]] if len(both) else q[-1])
