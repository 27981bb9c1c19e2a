"""How well probabilities are calibrated: the reliability curve, the calibration error, and the reject band.

Judges probabilities against labels; fits nothing. `calibration` makes the probabilities.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.core.errors import InputError, PlanError
from friedel.spi.hits.probability.calibration import Isotonic

Floats = NDArray[np.float64]
BINS = 15  # as in Guo et al.


@dataclass(frozen=True, eq=False, kw_only=True)
class Reliability:
    """Mean probability and observed share of single hits, by bins of equal width in the probability.

    Attributes
    ----------
    edges : (bins + 1,) float64
        The bins' edges, 0 to 1.
    foretold : (bins,) float64
        Mean probability in each bin; NaN where no frame fell.
    observed : (bins,) float64
        Share of single hits in each bin; NaN where no frame fell.
    counts : (bins,) int64
        Frames in each bin.
    """

    edges: Floats
    foretold: Floats
    observed: Floats
    counts: NDArray[np.int64]

    @property
    def gaps(self) -> Floats:
        """|foretold − observed| of each bin; 0 where no frame fell."""
        return np.nan_to_num(np.abs(self.foretold - self.observed))

    @property
    def ece(self) -> float:
        """Expected calibration error: the bins' gaps, weighted by their frames."""
        return float(np.average(self.gaps, weights=self.counts))

    @property
    def worst(self) -> float:
        """Greatest gap of any bin."""
        return float(self.gaps.max())


def reliability(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Return the reliability curve of the probability of "single".

    The bins run over that probability from 0 to 1, not over the confidence max(p, 1 − p): an overconfidence on one
    side and its opposite on the other then add up rather than cancel.

    Parameters
    ----------
    probabilities : (n,) float in [0, 1]
        Probability of a single hit, frame by frame.
    labels : (n,) bool or 0/1
        True where the frame is one.
    bins : int
        Number of bins of equal width.

    Raises
    ------
    InputError
        If there is no frame, the arrays don't match, or a probability lies outside [0, 1].

    References
    ----------
    Naeini et al., *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, AAAI 2015;
    Guo et al., ICML 2017, equation 3.
    """
    foretold, truth = _checked(probabilities, labels)
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.clip(np.ceil(foretold * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    empty = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges=edges,
        foretold=np.bincount(index, foretold, bins) / empty,
        observed=np.bincount(index, truth, bins) / empty,
        counts=counts.astype(np.int64),
    )


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = BINS) -> float:
    """Return the expected calibration error; arguments and errors as `reliability`."""
    return reliability(probabilities, labels, bins=bins).ece


@dataclass(frozen=True)
class Band:
    """Probabilities from ``low`` to ``high``, the reject band; none where ``low >= high``."""

    low: float
    high: float

    def holds(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Return, frame by frame, whether the probability lies strictly inside; NaN does."""
        values = np.asarray(probabilities, dtype=np.float64)
        return np.asarray(~((values <= self.low) | (values >= self.high)))


def reject_band(error: float) -> Band:
    """Return where a *calibrated* probability implies a larger error rate than ``error``.

    A decision for the likelier class is wrong with probability min(p, 1 − p), which exceeds ``error`` exactly for
    error < p < 1 − error.

    Raises
    ------
    PlanError
        If ``error`` is not between 0 and ½.
    """
    _check_level(error)
    return Band(error, 1.0 - error)


def measured_reject_band(probabilities: ArrayLike, labels: ArrayLike, *, error: float) -> Band:
    """Return where labelled frames show a larger error rate than ``error``, also of uncalibrated probabilities.

    The share of single hits is fitted as a rising function of the probability; the band is where the smaller of that
    share and its complement exceeds ``error``. Probabilities that aren't calibrated get a shifted or a wider band.

    Raises
    ------
    PlanError
        If ``error`` is not between 0 and ½.
    InputError
        If the arrays don't match or hold one class only.
    """
    _check_level(error)
    foretold, truth = _checked(probabilities, labels)
    share = Isotonic.fit(foretold, truth)
    # On a fine grid rather than at the knots: the crossing usually lies between two of them.
    grid = np.linspace(0.0, 1.0, 2001)
    wrong = np.minimum(share(grid), 1 - share(grid)) > error
    return Band(float(grid[wrong].min()), float(grid[wrong].max())) if wrong.any() else Band(0.5, 0.5)


def _check_level(error: float) -> None:
    if not 0 < error < 0.5:
        raise PlanError(f"the error that bounds the reject band must lie between 0 and 0.5, got {error!r}")


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape or not values.size:
        raise InputError(f"probabilities {values.shape} and labels {truth.shape} must both be (n,), n at least 1")
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("probabilities must lie in [0, 1]; leave frames without a score out")
    return values, truth.astype(bool)
