"""Which support? A scan of thresholds, one rule each for two kinds of data, and the reason in words.

χ alone ranks wrongly: it always falls as the support grows. Two regimes need two rules:

- *Photon-limited* (the best model explains held-out voxels nearly to the Poisson noise): the tightest support whose
  held-out deviance is within a few per cent (`AS_GOOD`) of the best. Too tight a support cuts off crystal and predicts
  much worse; a loose one predicts nearly as well, but its extra freedom fits noise.
- *Model-limited* (a real pattern, cut off at the detector's edge): the density then rings beyond the surface, and
  held-out voxels are predicted better by every larger support that holds more of the ringing. So a fixed rule decides:
  a voxel belongs to the crystal from one sixth filled, which includes half-filled surface voxels and excludes the
  first lobe of the ringing (a tenth).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mean held-out deviance below which photons, not the model, limit the fit.
PHOTON_LIMITED = 2.0
# Where the loosest support's deviance is above this, tighter ones aren't tried: none would come below the limit.
_HOPELESS = 2 * PHOTON_LIMITED
# Held-out deviances within this factor of the best are as good.
AS_GOOD = 1.03
# The share of a voxel that crystal must fill; also the threshold, for the bulk's amplitude is that of a full voxel.
FILLED = 1.0 / 6.0


@dataclass(frozen=True, eq=False)
class ThresholdScan:
    """What became of one object under each threshold.

    Attributes
    ----------
    thresholds : (n,) float64
        Fractions of the bulk amplitude, rising.
    voxels : (n,) int64
        Size of the support.
    chi : (n,) float64
        χ on fitted voxels.
    free_deviance : (n,) float64
        Mean Poisson deviance on held-out voxels; NaN without any.
    """

    thresholds: NDArray[np.float64]
    voxels: NDArray[np.int64]
    chi: NDArray[np.float64]
    free_deviance: NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """A chosen threshold and why."""

    threshold: float
    reason: str


def choose_threshold(scan: ThresholdScan, *, photons: bool = True) -> Choice:
    """Choose the support's threshold from a threshold scan.

    Parameters
    ----------
    scan : ThresholdScan
        At least two thresholds, rising.
    photons : bool
        Whether the intensities count photons; nothing is said of photon noise where they don't.
    """
    surface = f"threshold {FILLED:.3g} of the bulk amplitude: voxels at least one sixth filled with crystal"
    if not np.isfinite(scan.free_deviance).any():
        return Choice(FILLED, f"{surface}; no voxels were held out to choose by")
    best = float(np.nanmin(scan.free_deviance))
    if best >= PHOTON_LIMITED:
        return Choice(
            FILLED,
            f"{surface}. The held-out voxels (mean deviance at best {best:.2f} of {_span(scan)}) are limited by the "
            "model rather than by photons, and would ask for ever more support",
        )
    index = int(np.flatnonzero(scan.free_deviance <= AS_GOOD * best)[-1])
    chosen = float(scan.thresholds[index])
    return Choice(
        chosen,
        f"threshold {chosen:.3g} of the bulk amplitude: of {_span(scan)} the tightest that predicts the held-out "
        f"voxels as well as any (mean deviance {scan.free_deviance[index]:.2f}, at best {best:.2f}; "
        f"{scan.voxels[index]} voxels)" + ("; photon noise limits this fit" if photons else ""),
    )


def model_limited(free_deviances: list[float]) -> bool:
    """Say whether a threshold scan can end early: held-out voxels that the model limits ask for ever looser supports.

    Parameters
    ----------
    free_deviances : list of float
        Mean held-out deviances of the thresholds tried so far, the loosest first; NaN says nothing.
    """
    loosest, last = free_deviances[0], free_deviances[-1]
    return loosest >= _HOPELESS or (len(free_deviances) > 1 and last >= loosest >= PHOTON_LIMITED)


def _span(scan: ThresholdScan) -> str:
    low, high = scan.thresholds[0], scan.thresholds[-1]
    return f"{len(scan.thresholds)} from {low:.3g} to {high:.3g}" if high > low else f"the loosest, {low:.3g}"
