"""The Poisson deviance that photon noise gives the right model, and its standard error: the limit of any fit.

The expected deviance of a voxel with mean m is about 1 only where m is large; where photons are rare it is far below.
So the limit is the sum over the voxels of what each one's own mean gives. It needs no other solution to compare with.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import poisson
from torch import Tensor

from friedel.bcdi.phasing.iterations.likelihood import ANSCOMBE, deviance
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.iterations.support import bulk_amplitude
from friedel.core.fourier import fourier_corner

# Means between which the deviance's moments are tabulated; below they vanish, above they are those of χ².
_LEAST, _MOST, _POINTS = 1e-5, 300.0, 240
# A fit is as good as photons allow when its deviance exceeds the expected one by less than this. Solutions refined from
# the truth on a support a voxel too wide reach 1.03 to 1.06; one that still has stripes lies at 1.1 to 1.6.
EXPLAINED = 1.07
# So many standard errors of the mean deviance are allowed beside.
_SIGMAS = 3.0
# What stands out of noise has so many. On a support one voxel wider noise adds up to more than the counts alone give:
# at three, 5 to 10 % of what is taken in is noise, which costs more than the surface gains; at 4.5 hardly any.
_STANDS_OUT = 4.5


@dataclass(frozen=True)
class Goodness:
    """How far a solution's fit is from the limit that photon noise sets.

    Attributes
    ----------
    deviance : float
        Mean Poisson deviance on the voxels held out; on the fitted ones where none are.
    expected : float
        What it would be on average for the right model, fitted with as many free values.
    spread : float
        Standard error of that mean.
    """

    deviance: float
    expected: float
    spread: float

    @property
    def factor(self) -> float:
        """Deviance over its expectation: 1 where photon noise explains all."""
        return self.deviance / max(self.expected, 1e-30)

    @property
    def explained(self) -> bool:
        """Whether photon noise explains the misfit."""
        return self.factor < EXPLAINED + _SIGMAS * self.spread / max(self.expected, 1e-30)


def goodness(obj: Tensor, support_voxels: int, measured: Measured) -> Goodness:
    """Compare the fit of an object with what photon noise gives.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        The solution; its scale is matched on the fitted voxels.
    support_voxels : int
        Voxels that were free, two values each: they lower the deviance of fitted voxels and raise that of others.
    measured : Measured
        Photons; not windowed.
    """
    model = intensity_of(fourier_corner(obj), measured.blur)
    fitted = measured.fitted.sum().clamp_min(1.0)
    model = model * ((measured.intensity * measured.fitted).sum() / (model * measured.fitted).sum().clamp_min(1e-30))
    held_out = measured.held_out is not None
    weight = measured.held_out if measured.held_out is not None else measured.fitted
    inside = weight > 0
    mean, variance = _moments(model[inside])
    n, freedom = max(int(inside.sum()), 1), 2.0 * support_voxels / float(fitted)
    found = float(deviance(model[inside], measured.intensity[inside]).mean())
    # The fitted values' freedom is shared out among the voxels in proportion to their expected deviance.
    expected = float(mean.mean()) * (1.0 + freedom if held_out else max(1.0 - freedom, 0.1))
    return Goodness(deviance=found, expected=expected, spread=float(np.sqrt(variance.sum()) / n))


def noise_threshold(obj: Tensor, measured: Measured) -> float:
    """Return the amplitude at which a voxel stands out of photon noise, as a fraction of the bulk amplitude.

    Of q measured counts, each with residual 2 (√n − √m) of unit variance, a voxel's real part has the information
    Σ (2 cos)² / N = 2 q / N, and so its imaginary part; dark counts hold less of it, as their amplitude is rounded off.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        The solution, Σ|ψ|² in photons.
    measured : Measured
        Photons; not windowed.
    """
    model = intensity_of(fourier_corner(obj), measured.blur)
    information = 2.0 * float((measured.fitted * model / (model + ANSCOMBE)).mean())
    amplitude = obj.abs()
    bulk = float(bulk_amplitude(amplitude, (amplitude > 0).to(amplitude.dtype)))
    return _STANDS_OUT / (max(information, 1e-6) ** 0.5 * max(bulk, 1e-30))


def _moments(means: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of the deviance of Poisson counts with the given means."""
    grid, mean, variance = _table()
    at = np.log(means.detach().cpu().double().numpy().clip(_LEAST, _MOST))
    return np.interp(at, grid, mean), np.interp(at, grid, variance)


@lru_cache(maxsize=1)
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    means = np.geomspace(_LEAST, _MOST, _POINTS)
    counts = np.arange(0, int(_MOST + 10 * np.sqrt(_MOST)))
    chance = poisson.pmf(counts, means[:, None])
    values = deviance(torch.from_numpy(means)[:, None], torch.from_numpy(counts.astype(np.float64))).numpy()
    first = (chance * values).sum(1)
    return np.log(means), first, (chance * values**2).sum(1) - first**2
