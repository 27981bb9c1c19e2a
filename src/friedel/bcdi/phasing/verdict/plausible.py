"""Whether a pattern shows fringes, and whether a solution looks like one crystal: two checks beside agreement and fit.

Of a pattern without fringes all random starts find the same smooth blob, which fits it; of the pattern of two crystals,
whose intensities add up, they often find the same wrong object.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, binary_fill_holes, label

from friedel.bcdi.records import Diffraction

Floats = NDArray[np.float32]

_REACHES = (1, 2, 3, 5, 8)
"""Voxels to either side at which a dark valley's rims are looked for."""
_WINDOW = 48
"""Voxels to either side of the peak within which fringes are counted."""
_SIGNIFICANCE = 4.0  # standard deviations of photon noise: by chance less than 3e-5 a comparison
_DEPTH = 2  # voxels that are eroded from the support: as far as the surface is blurred at an oversampling of 2 to 3
_EMPTY = 0.2  # of the bulk amplitude: below it lies what a loose support has beyond the crystal, not a dim second one
_ENOUGH = 20  # voxels: of fewer, the tenth percentile rests on a single one
_PERCENTILES = (10.0, 50.0, 90.0)  # the extremes are left out: single voxels scatter


def count_fringes(diffraction: Diffraction) -> int:
    """Count the voxels that lie in a dark valley between two brighter ones, by more than photon noise explains.

    Facetted or round, every body with a boundary has such minima; a pattern that only falls off from its peak has none.

    Parameters
    ----------
    diffraction : Diffraction
        Unknown voxels take no part.

    Returns
    -------
    int
        Voxels, along any axis, that are darker than both rims by four standard deviations.
    """
    middle = tuple(slice(max(0, n // 2 - _WINDOW), n // 2 + _WINDOW) for n in diffraction.intensities.shape)
    photons = np.where(diffraction.mask, np.maximum(diffraction.intensities, 0), np.float32(np.nan))[middle]
    found = np.zeros(photons.shape, dtype=bool)
    for axis, n in enumerate(photons.shape):
        for reach in (reach for reach in _REACHES if 2 * reach < n):
            found |= _valleys(photons, axis, reach)
    return int(found.sum())


def amplitude_uniformity(obj: NDArray[np.complex64], support: NDArray[np.bool_]) -> float:
    """Return how even an object's amplitude is inside: tenth percentile over median, or median over ninetieth.

    One crystal has one density. The object that best fits the pattern of two has bright and dark regions.

    Parameters
    ----------
    obj : (z, y, x) complex64
        The solution.
    support : (z, y, x) bool
        Its support. What is nearly empty at its rim takes no part, nor do the outermost two voxels of the rest, where
        the resolution blurs the surface: how loose the support is doesn't matter.

    Returns
    -------
    float
        The smaller of the two; 1 is perfectly even; NaN where nothing lies so deep inside.
    """
    amplitude = np.abs(obj).astype(np.float64)
    bulk = np.percentile(amplitude[support], _PERCENTILES[-1]) if support.any() else 0.0
    body = binary_fill_holes(support & (amplitude > _EMPTY * bulk))
    for depth in (_DEPTH, _DEPTH - 1):
        inside = binary_erosion(body, iterations=depth)
        if inside.sum() >= _ENOUGH:
            low, middle, high = np.percentile(amplitude[inside], _PERCENTILES)
            return float(min(low / max(middle, 1e-30), middle / max(high, 1e-30)))
    return float("nan")


def largest_piece(obj: NDArray[np.complex64], support: NDArray[np.bool_]) -> float:
    """Return the share of the density, Σ|ψ|², that the largest connected piece of the support holds.

    Parameters
    ----------
    obj : (z, y, x) complex64
        The solution.
    support : (z, y, x) bool
        Its support; voxels that touch at a corner are connected.
    """
    pieces, count = label(support, structure=np.ones((3, 3, 3)))
    density = np.abs(obj).astype(np.float64) ** 2
    held = np.bincount(pieces[support], weights=density[support], minlength=count + 1)
    return float(held.max() / max(float(held.sum()), 1e-30))


def _valleys(photons: Floats, axis: int, reach: int) -> NDArray[np.bool_]:
    found = np.zeros(photons.shape, dtype=bool)
    here = _part(axis, slice(reach, -reach))
    before, after = _part(axis, slice(None, -2 * reach)), _part(axis, slice(2 * reach, None))
    rim = np.minimum(photons[before], photons[after])
    depth = rim - photons[here]
    # A comparison with an unknown voxel is false.
    found[here] = (depth > 0) & (depth**2 > _SIGNIFICANCE**2 * np.maximum(rim + photons[here], 1.0))
    return found


def _part(axis: int, cut: slice) -> tuple[slice, slice, slice]:
    whole = [slice(None)] * 3
    whole[axis] = cut
    return whole[0], whole[1], whole[2]
