"""A stage's iterations on candidates of one grid, in batches as large as memory and cache allow."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.candidate import Candidate, free_deviances
from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, State, chi_of, iterate, start_from, start_random
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.schedule import iterations_in, parse_schedule
from friedel.bcdi.phasing.iterations.support import autocorrelation_support
from friedel.bcdi.phasing.strategy import Stage
from friedel.core.observer import Observer, Progress

# Complex and weight arrays alive at once for each start, and the memory they may take.
_ARRAYS = 9
_BUDGET_BYTES = 1.5e9
# Bytes of one array of a batch on a CPU: larger batches leave its cache, and each start takes longer.
_CACHE_BYTES = 1.5e6
_RECORD_EVERY = 20  # iterations between entries of χ, each of which costs a transform


class Bar:
    """Sums up counts of finished iterations and tells them as progress events."""

    def __init__(self, observer: Observer, task: str, total: int) -> None:
        self.observer, self.task, self.total, self.done = observer, task, total, 0
        observer(Progress(task, 0, total))

    def __call__(self, more: int) -> None:
        """Tell of more iterations."""
        self.done += more
        self.observer(Progress(self.task, min(self.done, self.total), self.total))


def bar_of(stage: Stage, count: int, observer: Observer) -> Bar:
    """Return the progress of a stage's iterations on so many candidates."""
    return Bar(observer, stage.name, iterations_in(stage.schedule) * count)


def batch_size(measured: Measured) -> int:
    """Return how many starts of this size run together: on a GPU all that fit its budget, on a CPU those its cache."""
    voxels = float(np.prod(measured.shape))
    most = _CACHE_BYTES / (8 * voxels) if measured.intensity.device.type == "cpu" else np.inf
    return max(1, int(min(most, _BUDGET_BYTES / (_ARRAYS * 8 * voxels))))


def drawn(
    measured: Measured, stage: Stage, *, level: float, seed: int, on_progress: Callable[[int], None]
) -> list[Candidate]:
    """Return a stage's random starts after its schedule, numbered from 0.

    Parameters
    ----------
    measured : Measured
        The measurement.
    stage : Stage
        Number of starts, schedule, support.
    level : float
        Fraction of the autocorrelation's peak from which its region is the first support.
    seed : int
        Seed of the random phases; that of later batches is higher by the number of their first start.
    on_progress : callable
        Told how many starts' iterations have been done since it was last told.
    """
    support = autocorrelation_support(measured, level=level)
    found: list[Candidate] = []
    size = batch_size(measured)
    for first in range(0, stage.count, size):
        state = start_random(measured, support, n_starts=min(size, stage.count - first), seed=seed + first)
        found += _run(state, measured, stage, first, on_progress)
    return [Candidate(c.projected, c.support, c.iterations, c.chis, c.free_deviance, k) for k, c in enumerate(found)]


def iterated(
    candidates: list[Candidate], measured: Measured, stage: Stage, *, on_progress: Callable[[int], None]
) -> list[Candidate]:
    """Return candidates after a stage's schedule, with their supports following.

    Parameters
    ----------
    candidates : list of Candidate
        Where each begins; the same one may stand there several times. The stage's thresholds are taken in turn.
    measured : Measured
        The measurement, on the candidates' grid.
    stage : Stage
        Schedule, feedback, support.
    on_progress : callable
        As for `drawn`.
    """
    found: list[Candidate] = []
    size = batch_size(measured)
    for first in range(0, len(candidates), size):
        part = candidates[first : first + size]
        objects, supports = torch.stack([c.confined for c in part]), torch.stack([c.support for c in part])
        found += _run(start_from(measured, objects, supports), measured, stage, first, on_progress)
    return [old.followed_by(new) for old, new in zip(candidates, found, strict=True)]


def _run(
    state: State, measured: Measured, stage: Stage, first: int, on_progress: Callable[[int], None]
) -> list[Candidate]:
    """Run one batch, whose first member is a stage's ``first``, and return its members, with χ recorded on the way."""
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

    runs, wrap = parse_schedule(stage.schedule), None
    if stage.every:
        thresholds = [stage.thresholds[(first + k) % len(stage.thresholds)] for k in range(len(state.support))]
        wrap = ShrinkWrap(_column(thresholds, state.support), stage.sigma, every=stage.every, first=stage.first)
    final = iterate(state, measured, runs, beta=stage.beta, uniform=stage.uniform, wrap=wrap, on_iteration=record)
    iterations.append(final.iteration)
    chis.append(chi_of(final.confined, measured).cpu().numpy())
    scores = free_deviances(final.confined, measured)
    return [
        Candidate(projected, support, tuple(iterations), tuple(float(chi[k]) for chi in chis), float(scores[k]))
        for k, (projected, support) in enumerate(zip(final.projected, final.support, strict=True))
    ]


def _column(thresholds: list[float], like: Tensor) -> Tensor:
    """Return thresholds as ``(n, 1, 1, 1)``, one for each object of a batch."""
    return torch.tensor(thresholds, dtype=torch.float32, device=like.device).reshape(-1, 1, 1, 1)
