"""Where a crystal's surface lies: the isosurface level from the histogram of its amplitudes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.core.errors import InputError
from friedel.core.statistics import MAD_TO_SIGMA

HALF = 0.5  # of the bulk's amplitude: a step blurred by a symmetric point-spread function is at half height at its edge
# The lowest level used: the first side lobe of a sharply cut-off pattern's ringing is about 0.1 of the bulk, and an
# amplitude that scatters by more than a quarter is no uniform crystal.
LOWEST = 0.25
HAZE = 0.1  # of the 99.9th percentile: weaker voxels (ringing, noise) take no part in the histogram
N_BINS = 200  # of the histogram, 0.5 % of its range each; it is smoothed over several, so finer ones change nothing


@dataclass(frozen=True, kw_only=True)
class Isosurface:
    """A surface level and what it was chosen from.

    Attributes
    ----------
    level : float
        Amplitude at the surface, as a fraction of ``bulk``.
    bulk : float
        Most frequent amplitude of the inside, in the amplitude's own unit.
    spread : float
        RMS scatter of the inside's amplitude about it, as a fraction of ``bulk``.
    reason : str
        Why this level, in a sentence.
    """

    level: float
    bulk: float
    spread: float
    reason: str

    @property
    def threshold(self) -> float:
        """Amplitude at the surface, in the amplitude's own unit."""
        return self.level * self.bulk


def find_isosurface(amplitude: NDArray[np.floating], support: NDArray[np.bool_]) -> Isosurface:
    """Choose the isosurface level from the amplitudes inside a support.

    A sharp surface seen at finite resolution passes through half the inside's amplitude; so that is the level, unless
    the inside itself scatters below it: then three times the scatter under the bulk, but not less than a quarter.

    Parameters
    ----------
    amplitude : (z, y, x) float
        |ψ|, any unit.
    support : (z, y, x) bool
        Where the object may be non-zero.

    Raises
    ------
    InputError
        If no amplitude inside the support is positive.
    """
    inside = np.asarray(amplitude[support & (amplitude > 0)], dtype=np.float64)
    if inside.size == 0:
        raise InputError(
            "no positive amplitude inside the support: there is no surface to find; check the reconstruction"
        )
    bulk = _most_frequent(inside)
    # Only the upper half is the bulk's own scatter; the lower one holds the surface as well.
    above = inside[inside > bulk]
    spread = float(MAD_TO_SIGMA * np.median(above - bulk) / bulk) if above.size else 0.0
    level = float(np.clip(1 - 3 * spread, LOWEST, HALF))
    return Isosurface(level=level, bulk=bulk, spread=spread, reason=_reason(level, spread))


def inside_of(amplitude: NDArray[np.floating], threshold: float) -> tuple[NDArray[np.bool_], int]:
    """Return the largest connected region at or above a threshold, and how many voxels of others were left out."""
    labels, n_regions = ndimage.label(amplitude >= threshold)
    if n_regions == 0:
        raise InputError(f"no voxel reaches the isosurface's amplitude {threshold:.3g}: lower isosurface_level")
    sizes = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(np.argmax(sizes)), int(sizes.sum() - sizes.max())


def _most_frequent(values: NDArray[np.float64]) -> float:
    # Weak voxels outnumber the bulk in a loose support: leave the weakest out, weigh the others by amplitude.
    top = float(np.quantile(values, 0.999)) * 1.05
    values = values[values > HAZE * top]
    counts, edges = np.histogram(values, bins=N_BINS, range=(0.0, top), weights=values)
    width = max(2.0, 0.6 * N_BINS * values.size ** (-1 / 3))
    smooth = ndimage.gaussian_filter1d(counts, width, mode="constant")
    peak = int(np.argmax(smooth))
    return float((edges[peak] + edges[peak + 1]) / 2)


def _reason(level: float, spread: float) -> str:
    if level == HALF:
        return f"half the bulk's amplitude; the bulk scatters by {spread:.0%} and stays clear of it"
    if level == LOWEST:
        return f"a quarter of the bulk's amplitude, the lowest level used; the bulk scatters by {spread:.0%}"
    return f"three times the bulk's scatter of {spread:.0%} below the bulk"
