"""Refinement by automatic differentiation: from any start to the object that fits the photons, inside a support.

Gradients come from autograd through the forward model |F ψ|² (with partial coherence: convolved); the optimiser is
SciPy's L-BFGS-B, which needs tens of steps where plain gradient methods need a thousand. A share of
voxels held out of the fit tells when more steps would only fit noise. The support stays; `solve` updates it in between.

Where photons are few, many objects explain them; a prior of uniform density then chooses among these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor

from friedel.bcdi.phasing.iterations.likelihood import LOSSES, mean_deviance
from friedel.bcdi.phasing.iterations.measured import Measured, transfer
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.iterations.support import bounding_box, interior
from friedel.core.fourier import fourier_corner, fourier_of_frames, fourier_of_part
from friedel.core.options import Options

# Photons per measured voxel, on average, below which √n is no longer Gaussian in the voxels that matter.
_FEW = 10.0
_CHUNK = 5  # steps between two looks at loss and held-out voxels
_PATIENCE = 2  # looks without a better deviance of held-out voxels after which the fit ends
# A chunk of steps that lowers the loss by less than this share is the last.
_ENOUGH = 1e-3
# Keeps the modulus of an empty voxel differentiable.
_TINY = 1e-12
# The optimiser's own criteria are switched off: `_Followed` decides when a fit ends.
_NO_TOLERANCE = {"ftol": 0.0, "gtol": 0.0}

Vector = NDArray[np.float64]


class RefineOptions(Options):
    """How the refinement by automatic differentiation runs."""

    steps: int = 60
    """Steps of L-BFGS at the most."""
    loss: Literal["auto", "amplitude", "poisson"] = "auto"
    """Likelihood of the photons: Gaussian in the stabilised amplitude, or Poisson; auto: Poisson where they are few."""
    parametrisation: Literal["complex", "polar"] = "complex"
    """What is varied in each voxel: real and imaginary part, or amplitude and phase."""
    history: int = 10
    """Gradient pairs that L-BFGS remembers."""
    early_stop: bool = True
    """Stop when the held-out voxels no longer get better."""
    density_spread: float | None = Field(default=None, gt=0.0)
    """Prior: RMS variation of the density inside the crystal, as a fraction of it; None: no prior. Where photons are
    many they outweigh it."""


@dataclass(frozen=True, eq=False)
class Refined:
    """The outcome of a refinement.

    Attributes
    ----------
    obj : (z, y, x) complex64 Tensor
        Object, zero outside the support.
    steps : int
        Steps taken.
    losses : tuple of float
        Loss per support voxel after every fifth step.
    free_deviances : tuple of float
        Mean deviance of held-out voxels at the same steps; empty without held-out voxels.
    coherence : (3,) Tensor or None
        Fitted widths of the coherence blur along ``(z, y, x)``, voxels of reciprocal space.
    """

    obj: Tensor
    steps: int
    losses: tuple[float, ...]
    free_deviances: tuple[float, ...]
    coherence: Tensor | None = None


def refine(
    obj: Tensor,
    support: Tensor,
    measured: Measured,
    options: RefineOptions | None = None,
    *,
    coherence: Tensor | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Refined:
    """Minimise the misfit of an object inside a fixed support.

    Parameters
    ----------
    obj : (z, y, x) complex Tensor
        Where to start; any scale.
    support : (z, y, x) bool Tensor
        Voxels that may be non-zero.
    measured : Measured
        Photons, fitted and held-out voxels.
    options : RefineOptions, optional
        Loss, parametrisation, steps.
    coherence : (3,) Tensor, optional
        Start values of the blur's widths, which are then fitted too. None takes ``measured.blur`` as it is.
    on_step : callable, optional
        Told (steps done, steps in all) now and then; may raise to stop.
    """
    options = options or RefineOptions()
    problem = _Problem(_scaled(obj * support, measured), support, measured, options, coherence)
    followed = _Followed(problem, options, on_step)
    with torch.enable_grad():
        minimize(
            problem.loss_and_gradient,
            problem.start,
            jac=True,
            method="L-BFGS-B",
            callback=followed,
            options={"maxiter": options.steps, "maxfun": 2 * options.steps, "maxcor": options.history} | _NO_TOLERANCE,
        )
    return followed.ended()


def expected(obj: Tensor, measured: Measured) -> Tensor:
    """Return the intensity that an object gives where it was measured."""
    if measured.along is not None:
        return intensity_of(fourier_of_frames(obj, measured.along, measured.shape[1:]))
    return intensity_of(fourier_corner(obj), measured.blur)


def unfit_of(obj: Tensor, measured: Measured) -> float:
    """Return the mean deviance of the fitted voxels, at the object's best scale."""
    return float(mean_deviance(expected(_scaled(obj, measured), measured), measured.intensity, measured.fitted))


def _scaled(obj: Tensor, measured: Measured) -> Tensor:
    """Return the object with the scale that fits the amplitudes best."""
    modulus = expected(obj, measured).sqrt() * measured.fitted
    scaled: Tensor = obj * ((modulus * measured.amplitude).sum() / modulus.square().sum().clamp_min(1e-30))
    return scaled


def _loss(options: RefineOptions, measured: Measured) -> str:
    if options.loss != "auto":
        return options.loss
    return "poisson" if is_low_dose(measured) else "amplitude"


def is_low_dose(measured: Measured) -> bool:
    """Say whether √n of the photons is far from Gaussian in the voxels that matter."""
    mean = float((measured.intensity * measured.fitted).sum() / measured.fitted.sum().clamp_min(1.0))
    return mean < _FEW


class _Problem:
    """The parameters of one refinement as one vector, and what is lost at each value of them."""

    def __init__(
        self, obj: Tensor, support: Tensor, measured: Measured, options: RefineOptions, coherence: Tensor | None
    ) -> None:
        self.measured, self.options, self.shape = measured, options, obj.shape
        self.loss = LOSSES[_loss(options, measured)]
        # All happens in the smallest box around the support.
        self.box = bounding_box(support, margin=0)
        self.part_shape = support[self.box].shape
        self.voxels = support[self.box].flatten().nonzero()[:, 0]
        self.spread = options.density_spread
        self.inside = None if self.spread is None else interior(support)[self.box].flatten()[self.voxels]
        values = obj[self.box].flatten()[self.voxels]
        polar = options.parametrisation == "polar"
        # Phases are scaled to arc lengths of a typical amplitude; unscaled, their gradients exceed the amplitudes' by
        # far, and L-BFGS takes bad steps.
        self.radius = float(values.abs().square().mean().sqrt().clamp_min(1e-30))
        parts = torch.stack([values.abs(), self.radius * values.angle()], -1) if polar else torch.view_as_real(values)
        # A width acts on the whole pattern, as a change of the whole object does: in units of the object's norm. In
        # voxels its gradient exceeds the object's by far, and steps end once the widths are found.
        self.norm = self.radius * max(len(self.voxels), 1) ** 0.5
        widths = torch.empty(0, device=obj.device) if coherence is None else self.norm * coherence
        self.start = torch.cat([parts.flatten(), widths]).double().cpu().numpy()

    def tensor(self, vector: Vector) -> Tensor:
        return torch.from_numpy(vector).to(self.voxels.device, torch.float32)

    def part(self, vector: Tensor) -> Tensor:
        """Return the object inside the box."""
        pairs = vector[: 2 * len(self.voxels)].reshape(-1, 2)
        if self.options.parametrisation == "polar":
            values = torch.polar(pairs[:, 0].abs(), pairs[:, 1] / self.radius)
        else:
            values = torch.view_as_complex(pairs)
        empty = torch.zeros(self.part_shape, dtype=values.dtype, device=values.device).flatten()
        return empty.index_put((self.voxels,), values).reshape(self.part_shape)

    def obj(self, vector: Tensor) -> Tensor:
        """Return the whole object."""
        part = self.part(vector)
        whole = torch.zeros(self.shape, dtype=part.dtype, device=part.device)
        whole[self.box] = part
        return whole

    def widths(self, vector: Tensor) -> Tensor | None:
        fitted = vector[2 * len(self.voxels) :]
        return fitted / self.norm if len(fitted) else None

    def model(self, vector: Tensor) -> Tensor:
        if self.measured.along is not None:
            layers = self.measured.along[:, self.box[0]]
            return intensity_of(fourier_of_frames(self.part(vector), layers, self.shape[1:]))
        widths = self.widths(vector)
        blur = self.measured.blur if widths is None else transfer(widths, self.measured.shape)
        return intensity_of(fourier_of_part(self.part(vector), self.shape), blur)

    def density_prior(self, vector: Tensor) -> Tensor:
        """Return how unlikely the densities inside are, as the negative logarithm of a Gaussian."""
        if self.spread is None or self.inside is None or not self.inside.any():
            return vector.new_zeros(())
        pairs = vector[: 2 * len(self.voxels)].reshape(-1, 2)[self.inside]
        polar = self.options.parametrisation == "polar"
        density = pairs[:, 0].abs() if polar else (pairs.square().sum(-1) + _TINY * self.radius**2).sqrt()
        return (density / density.mean() - 1.0).square().sum() / (2.0 * self.spread**2)

    def loss_and_gradient(self, vector: Vector) -> tuple[float, Vector]:
        varied = self.tensor(vector).requires_grad_(True)
        loss = self.loss(self.model(varied), self.measured.intensity, self.measured.fitted) + self.density_prior(varied)
        # Per support voxel, so that the first step length (1 / gradient) suits every size of problem.
        loss = loss / max(len(self.voxels), 1)
        (gradient,) = torch.autograd.grad(loss, varied)
        return loss.item(), gradient.double().cpu().numpy()

    def free_deviance(self, vector: Tensor) -> float:
        assert self.measured.held_out is not None
        return float(mean_deviance(self.model(vector), self.measured.intensity, self.measured.held_out))


class _Followed:
    """What is noted of a refinement every few steps, and when it is enough."""

    def __init__(self, problem: _Problem, options: RefineOptions, on_step: Callable[[int, int], None] | None) -> None:
        self.problem, self.options, self.on_step = problem, options, on_step
        self.early_stop = problem.measured.held_out is not None and options.early_stop
        self.best, self.steps = problem.start, 0
        self.losses: list[float] = []
        self.free: list[float] = []

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        self.steps += 1
        if self.steps % _CHUNK == 0 or self.steps == self.options.steps:
            self.note(intermediate_result.x, float(intermediate_result.fun))

    def note(self, vector: Vector, loss: float) -> None:
        """Keep what is best so far; raise StopIteration, which ends the steps, when more of them gain nothing."""
        self.losses.append(loss)
        if self.on_step is not None:
            self.on_step(self.steps, self.options.steps)
        if self.early_stop:
            with torch.no_grad():
                self.free.append(self.problem.free_deviance(self.problem.tensor(vector)))
        if not self.early_stop or self.free[-1] <= min(self.free):
            self.best = vector.copy()
        if self.gains_nothing():
            raise StopIteration

    def gains_nothing(self) -> bool:
        if self.free and len(self.free) - 1 - self.free.index(min(self.free)) >= _PATIENCE:
            return True
        return len(self.losses) > 1 and self.losses[-2] - self.losses[-1] < _ENOUGH * abs(self.losses[-1])

    def ended(self) -> Refined:
        with torch.no_grad():
            best = self.problem.tensor(self.best)
            widths = self.problem.widths(best)
            fitted = None if widths is None else widths.abs()
            return Refined(self.problem.obj(best), self.steps, tuple(self.losses), tuple(self.free), fitted)
