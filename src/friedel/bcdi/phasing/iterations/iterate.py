"""The one loop behind every iterative method: many starts at once, with a callback every few iterations.

A step is the modulus projection followed by a linear mix with per-voxel weights; see `schedule.Method`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from friedel.bcdi.phasing.iterations.likelihood import chi
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import intensity_of, project_modulus, project_support, towards_uniform
from friedel.bcdi.phasing.iterations.schedule import Method, method
from friedel.bcdi.phasing.iterations.support import bounding_box, interior, shrink_wrap
from friedel.core.fourier import fourier_corner, inverse_fourier_corner
from friedel.core.machine.device import generator

Runs = tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class State:
    """A batch of iterates.

    Attributes
    ----------
    obj : (n, z, y, x) complex64 Tensor
        Present iterates, not confined to the support.
    projected : (n, z, y, x) complex64 Tensor
        Their modulus projections.
    support : (n, z, y, x) bool Tensor
        Present supports.
    iteration : int
        Iterations done.
    """

    obj: Tensor
    projected: Tensor
    support: Tensor
    iteration: int = 0

    @property
    def confined(self) -> Tensor:
        """The modulus projections set to zero outside the supports."""
        return project_support(self.projected, self.support)


@dataclass(frozen=True)
class ShrinkWrap:
    """When and how the supports follow the objects.

    Attributes
    ----------
    threshold : float or (n, 1, 1, 1) Tensor
        Fraction of the bulk amplitude.
    sigma : (float, float)
        Gaussian width, voxels, at the first and at the last iteration; in between it falls linearly.
    every : int
        Iterations between updates.
    first : int
        Iterations before the first update.
    """

    threshold: float | Tensor
    sigma: tuple[float, float] = (2.0, 1.0)
    every: int = 10
    first: int = 20

    def due(self, iteration: int) -> bool:
        """Whether the supports are updated after this iteration."""
        return iteration >= self.first and iteration % self.every == 0


def start_random(measured: Measured, support: Tensor, *, n_starts: int, seed: int) -> State:
    """Return starts with the measured amplitudes and random phases, cut by a support.

    Parameters
    ----------
    measured : Measured
        The measurement.
    support : (z, y, x) bool Tensor
        The first support of all starts, origin at the centre.
    n_starts : int
        Their number.
    seed : int
        Seed of the phases.
    """
    phases = torch.rand((n_starts, *measured.shape), generator=generator(seed)).to(measured.amplitude.device)
    projected = inverse_fourier_corner(torch.polar(measured.amplitude.expand_as(phases), 2 * torch.pi * phases))
    supports = support.expand_as(phases)
    return State(obj=project_support(projected, supports), projected=projected, support=supports)


def start_from(measured: Measured, obj: Tensor, support: Tensor) -> State:
    """Return the state that continues from given objects and supports, both ``(n, z, y, x)``."""
    return State(obj=obj, projected=project_modulus(obj, measured), support=support)


def iterate(
    state: State,
    measured: Measured,
    runs: Runs,
    *,
    beta: float = 0.9,
    uniform: float = 0.0,
    wrap: ShrinkWrap | None = None,
    on_iteration: Callable[[State], None] | None = None,
) -> State:
    """Run a schedule on a batch of starts.

    Parameters
    ----------
    state : State
        Where to begin.
    measured : Measured
        The measurement.
    runs : tuple of (str, int)
        A parsed schedule.
    beta : float
        Feedback of HIO and RAAR.
    uniform : float
        How far amplitudes inside are drawn to their average around in every iteration, 0 to 1.
    wrap : ShrinkWrap, optional
        How the supports follow; None keeps them.
    on_iteration : callable, optional
        Called with the state after every tenth iteration and the last; may raise to stop.

    Returns
    -------
    State
    """
    total = sum(count for _, count in runs)
    for name, count in runs:
        step = _Step(method(name, beta), state.support, uniform)
        for _ in range(count):
            state = step(state, measured)
            if wrap is not None and wrap.due(state.iteration):
                sigma = wrap.sigma[0] + (wrap.sigma[1] - wrap.sigma[0]) * min(1.0, state.iteration / total)
                support = shrink_wrap(
                    state.projected, state.support, threshold=wrap.threshold, sigma=sigma, box=step.box
                )
                state = State(state.obj, state.projected, support, state.iteration)
                step = _Step(step.method, support, uniform)
            if on_iteration is not None and (state.iteration % 10 == 0 or state.iteration == total):
                on_iteration(state)
    return State(state.obj, project_modulus(state.obj, measured), state.support, state.iteration)


class _Step:
    """One method on fixed supports.

    The whole array takes the rule that holds outside, by real arithmetic without weights; then the small box around
    the supports is put right. On a CPU both are several times faster than complex arithmetic with masks.
    """

    def __init__(self, method: Method, support: Tensor, uniform: float) -> None:
        self.method, self.uniform = method, uniform
        self.box = bounding_box(support, margin=0)
        self.inside = support[..., *self.box]
        self.deep = interior(support)[..., *self.box] if uniform else self.inside

    def __call__(self, state: State, measured: Measured) -> State:
        projected = project_modulus(state.obj, measured)
        obj = self.outside(state.obj, projected)
        confined = self.within(state.obj[..., *self.box], projected[..., *self.box])
        obj[..., *self.box] = torch.where(self.inside, confined, obj[..., *self.box])
        return State(obj, projected, state.support, state.iteration + 1)

    def within(self, old: Tensor, projected: Tensor) -> Tensor:
        if not self.uniform:
            return projected
        if not self.method.strength:
            return towards_uniform(projected, self.deep, self.uniform)
        reflected = 2.0 * projected - old
        return projected + self.method.strength * (towards_uniform(reflected, self.deep, self.uniform) - reflected)

    def outside(self, obj: Tensor, projected: Tensor) -> Tensor:
        if self.method.keep == 0.0:
            return torch.zeros_like(projected)
        old, new = torch.view_as_real(obj), torch.view_as_real(projected)
        kept = old if self.method.keep == 1.0 else old * self.method.keep
        return torch.view_as_complex(torch.add(kept, new, alpha=self.method.feedback))


def chi_of(obj: Tensor, measured: Measured) -> Tensor:
    """Return χ of each object ``(n, z, y, x)`` on the fitted voxels: ‖s·|F| − √I‖ / ‖√I‖ with the best scale s."""
    modulus = intensity_of(fourier_corner(obj), measured.blur).sqrt_() * measured.fitted
    return chi(modulus, measured.amplitude)
