"""Whether the beam was steady along the scan, as far as a solution tells. The object takes most of a fall in."""

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import Diffraction

# Photons of a frame below which it tells nothing, and frames needed.
LEAST_COUNTS, LEAST_FRAMES = 100.0, 12
# What frames differ from any model by, beside their photon noise: of good solutions 0.01 to 0.02.
MODEL_ERROR = 0.02
# Drift of data over model from end to end, and of its standard errors, beyond those of good solutions: of five
# simulated ones at most 0.008 and 0.7, of a measured scan 0.03. Beams that fell by a fifth, two fifths (twice) and a
# half left 0.05, 0.07, 0.04, 0.10 and 9, 3.9, 2.4, 8.5: one of them passes, so that right solutions do.
LEAST_DRIFT, LEAST_SIGMAS = 0.045, 3.0


def beam_drift(model: NDArray[np.float32], diffraction: Diffraction) -> tuple[float, float]:
    """Return how much data over model changes from the first frame to the last, logarithmic, and its standard error.

    Parameters
    ----------
    model : (z, y, x) float32
        The solution's intensities, of any scale.
    diffraction : Diffraction
        The measurement.

    Returns
    -------
    drift, error : float
        0 and infinity where too few frames have counts.
    """
    counted = np.where(diffraction.mask, diffraction.intensities, 0).sum(axis=(1, 2), dtype=np.float64)
    expected = np.where(diffraction.mask, model, 0).sum(axis=(1, 2), dtype=np.float64)
    some = (counted > LEAST_COUNTS) & (expected > 0)
    if some.sum() < LEAST_FRAMES:
        return 0.0, float("inf")
    ratio = np.log(counted[some] / expected[some])
    place = np.flatnonzero(some) / (len(counted) - 1)
    weight = 1 / (1 / counted[some] + MODEL_ERROR**2)
    ratio, place = (values - np.average(values, weights=weight) for values in (ratio, place))
    drift = float((weight * place * ratio).sum() / (weight * place**2).sum())
    rest = (weight * (ratio - drift * place) ** 2).sum() / (some.sum() - 2)
    return drift, float(np.sqrt(max(rest, 1.0) / (weight * place**2).sum()))


def steady_beam(model: NDArray[np.float32], diffraction: Diffraction) -> tuple[bool, str]:
    """Return the check that the beam was steady: whether it passed, and a sentence that begins with its name."""
    drift, error = beam_drift(model, diffraction)
    said = f"beam: data over model change by a factor {np.exp(drift):.2f} from the first frame to the last"
    limit = f"(beyond {LEAST_DRIFT:.1%} and {LEAST_SIGMAS:g} standard errors the beam wasn't steady; use a monitor)"
    return abs(drift) < max(LEAST_DRIFT, LEAST_SIGMAS * error), f"{said} {limit}"
