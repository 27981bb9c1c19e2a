"""How far a merged intensity can be trusted, from the correlation of two half sets, and which frames fit it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRUSTED, DOUBTED = 0.85, 0.75
"""Agreement of independent halves beyond chance: from the first on they say the same; below the second they don't."""
_SURE = 3.0
"""Standard errors by which the evidence must exceed zero."""
EVEN, CROWDED = 0.93, 0.85
"""Share of the sphere covered (`coverage.evenness`) from which hits lie evenly, and below which they crowd: 0.95 and
more for random orientations of 40 frames or more. A molecule, a capsid, a torus and a blob whose halves agreed at
0.89–0.96 beyond chance on intensities that the truth is like at 0.78–0.88 covered 0.39–0.83."""
SURE = 0.9
"""Least correlation with the truth that is promised with "trust". Halves that agree at `TRUSTED` would promise 0.96;
what falls below this was lost where both halves make the same mistakes."""
PREFERRED = 0.95
"""Promise from which hits that don't lie evenly are believed to lie so, if frames drawn evenly are oriented evenly."""
SEVENTH = 0.143
"""Correlation of halves at which the whole's with the truth is 0.5: the usual criterion."""
_JUNK, _OTHER, _POOR = -4.0, -1.75, -2.5
"""Standard deviations (of the upper half of frames) below the median from which a frame is named: of its surprise; or
of the mean of surprise and fit, or of the fit, if the fit also is less than `_WORTH` of the median. Measured with a
tenth each of junk and another particle: 92–97 % of the other's at 500 photons a frame, 83 % with fluences spread by
half, all junk; 0.1 % of the particle's own, 0.6–1.5 % of those in clean sets."""
_WORTH = 0.7


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
    recovered : (n_shells,) float64, optional
        Correlation with this intensity of what half as many frames, drawn from it and oriented from nothing, make
        (`bootstrap.recover`): what halves do wrong alike shows here. None where it wasn't measured.
    evenness : float
        Share of the sphere of view directions that hits cover.
    recovered_evenness : float
        The same of the frames drawn for ``recovered``, which were drawn evenly.
    """

    q: Floats
    halves: Floats
    chance: Floats
    q_resolved: float
    named: int
    evidence: float
    evidence_error: float
    recovered: Floats | None = None
    evenness: float = 1.0
    recovered_evenness: float = 1.0

    @property
    def evident(self) -> bool:
        """Whether each half foretells the other's frames better than a structureless intensity would."""
        return self.evidence > _SURE * self.evidence_error

    @property
    def corrected(self) -> Floats:
        """Expected correlation of the whole with the truth, by shell: none where nothing is evident.

        A half has √C with the truth if the halves share no mistake, and `recovered` if they make those that the drawn
        frames make; the whole has √(2 / (1 + C)) times that.
        """
        found = corrected(self.halves if self.evident else np.zeros_like(self.halves))
        if self.recovered is None:
            return found
        half = np.clip(np.nan_to_num(self.recovered), 0, 1)
        return np.minimum(found, half * np.sqrt(2 / (1 + np.clip(np.nan_to_num(self.halves), 0, 1))))

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
    def mean_recovered(self) -> float | None:
        """Mean over the shells of `recovered`."""
        known = np.isfinite(self.halves)
        return float(np.mean(np.nan_to_num(self.recovered)[known])) if self.recovered is not None else None

    @property
    def mean_corrected(self) -> float:
        """Mean over the shells of the expected correlation with the truth."""
        return float(np.mean(self.corrected[np.isfinite(self.halves)])) if np.isfinite(self.halves).any() else 0.0

    @property
    def verdict(self) -> Literal["trust", "check", "don't trust", "unknown"]:
        """One word for it; "unknown" where no half sets were made."""
        if not np.isfinite(self.halves).any():
            return "unknown"
        if self.agreement < DOUBTED or (self.evenness < CROWDED and not self.preferring):
            return "don't trust"
        sure = self.agreement >= TRUSTED and self.mean_corrected >= SURE
        return "trust" if sure and self.evenness >= EVEN else "check"

    @property
    def preferring(self) -> bool:
        """Whether hits seem to prefer directions in truth: frames drawn evenly come out evenly, and so does the map."""
        known = self.recovered is not None and self.recovered_evenness >= EVEN
        return known and self.evenness < EVEN and self.mean_corrected >= PREFERRED

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
            + (
                f"; frames drawn from the result and oriented from nothing give it back at {self.mean_recovered:.3f}"
                if self.mean_recovered is not None
                else ""
            )
            + (f"; hits crowd on {self.evenness:.0%} of all view directions" if self.evenness < EVEN else "")
        )


def resolved(q: Floats, halves: Floats) -> float:
    """Return where the correlation of halves first stays below 1/7 for two shells; the last shell if it never does."""
    low = np.nan_to_num(halves, nan=1.0) < SEVENTH
    both = np.flatnonzero(low[:-1] & low[1:])
    return float(q[both[0]] if len(both) else q[-1])


def outliers(fit: NDArray[np.float32], surprise: NDArray[np.float32], counts: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which frames fit far worse than most: another particle, several, or nothing of the kind."""
    typical = float(np.median(fit))
    # The chance spread of a fit falls with the root of the photons.
    scaled = (fit - typical) * np.sqrt(counts / np.median(counts))
    off, poor = _off(surprise), _off(scaled)
    other = ((off + poor) / 2 < _OTHER) | (poor < _POOR)
    return (off < _JUNK) | (other & (fit < _WORTH * typical))


def _off(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how many standard deviations values lie off their median; outliers lie below, so it is the upper's."""
    middle, upper = np.percentile(values, [50, 84])
    return (values - middle) / max(float(upper - middle), 1e-6)
