"""How far a merged intensity can be trusted, from the correlation of two half sets; the verdict's sentences too."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRUSTED, DOUBTED = 0.85, 0.75
"""Agreement of independent halves beyond chance: from the first on they say the same; below the second they don't."""
_SURE = 3.0
"""Standard errors by which the evidence must exceed zero."""
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
    chance : (n_shells,) float64
        What alignment alone makes of two such volumes that have nothing in common (`chance_correlation`).
    q_resolved : float
        Where the halves' correlation falls below 1/7; the detector's edge if it doesn't.
    named : int
        Frames left out because they fit no orientation.
    evidence, evidence_error : float
        Mean over frames of the log-likelihood ratio of the half that a frame isn't in, over all orientations, and the
        radial mean; and its standard error. Below zero where frames have no structure that orientations explain.
    """

    q: Floats
    halves: Floats
    chance: Floats
    q_resolved: float
    named: int
    evidence: float
    evidence_error: float

    @property
    def evident(self) -> bool:
        """Whether each half foretells the other's frames better than a structureless intensity would."""
        return self.evidence > _SURE * self.evidence_error

    @property
    def corrected(self) -> Floats:
        """Expected correlation of the whole with the truth, by shell: none where nothing is evident."""
        return corrected(self.halves if self.evident else np.zeros_like(self.halves))

    @property
    def agreement(self) -> float:
        """Mean over the shells of what the halves agree beyond chance, (C − C₀) / (1 − C₀); 0 if nothing is evident."""
        if not (self.evident and np.isfinite(self.halves).any()):
            return 0.0
        chance = np.clip(np.nan_to_num(self.chance), 0, 0.99)
        return float(np.nanmean((self.halves - chance) / (1 - chance)))

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
        if self.agreement >= TRUSTED:
            return "trust"
        return "check" if self.agreement >= DOUBTED else "don't trust"

    @property
    def sentence(self) -> str:
        """The figures in words."""
        if not self.evident:
            return (
                "no half foretells the other's frames better than an intensity without structure does "
                f"({self.evidence:.2f} nats a frame): they agree at {self.mean_halves:.3f}, which means nothing"
            )
        return (
            f"two halves, oriented from independent starts, agree at {self.mean_halves:.3f} in the mean over shells "
            f"({float(np.nanmean(self.chance)):.2f} by chance); each foretells the other's frames by "
            f"{self.evidence:.1f} nats a frame"
        )


def resolved(q: Floats, halves: Floats) -> float:
    """Return where the correlation of halves first stays below 1/7 for two shells; the last shell if it never does."""
    low = np.nan_to_num(halves, nan=1.0) < SEVENTH
    both = np.flatnonzero(low[:-1] & low[1:])
    return float(q[both[0]] if len(both) else q[-1])
