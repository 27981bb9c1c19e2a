"""One object on its way from a start to the result, and what can be done with it: judged, refined, taken to a grid."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.likelihood import mean_deviance
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.multiscale import lift, lift_support, lower
from friedel.bcdi.phasing.iterations.projections import intensity_of, project_modulus
from friedel.bcdi.phasing.iterations.support import shrink_wrap
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.core.fourier import fourier_corner

NEUTRAL = 0.13
"""Fraction of the bulk amplitude: between a half-filled surface voxel (0.5) and the noise around the object."""
_NEUTRAL_SIGMA = 0.5  # voxels of smoothing before that threshold


@dataclass(frozen=True, eq=False)
class Candidate:
    """One object and how it came about.

    Attributes
    ----------
    projected : (z, y, x) complex64 Tensor
        Its modulus projection, before the support.
    support : (z, y, x) bool Tensor
        Its support.
    iterations : tuple of int
        Where χ was taken.
    chis : tuple of float
        χ there.
    free_deviance : float
        Mean deviance of held-out voxels; of fitted ones where none are held out.
    number : int
        Which start it is.
    """

    projected: Tensor
    support: Tensor
    iterations: tuple[int, ...] = ()
    chis: tuple[float, ...] = ()
    free_deviance: float = float("inf")
    number: int = 0

    @property
    def confined(self) -> Tensor:
        """The object, zero outside its support."""
        return self.projected * self.support

    @property
    def last(self) -> int:
        """Iterations and steps so far."""
        return self.iterations[-1] if self.iterations else 0

    def followed_by(self, new: "Candidate") -> "Candidate":
        """Return what it has become, with its own number and history before the new one's."""
        iterations = (*self.iterations, *(self.last + k for k in new.iterations))
        return replace(new, iterations=iterations, chis=(*self.chis, *new.chis), number=self.number)


def candidate_of(obj: Tensor, measured: Measured) -> Candidate:
    """Return an object ``(z, y, x)`` of any scale as a candidate, with a support at a neutral threshold."""
    support = shrunk(obj, NEUTRAL, sigma=_NEUTRAL_SIGMA)[None]
    projected = project_modulus(obj[None] * support, measured)
    score, chi = free_deviances(projected * support, measured), chi_of(projected * support, measured)
    return Candidate(projected[0], support[0], (0,), (float(chi[0]),), float(score[0]))


def shrunk(obj: Tensor, threshold: float, *, sigma: float = 0.0) -> Tensor:
    """Return the support ``(z, y, x)`` of an object at a threshold, wherever in the box it lies."""
    return shrink_wrap(obj[None], torch.ones_like(obj, dtype=torch.bool)[None], threshold=threshold, sigma=sigma)[0]


def refined(
    candidate: Candidate,
    measured: Measured,
    options: RefineOptions,
    *,
    on_step: Callable[[int, int], None] | None = None,
) -> Candidate:
    """Return a candidate refined by automatic differentiation on its support, with its new figures of merit.

    Parameters
    ----------
    candidate : Candidate
        On the measurement's grid.
    measured : Measured
        The measurement.
    options : RefineOptions
        Loss, steps, prior.
    on_step : callable, optional
        As for `refine`.
    """
    result = refine(candidate.projected, candidate.support, measured, options, on_step=on_step)
    obj = result.obj[None]
    chi, score = float(chi_of(obj, measured)[0]), float(free_deviances(obj, measured)[0])
    new = Candidate(result.obj, candidate.support, (result.steps,), (chi,), score)
    return candidate.followed_by(new)


def free_deviances(objects: Tensor, measured: Measured) -> Tensor:
    """Return the mean deviance of held-out voxels for objects ``(n, z, y, x)``; of fitted ones where none are."""
    weight = measured.fitted if measured.held_out is None else measured.held_out
    model = intensity_of(fourier_corner(objects), measured.blur)
    # Amplitudes were fitted, so the scale of the model is free: it is matched on the fitted voxels.
    axes = (-3, -2, -1)
    scale = (measured.intensity * measured.fitted).sum(axes) / (model * measured.fitted).sum(axes).clamp_min(1e-30)
    return mean_deviance(model * scale[..., None, None, None], measured.intensity, weight)


def ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with the best prediction of held-out voxels first."""
    return sorted(candidates, key=lambda candidate: candidate.free_deviance)


def alike(candidates: list[Candidate]) -> float:
    """Return the correlation of the best two; 0 where there is one alone."""
    if len(candidates) < 2:
        return 0.0
    first, second = (candidate.confined.cpu().numpy() for candidate in candidates[:2])
    return align_to(second, first)[1]


def lifted(candidates: list[Candidate], measured: Measured) -> list[Candidate]:
    """Return the candidates on the measurement's grid, which has the field of view of their own."""
    return [_lifted(one, measured) if one.projected.shape != measured.shape else one for one in candidates]


def _lifted(candidate: Candidate, measured: Measured) -> Candidate:
    return replace(
        candidate,
        projected=lift(candidate.confined, measured.shape),
        support=lift_support(candidate.support, measured.shape),
    )


def lowered(candidate: Candidate, measured: Measured) -> Candidate:
    """Return a candidate on the measurement's coarser grid, with its history."""
    coarse = candidate_of(lower(candidate.confined, measured.shape), measured)
    return replace(coarse, number=candidate.number, chis=candidate.chis, iterations=candidate.iterations)
