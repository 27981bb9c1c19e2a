"""Shares of counts with their uncertainty, and a scatter that outliers don't widen."""

from dataclasses import dataclass

from friedel.core.errors import InputError

MAD_TO_SIGMA = 1.4826
"""Standard deviation of normal values over the median of their absolute deviations: 1 / Φ⁻¹(3/4)."""


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds that hold it with 95 % confidence."""

    value: float
    low: float
    high: float


def share(right: int, total: int) -> Interval:
    """Return ``right / total`` with Wilson's 95 % interval, which keeps its coverage near 0 and 1.

    Raises
    ------
    InputError
        If nothing was counted.
    """
    if total < 1:
        raise InputError("a share needs at least one frame to be counted over")
    from scipy.stats import binomtest  # loading it takes half a second, which most users of `Interval` needn't wait

    bounds = binomtest(right, total).proportion_ci(confidence_level=0.95, method="wilson")
    return Interval(right / total, float(bounds.low), float(bounds.high))
