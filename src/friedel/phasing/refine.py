"""Refinement by automatic differentiation: from any start to the object that fits the photons, inside a support.

Gradients come from autograd through the forward model |F ψ|² (with partial coherence: convolved); the optimiser is
L-BFGS with strong-Wolfe line search, which needs tens of steps where plain gradient methods need a thousand. A share of
voxels held out of the fit tells when more steps would only fit noise. The support stays; `solve` updates it in between.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from friedel.base.fourier import fourier_corner
from friedel.base.options import Options
from friedel.phasing.coherence import transfer
from friedel.phasing.likelihood import LOSSES, mean_deviance
from friedel.phasing.measured import Measured
from friedel.phasing.projections import intensity_of

# Photons per measured voxel, on average, below which √n is no longer Gaussian in the voxels that matter.
_FEW = 10.0
_CHUNK = 5
_PATIENCE = 2
# A chunk of steps that lowers the loss by less than this share is the last.
_ENOUGH = 1e-3


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


@dataclass(frozen=True, eq=False)
class Refined:
    """The outcome of a refinement.

    Attributes
    ----------
    obj : (z, y, x) complex64 Tensor
        Object, zero outside the support.
    losses : tuple of float
        Loss per support voxel after every fifth step.
    free_deviances : tuple of float
        Mean deviance of held-out voxels at the same steps; empty without held-out voxels.
    coherence : (3,) Tensor or None
        Fitted widths of the coherence blur along ``(z, y, x)``, voxels of reciprocal space.
    """

    obj: Tensor
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
    scaled = _scaled(obj * support, measured)
    problem = _Problem(scaled, support, measured, options, coherence)
    losses: list[float] = []
    free: list[float] = []
    best = problem.snapshot()
    for done in range(0, options.steps, _CHUNK):
        losses.append(problem.advance(min(_CHUNK, options.steps - done)))
        if on_step is not None:
            on_step(min(done + _CHUNK, options.steps), options.steps)
        if measured.held_out is not None and options.early_stop:
            free.append(problem.free_deviance())
            if free[-1] <= min(free):
                best = problem.snapshot()
            elif len(free) - 1 - free.index(min(free)) >= _PATIENCE:
                break
        else:
            best = problem.snapshot()
        if len(losses) > 1 and losses[-2] - losses[-1] < _ENOUGH * abs(losses[-1]):
            break
    return Refined(best[0], tuple(losses), tuple(free), best[1])


def _scaled(obj: Tensor, measured: Measured) -> Tensor:
    """Return the object with the scale that fits the amplitudes best."""
    modulus = intensity_of(fourier_corner(obj), measured.blur).sqrt() * measured.fitted
    scaled: Tensor = obj * ((modulus * measured.amplitude).sum() / modulus.square().sum().clamp_min(1e-30))
    return scaled


def _loss(options: RefineOptions, measured: Measured) -> str:
    if options.loss != "auto":
        return options.loss
    mean = float((measured.intensity * measured.fitted).sum() / measured.fitted.sum().clamp_min(1.0))
    return "poisson" if mean < _FEW else "amplitude"


class _Problem:
    """The parameters, the model and the optimiser of one refinement."""

    def __init__(
        self, obj: Tensor, support: Tensor, measured: Measured, options: RefineOptions, coherence: Tensor | None
    ) -> None:
        self.measured, self.options, self.shape = measured, options, obj.shape
        self.loss = LOSSES[_loss(options, measured)]
        self.voxels = support.flatten().nonzero()[:, 0]
        values = obj.flatten()[self.voxels]
        polar = options.parametrisation == "polar"
        # Phases in arc lengths of a typical amplitude: else their gradients dwarf the amplitudes' and steps go astray.
        self.radius = float(values.abs().square().mean().sqrt().clamp_min(1e-30))
        start = torch.stack([values.abs(), self.radius * values.angle()], -1) if polar else torch.view_as_real(values)
        self.values = start.clone().requires_grad_(True)
        self.widths = None if coherence is None else coherence.clone().requires_grad_(True)
        self.optimiser = torch.optim.LBFGS(
            [self.values] if self.widths is None else [self.values, self.widths],
            history_size=options.history,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )

    def obj(self) -> Tensor:
        if self.options.parametrisation == "polar":
            values = torch.polar(self.values[:, 0].abs(), self.values[:, 1] / self.radius)
        else:
            values = torch.view_as_complex(self.values)
        empty = torch.zeros(self.shape, dtype=values.dtype, device=values.device).flatten()
        return empty.index_put((self.voxels,), values).reshape(self.shape)

    def model(self) -> Tensor:
        blur = self.measured.blur if self.widths is None else transfer(self.widths, self.measured.shape)
        return intensity_of(fourier_corner(self.obj()), blur)

    def advance(self, steps: int) -> float:
        def closure() -> Tensor:
            self.optimiser.zero_grad()
            # Per support voxel, so that the first step length (1 / gradient) suits every size of problem.
            loss = self.loss(self.model(), self.measured.intensity, self.measured.fitted) / len(self.voxels)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        group = self.optimiser.param_groups[0]
        group["max_iter"], group["max_eval"] = steps, 2 * steps
        self.optimiser.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            loss = self.loss(self.model(), self.measured.intensity, self.measured.fitted)
        return float(loss) / len(self.voxels)

    def free_deviance(self) -> float:
        if self.measured.held_out is None:
            return float("nan")
        with torch.no_grad():
            return float(mean_deviance(self.model(), self.measured.intensity, self.measured.held_out))

    def snapshot(self) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            return self.obj().clone(), None if self.widths is None else self.widths.abs().clone()


def with_coherence(measured: Measured, widths: Tensor) -> Measured:
    """Return the measurement with the blur of given widths ``(3,)``, voxels of reciprocal space."""
    return replace(measured, blur=transfer(widths, measured.shape))
