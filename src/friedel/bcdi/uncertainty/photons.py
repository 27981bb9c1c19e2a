"""What photon noise leaves uncertain: the fit linearised at the solution, and noise sent through it.

Near the solution a change δ of the object changes the expected counts m = |Fψ|² by 2 Re(F* Fδ). With the residual's
standard deviation divided out this is a linear operator A, and AᵀA is the Fisher information of the counts. The
estimate answers noise y in the counts by the least-squares solution of A δ = y; so counts redrawn from the model, sent
through it, deviate as refits of them would, at the price of a few conjugate-gradient steps each instead of a refit.
The global phase, which no count depends on, isn't in the range of Aᵀ and stays out by itself.

Within the linear approximation: where a solution is one of several, or its support is wrong, see `alternatives`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from friedel.bcdi.phasing.iterations.likelihood import ANSCOMBE, mean_deviance
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.iterations.support import bounding_box, interior
from friedel.core.fourier import (
    fourier_of_part,
    inverse_real_fourier_corner,
    part_of_inverse_fourier,
    real_fourier_corner,
)

# Under the logarithm of the Poisson loss, photons (see `likelihood.poisson_loss`).
_POISSON_FLOOR = 1e-2
# The information's eigenvalues lie within a factor of some hundred, most of them within ten: the standard errors at
# ten steps are within 2 % of those at forty.
STEPS = 10
# Bytes of one array of a batch of draws; a CPU's cache makes larger ones slower.
_BATCH_BYTES = 1.5e6
_AXES = (-3, -2, -1)
# Square of what single precision loses of a sum: steps on a smaller residual would only amplify its rounding.
_ROUNDING = 1e-12


class LinearFit:
    """The fit of an object inside a support to counts, linearised.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        Solution, Σ|ψ|² in photons.
    support : (z, y, x) bool Tensor
        Voxels that may change.
    measured : Measured
        The measurement that was fitted.
    poisson : bool
        Whether the loss was Poisson's; else that of the stabilised amplitudes.
    density_spread : float, optional
        Spread of the density inside that the fit expected beforehand, as a fraction of it (see `RefineOptions`).
    """

    def __init__(
        self, obj: Tensor, support: Tensor, measured: Measured, *, poisson: bool, density_spread: float | None = None
    ) -> None:
        self.box = bounding_box(support, margin=0)
        self.inside, self.measured, self.poisson = support[self.box], measured, poisson
        part = (obj * support)[self.box]
        self.diffraction = fourier_of_part(part, measured.shape)
        self.model = intensity_of(self.diffraction, measured.blur)
        floor = _POISSON_FLOOR if poisson else ANSCOMBE
        self.weight = measured.fitted * (self.model + floor).rsqrt()
        self.radial = part / part.abs().clamp_min(1e-30)
        self.stiffness = torch.zeros_like(part.abs())
        deep = interior(support)[self.box]
        if density_spread is not None and bool(deep.any()):
            self.stiffness = deep / (density_spread * part.abs()[deep].mean()) ** 2

    def forward(self, change: Tensor) -> Tensor:
        """Return A δ ``(n, z, y, x)`` of changes ``(n, box)``: changes of the counts in standard deviations."""
        changed = fourier_of_part(change, self.measured.shape)
        return self._blurred(2.0 * (changed * self.diffraction.conj()).real) * self.weight

    def adjoint(self, residual: Tensor) -> Tensor:
        """Return Aᵀ y, ``(n, box)``, of residuals ``(n, z, y, x)`` in standard deviations."""
        field = self.diffraction * (2.0 * self._blurred(residual * self.weight))
        return part_of_inverse_fourier(field, self.inside.shape) * self.inside

    def noise(self, n_draws: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Redraw the counts from the model; return their residuals in standard deviations, and the counts."""
        mean = self.model.cpu()
        counts = torch.poisson(mean.expand(n_draws, *mean.shape).contiguous(), generator=generator).to(
            self.model.device
        )
        if self.poisson:
            residual = (counts - self.model) * (self.model + _POISSON_FLOOR).rsqrt()
        else:
            residual = 2.0 * ((counts + ANSCOMBE).sqrt() - (self.model + ANSCOMBE).sqrt())
        return residual * self.measured.fitted, counts

    def solve(self, residual: Tensor, *, steps: int = STEPS) -> Tensor:
        """Return the change ``(n, box)`` that fits residuals best, by conjugate gradients on (AᵀA + P) δ = Aᵀ y.

        P is the curvature of what was expected of the density; zero if nothing was.
        """
        rest = self.adjoint(residual)
        found, direction, size = torch.zeros_like(rest), rest.clone(), _power(rest)
        # AᵀA has no eigenvalue above 4.
        done = _ROUNDING * 4.0 * residual.square().sum(_AXES, keepdim=True)
        for _ in range(steps):
            image = self.adjoint(self.forward(direction)) + self._expected(direction)
            length = size / (direction.conj() * image).real.sum(_AXES, keepdim=True).clamp_min(1e-30)
            length = torch.where(size > done, length, 0.0)
            found, rest = found + length * direction, rest - length * image
            size, before = _power(rest), size
            direction = rest + size / before.clamp_min(1e-30) * direction
        return found

    def refitted_deviance(self, change: Tensor, counts: Tensor) -> Tensor:
        """Return the mean deviance ``(n,)`` of redrawn counts from the model changed to fit them."""
        changed = self.diffraction + fourier_of_part(change, self.measured.shape)
        return mean_deviance(intensity_of(changed, self.measured.blur), counts, self.measured.fitted)

    def _expected(self, change: Tensor) -> Tensor:
        return self.radial * ((change * self.radial.conj()).real * self.stiffness)

    def _blurred(self, values: Tensor) -> Tensor:
        blur = self.measured.blur
        if blur is None:
            return values
        return inverse_real_fourier_corner(real_fourier_corner(values) * blur, values.shape[-3:])


def _power(values: Tensor) -> Tensor:
    return values.abs().square().sum(_AXES, keepdim=True)


def photon_draws(
    fit: LinearFit, n_draws: int, generator: Generator
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Return how objects refitted to redrawn counts would deviate, and how well they would fit.

    Returns
    -------
    deviations : (n_draws, n_support) complex64
        On the support's voxels.
    deviances : (n_draws,) float32
        Mean deviance per fitted voxel of those counts from the objects refitted to them: what photon noise leaves.
    """
    batch = max(1, int(_BATCH_BYTES / (8 * fit.model.numel())))
    found: list[NDArray[np.complex64]] = []
    deviances: list[Tensor] = []
    for first in range(0, n_draws, batch):
        residual, counts = fit.noise(min(batch, n_draws - first), generator)
        change = fit.solve(residual)
        found.append(change[:, fit.inside].cpu().numpy())
        deviances.append(fit.refitted_deviance(change, counts))
    return np.concatenate(found), torch.cat(deviances).cpu().numpy()
