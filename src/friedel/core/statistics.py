"""Shares of counts with their uncertainty, and a scatter that outliers don't widen."""

import math
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


def with_error(value: float, error: float) -> str:
    """Return "value ± error" with the error's first two figures and no more of the value."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
