"""The random starts: batches of them as large as memory allows, each with a support threshold of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.iterations.iterate import Runs, ShrinkWrap, State, chi_of, iterate, start_from, start_random
from friedel.bcdi.phasing.iterations.likelihood import mean_deviance
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import autocorrelation_support
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.core.fourier import fourier_corner

# Complex and weight arrays alive at once for each start, and the memory they may take.
_ARRAYS = 9
_BUDGET_BYTES = 1.5e9
# Bytes of one array of a batch on a CPU: larger batches leave its cache, and each start takes longer.
_CACHE_BYTES = 1.5e6
_RECORD_EVERY = 20  # iterations between entries of χ, each of which costs a transform


@dataclass(frozen=True, eq=False)
class Candidate:
    """One start and its present state.

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
    iterations: tuple[int, ...]
    chis: tuple[float, ...]
    free_deviance: float
    number: int = 0

    @property
    def confined(self) -> Tensor:
        """The object, zero outside its support."""
        return self.projected * self.support


def batch_size(measured: Measured) -> int:
    """Return how many starts of this size run together: on a GPU all that fit its budget, on a CPU those its cache."""
    voxels = float(np.prod(measured.shape))
    most = _CACHE_BYTES / (8 * voxels) if measured.intensity.device.type == "cpu" else np.inf
    return max(1, int(min(most, _BUDGET_BYTES / (_ARRAYS * 8 * voxels))))


def explore(
    measured: Measured,
    options: PhasingOptions,
    *,
    seed: int,
    level: float,
    on_progress: Callable[[int], None],
) -> list[Candidate]:
    """Run a round of random starts.

    Parameters
    ----------
    measured : Measured
        The measurement.
    options : PhasingOptions
        Number of starts, schedule, thresholds.
    seed : int
        Seed of the random phases.
    level : float
        Fraction of the autocorrelation's peak from which its region is the first support.
    on_progress : callable
        Told how many starts' iterations have been done since it was last told.
    """
    support = autocorrelation_support(measured, level=level)
    found: list[Candidate] = []
    size = batch_size(measured)
    for first in range(0, options.starts, size):
        n = min(size, options.starts - first)
        thresholds = [options.start_thresholds[(first + k) % len(options.start_thresholds)] for k in range(n)]
        state = start_random(measured, support, n_starts=n, seed=seed * 1009 + first)
        levels = column(thresholds, support)
        wrap = ShrinkWrap(levels, options.start_sigma, every=options.update_every, first=options.first_update)
        found += run(
            state, measured, parse_schedule(options.schedule), wrap, beta=options.beta, on_progress=on_progress
        )
    return [replace(candidate, number=seed * options.starts + k) for k, candidate in enumerate(found)]


def relax(
    candidates: list[Candidate],
    measured: Measured,
    thresholds: list[float],
    options: PhasingOptions,
    *,
    beta: float,
    sigma: tuple[float, float] | None = None,
    on_progress: Callable[[int], None],
) -> list[Candidate]:
    """Continue candidates with the polishing schedule, each at its own support threshold.

    Parameters
    ----------
    candidates : list of Candidate
        Where each begins; the same one may stand there several times.
    measured : Measured
        The measurement, on the candidates' grid.
    thresholds : list of float
        One for each candidate.
    options : PhasingOptions
        Schedule, sigma and update interval.
    beta : float
        Feedback of the methods.
    sigma : (float, float), optional
        Smoothing before the threshold at the first and at the last iteration, voxels; None takes the starts' last.
    on_progress : callable
        As for `explore`.
    """
    found: list[Candidate] = []
    size = batch_size(measured)
    sigma = sigma or (options.start_sigma[1], options.start_sigma[1])
    for first in range(0, len(candidates), size):
        part = candidates[first : first + size]
        objects, supports = torch.stack([c.confined for c in part]), torch.stack([c.support for c in part])
        levels = column(thresholds[first : first + size], supports)
        wrap = ShrinkWrap(levels, sigma, every=options.polish_update_every, first=1)
        state = start_from(measured, objects, supports)
        found += run(state, measured, parse_schedule(options.polish), wrap, beta=beta, on_progress=on_progress)
    return [
        replace(
            new,
            iterations=old.iterations + tuple(_last(old) + k for k in new.iterations),
            chis=old.chis + new.chis,
            number=old.number,
        )
        for old, new in zip(candidates, found, strict=True)
    ]


def run(
    state: State,
    measured: Measured,
    runs: Runs,
    wrap: ShrinkWrap | None,
    *,
    beta: float,
    uniform: float = 0.0,
    on_progress: Callable[[int], None],
) -> list[Candidate]:
    """Run one batch and return its members, with χ recorded on the way.

    Parameters
    ----------
    state : State
        Where the batch begins: objects and supports ``(n, z, y, x)``.
    measured : Measured
        The measurement, on their grid.
    runs : tuple of (str, int)
        A parsed schedule.
    wrap : ShrinkWrap or None
        How the supports follow; None keeps them.
    beta : float
        Feedback of HIO and RAAR.
    on_progress : callable
        Told how many starts' iterations have been done since it was last told.
    """
    iterations: list[int] = []
    chis: list[NDArray[np.float32]] = []
    done = state.iteration

    def record(now: State) -> None:
        nonlocal done
        on_progress((now.iteration - done) * len(now.obj))
        done = now.iteration
        if now.iteration % _RECORD_EVERY == 0:
            iterations.append(now.iteration)
            chis.append(chi_of(now.confined, measured).cpu().numpy())

    final = iterate(state, measured, runs, beta=beta, uniform=uniform, wrap=wrap, on_iteration=record)
    iterations.append(final.iteration)
    chis.append(chi_of(final.confined, measured).cpu().numpy())
    scores = free_deviances(final.confined, measured)
    return [
        Candidate(projected, support, tuple(iterations), tuple(float(chi[k]) for chi in chis), float(scores[k]))
        for k, (projected, support) in enumerate(zip(final.projected, final.support, strict=True))
    ]


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


def column(thresholds: list[float], like: Tensor) -> Tensor:
    """Return thresholds as ``(n, 1, 1, 1)``, one for each object of a batch."""
    return torch.tensor(thresholds, dtype=torch.float32, device=like.device).reshape(-1, 1, 1, 1)


def _last(candidate: Candidate) -> int:
    return candidate.iterations[-1] if candidate.iterations else 0
