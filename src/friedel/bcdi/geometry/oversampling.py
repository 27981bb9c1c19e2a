"""How finely a pattern samples its object, axis by axis, from the autocorrelation."""

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.core.fourier import fourier

# The autocorrelation falls to this share of its height near its rim. Below it come noise and the rim of strained
# crystals; the higher level serves where the autocorrelation fills the whole box.
_LOW, _HIGH = 0.01, 0.1
# A crystal's extent over the radius at the low level, and how it grows with the level: the median over facetted
# crystals with phase ranges of 1 to 15 rad. Single crystals scatter about it by some 10 %.
_EXTENT_OVER_RADIUS, _GROWTH = 1.17, 0.12
# Standard deviations: the autocorrelation's peak is the number N of photons, its noise √N a voxel, so levels below
# 5/√N of the peak can be noise.
_NOISE_MARGIN = 5.0


def estimate_oversampling(intensities: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Estimate the box's side over the crystal's extent along ``(z, y, x)``.

    The transform of the intensities is the autocorrelation, which reaches as far as the crystal is long. A line across
    it (the maximum over the two other axes) is followed out to a low level, and the radius there scaled by what
    facetted crystals have on average: good to some 15 %, also where the crystal almost fills its box. In a crystal
    whose phase spans several turns the autocorrelation is weaker at long distances, and the estimate up to a third low.

    Parameters
    ----------
    intensities : (z, y, x) float32, photons
        The pattern, its peak at index ``n // 2``.
    mask : (z, y, x) bool
        True where measured; unknown voxels count as dark.

    Returns
    -------
    (float, float, float)
        Never below 1.
    """
    known = np.where(mask, np.maximum(intensities, 0), np.float32(0))
    autocorrelation = fourier(torch.from_numpy(known).to(torch.complex64)).abs().numpy()
    lowest = float(np.clip(_NOISE_MARGIN / np.sqrt(max(float(known.sum(dtype=np.float64)), 1.0)), _LOW, _HIGH))
    z, y, x = (_ratio(_profile(autocorrelation, axis), lowest) for axis in range(3))
    return z, y, x


def _profile(autocorrelation: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Return the autocorrelation's largest values at each distance along an axis, 1 beside the origin."""
    line = autocorrelation.max(axis=tuple(other for other in range(3) if other != axis)).astype(np.float64)
    middle = line.size // 2
    # The origin itself holds the shot noise too: its neighbours give the height.
    return line[middle:] / max(line[middle + 1], 1e-30)


def _ratio(profile: NDArray[np.float64], lowest: float) -> float:
    side = 2 * len(profile)
    for level in (lowest, _HIGH):
        radius = _crossing(profile, level)
        if radius is not None:
            break
    radius = radius or float(len(profile))
    extent = radius * _EXTENT_OVER_RADIUS * (level / _LOW) ** _GROWTH
    return max(1.0, side / extent)


def _crossing(profile: NDArray[np.float64], level: float) -> float | None:
    """Return the distance, voxels, beyond which the profile stays below the level; None if it never does."""
    above = np.flatnonzero(profile > level)
    last = int(above[-1]) if above.size else 1
    if last + 1 >= len(profile):
        return None
    return last + float((profile[last] - level) / max(profile[last] - profile[last + 1], 1e-12))
