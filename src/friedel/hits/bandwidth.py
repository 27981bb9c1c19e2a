"""The width of a Gaussian kernel, chosen from the data: where the log-sum curve is steepest."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.base.errors import InputError

Floats = NDArray[np.float64]
N_ROWS = 256
"""Rows of the distance matrix that the curve is summed over: 1e6 pairs and more tell the slope to a percent."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BandwidthCurve:
    """Sum of the kernel over all pairs against its bandwidth.

    For a narrow kernel only the diagonal is left, for a wide one every pair counts; between the two the sum grows as
    ε^(d/2) with the dimension d of the data. There neighbours are seen as neighbours and nothing else is.

    Attributes
    ----------
    bandwidths : (k,) float64
        ε, rising, in the unit of the squared distances.
    log_sums : (k,) float64
        ln Σ exp(−d²/ε).
    slopes : (k,) float64
        d ln Σ / d ln ε.

    References
    ----------
    Coifman, Shkolnisky, Sigworth & Singer, IEEE Trans. Image Process. 17, 1891 (2008), section III.
    """

    bandwidths: Floats
    log_sums: Floats
    slopes: Floats

    @property
    def best(self) -> float:
        """The bandwidth of greatest slope, between the samples by a parabola."""
        top, log = int(np.argmax(self.slopes)), np.log(self.bandwidths)
        if top in (0, len(log) - 1):
            return float(self.bandwidths[top])
        left, middle, right = self.slopes[top - 1 : top + 2]
        bend = left - 2 * middle + right
        offset = 0.0 if bend == 0 else 0.5 * (left - right) / bend
        return float(np.exp(log[top] + offset * (log[top + 1] - log[top])))

    @property
    def dimension(self) -> float:
        """Dimension of the data at the best bandwidth: twice the slope."""
        return 2 * float(self.slopes.max())


def bandwidth_curve(squared: Tensor, *, samples: int = 48) -> BandwidthCurve:
    """Return the log-sum curve of some rows of a distance matrix.

    Parameters
    ----------
    squared : (rows, n) float32
        Squared distances of some frames to all frames, themselves included.
    samples : int
        Number of bandwidths, evenly spaced in ln ε.

    Raises
    ------
    InputError
        If all vectors are equal: then no bandwidth can tell them apart.
    """
    positive = squared[squared > 0]
    if not positive.numel():
        raise InputError("all frames are equal, so they have no distances; check the data and the mask")
    low, high = float(positive.min()) / 20, float(positive.max()) * 20
    bandwidths = np.geomspace(max(low, high * 1e-7), high, samples)
    sums, moments = (np.empty(samples) for _ in range(2))
    for index, bandwidth in enumerate(bandwidths):
        scaled = squared / float(bandwidth)
        weights = torch.exp(-scaled)
        sums[index] = float(weights.sum())
        moments[index] = float(weights.mul_(scaled).sum())
    return BandwidthCurve(bandwidths=bandwidths, log_sums=np.log(sums), slopes=moments / sums)


def sampled_rows(n: int) -> NDArray[np.int64]:
    """Return at most `N_ROWS` row numbers, evenly spread over ``n``."""
    return np.unique(np.linspace(0, n - 1, min(n, N_ROWS)).round().astype(np.int64))
