"""The whole chain: a network's predictions or random starts → chosen support → refined solutions → the best and why."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.phasing.ambiguities import canonical
from friedel.bcdi.phasing.choose import PHOTON_LIMITED, Choice
from friedel.bcdi.phasing.climb import Climbed, Climber
from friedel.bcdi.phasing.iterations.multiscale import fast_size
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.prediction.model import PhasingModel, Prediction, load_phasing_model
from friedel.bcdi.phasing.solver import Found, Solver
from friedel.bcdi.phasing.strategy import Strategy
from friedel.bcdi.phasing.verdict.assess import AGREE, MIN_UNIFORMITY, assess
from friedel.bcdi.phasing.verdict.plausible import amplitude_uniformity
from friedel.bcdi.phasing.ways import confirmed, from_object, from_predictions, from_random, pursued
from friedel.bcdi.records import Diffraction, Quality, Start
from friedel.core.errors import InputError, WeightsError
from friedel.core.machine.device import resolve_device
from friedel.core.machine.threads import threads_for
from friedel.core.observer import Note, Observer, Warned, silent

# Least correlation of agreeing solutions where photons limit the fit: local minima near one prediction reach less.
_PHOTON_LIMITED_AGREEMENT = 0.99
# Where photons are few, noise keeps right solutions further apart than that; this share of the predictions must agree.
_DIM_SHARE = 0.25


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """What phasing found; the fields are those of `Reconstruction`."""

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    quality: Quality
    starts: tuple[Start, ...]
    alternatives: tuple[NDArray[np.complex64], ...] = ()
    """Independent solutions that agree with this one, best first; shift, twin and phase are not aligned."""


def solve(
    diffraction: Diffraction,
    options: PhasingOptions | None = None,
    *,
    start: NDArray[np.complexfloating] | None = None,
    model: PhasingModel | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    observer: Observer = silent,
) -> Solution:
    """Find the object that fits a pattern.

    Parameters
    ----------
    diffraction : Diffraction
        Prepared intensities and mask.
    options : PhasingOptions, optional
        None takes the defaults, which suit all patterns.
    start : (z, y, x) complex, optional
        An object to begin from (another program's, an earlier result), in place of predictions and random starts; any
        scale. With one start there is nothing to compare the result with, and the quality says so.
    model : PhasingModel, optional
        A network that is loaded already, in place of the one that the options name.
    seed : int
        Seed of the starts and of the held-out voxels; the same seed gives the same object on the same machine.
    device : str or torch.device, optional
        None takes a GPU if there is one.
    observer : Observer
        Hears progress and decisions.

    Raises
    ------
    InputError
        If the start has another shape than the pattern, or is zero or not finite.
    WeightsError
        If the options name weights that can't be used.
    """
    options = options or PhasingOptions()
    if start is not None:
        _check_start(start, diffraction)
        options = options.model_copy(update={"starts": 1, "rounds": 1})
    with torch.no_grad(), threads_for(diffraction.intensities.size):
        solver = Solver(diffraction, options, seed, resolve_device(device), observer)
        if start is not None:
            return _solution(solver, from_object(solver, torch.from_numpy(np.array(start, dtype=np.complex64))), ())
        network = (model or _network(solver)) if options.start == "network" else None
        if solver.climbs and options.start == "network":
            return _climbed(solver, network)
        if network is not None:
            return _guided(solver, network)
        return _solution(solver, from_random(solver), ())


def _check_start(start: NDArray[np.complexfloating], diffraction: Diffraction) -> None:
    if start.shape != diffraction.intensities.shape:
        raise InputError(f"the start has shape {start.shape}, the pattern {diffraction.intensities.shape}")
    if not (np.isfinite(start).all() and np.any(start)):
        raise InputError("the start is zero or not finite; give a complex object, or none for random starts")


def _network(solver: Solver) -> PhasingModel | None:
    """Return the network the options name; None, and a warning, if the package came without its own."""
    name = solver.options.guided.model
    try:
        return load_phasing_model(name, device=solver.device)
    except WeightsError as error:
        if name != "default":
            raise
        solver.observer(Warned("start", f"random, because the network can't be loaded: {error}"))
        return None


def _climbed(solver: Solver, network: PhasingModel | None) -> Solution:
    """Run the strategy; where the model and not photon noise limits the fit, finish what it found as such data ask."""
    solver.climbed = True
    strategy, reason = _strategy(solver, network=network is not None)
    said = _told(solver, reason, of="strategy")

    def predictions(count: int) -> list[Prediction]:
        assert network is not None
        return network.predictions(solver.diffraction, count)

    climber = Climber(solver.fine, solver.coarse, predictions, seed=solver.seed, observer=solver.observer)
    climbed = climber.run(strategy)
    asked = solver.options.support_threshold is not None or solver.options.coherence != "full"
    if climbed.finished[0].free_deviance < PHOTON_LIMITED and not asked:
        solver.projecting = False
        return _solution(solver, _found(solver, climbed), said)
    quick = _with_options(solver, solver.options.guided.applied_to(solver.options))
    quick.climbed = True
    found = pursued(quick, quick.finished_from(list(climbed.starts), list(climbed.carried)))
    if found.finalists.agreement >= AGREE and _convincing(solver, found):
        return _solution(quick, found, said)
    return _solution(solver, from_random(solver, found.candidates), said)


def _strategy(solver: Solver, *, network: bool) -> tuple[Strategy, str]:
    """Return the strategy of the pattern's regime, and the reason."""
    strategies = solver.options.strategies
    if solver.strained:
        reason = "strongly strained: the peak is spread beyond the usual coarse grid, as by strain of several turns"
        return strategies.strained, reason
    reason = "normal: many photons, room around the crystal, and a peak that fits the coarse grid"
    if network:
        return strategies.normal, reason
    rounds = tuple(stages for stages in strategies.normal.rounds if all(stage.starts != "network" for stage in stages))
    return strategies.normal.model_copy(update={"rounds": rounds or strategies.strained.rounds}), reason


def _found(solver: Solver, climbed: Climbed) -> Found:
    """Return what a strategy came to, with the reason of its support."""
    best = climbed.finished[0]
    reason = (
        f"threshold {climbed.threshold:.3g} of the bulk amplitude: of supports from tight to loose the tightest that "
    )
    reason += (
        f"predicts the held-out voxels as well as any (mean deviance {best.free_deviance:.2f}); photon noise limits it"
    )
    solver.observer(Note("support", reason))
    finalists = solver.compare(list(climbed.finished))
    return Found(candidates=climbed.starts, choice=Choice(climbed.threshold, reason), finalists=finalists)


def _guided(solver: Solver, network: PhasingModel) -> Solution:
    """Solve from the network's predictions; where they don't lead to one solution, from random starts as well."""
    guided = solver.options.guided
    quick = _with_options(solver, guided.applied_to(solver.options))
    count = guided.low_dose_predictions if solver.low_dose else guided.predictions
    found = from_predictions(quick, network.predictions(solver.diffraction, count))
    told = f"{count} predictions of the network {network.name}"
    said = f"the best two, refined, agree at {found.finalists.agreement:.3f}, with a held-out deviance of "
    said += f"{found.finalists.best.free_deviance:.2f} and an amplitude uniformity of {_uniformity(found):.2f}"
    if _convincing(solver, found):
        return _solution(quick, found, _told(solver, f"{told}; {said}"))
    reasons = _told(solver, f"random: {told} came first, but {said}, so that random starts followed")
    return _solution(solver, from_random(solver, found.candidates), reasons)


def _convincing(solver: Solver, found: Found) -> bool:
    """Say whether what predictions led to needs no further starts.

    Predictions of one network may share an error. A fit at the photon limit is enough; elsewhere a few random starts
    must find nothing better.
    """
    best, agreement = found.finalists.best, found.finalists.agreement
    if _uniformity(found) < MIN_UNIFORMITY:
        return False
    if best.free_deviance < PHOTON_LIMITED:
        if solver.low_dose:
            return found.finalists.n_agreeing >= max(2, _DIM_SHARE * len(found.finalists.candidates))
        return agreement >= _PHOTON_LIMITED_AGREEMENT
    return agreement >= AGREE and confirmed(
        _with_options(solver, solver.options.guided.confirming(solver.options)), found
    )


def _uniformity(found: Found) -> float:
    """Return the amplitude uniformity of what agrees: of the mean, which is what becomes the result."""
    return amplitude_uniformity(found.finalists.mean, found.finalists.support)


def _with_options(solver: Solver, options: PhasingOptions) -> Solver:
    return Solver(solver.diffraction, options, solver.seed, solver.device, solver.observer)


def _told(solver: Solver, text: str, *, of: str = "start") -> tuple[str, ...]:
    solver.observer(Note(of, text))
    return (f"{of}: {text}",)


def _to_the_limit(solver: Solver, found: Found) -> Found:
    """Take what other strategies found through the stages on the whole pattern, and climb anew if that isn't enough.

    Stripes don't lower agreement, because all starts may have them; they raise the held-out deviance. Patterns too
    small for a coarse grid to save time get one here, three quarters as long along each axis.
    """
    finalists, best = found.finalists, found.finalists.best
    asked = solver.options.support_threshold is not None or solver.options.coherence != "full"
    room = solver.small and solver.clean and not (solver.low_dose or solver.tight)
    if solver.climbed or asked or not room or solver.options.starts == 1:
        return found
    strategy, _ = _strategy(solver, network=False)
    z, y, x = (min(n, fast_size(0.75 * n)) for n in solver.fine.shape)
    coarse = solver.coarse if solver.climbs else (z, y, x)
    first = 1 + max(candidate.number for candidate in found.candidates)
    climber = Climber(
        solver.fine, coarse, lambda count: [], seed=solver.seed, observer=solver.observer, first=max(first, 0)
    )
    on_whole = tuple(stage for stage in strategy.climb if stage.grid == "whole" and stage.descend)
    carried, enough = climber.climbed(list(finalists.candidates[: on_whole[0].keep]), on_whole)
    climbed = climber.ended(carried)
    if not enough and climbed.finished[0].free_deviance < PHOTON_LIMITED:
        climbed = climber.run(strategy)
    if climbed.finished[0].free_deviance >= min(best.free_deviance, PHOTON_LIMITED):
        return found
    solver.projecting = False
    return replace(_found(solver, climbed), candidates=(*found.candidates, *climbed.starts))


def _solution(solver: Solver, found: Found, reasons: tuple[str, ...]) -> Solution:
    """Merge what agrees, refit it to all voxels, judge it, and bring it to the conventions."""
    found = _to_the_limit(solver, found)
    finalists = solver.freed(solver.merged(found))
    best = solver.refit(finalists)
    quality = assess(
        finalists,
        best,
        solver.fine,
        solver.diffraction,
        threshold=found.choice.threshold,
        n_starts=len(found.candidates),
        reasons=(*reasons, f"support: {found.choice.reason}"),
    )
    obj, support = canonical(best, finalists.support)
    starts = solver.starts(found.candidates, finalists)
    others = tuple(finalists.agreeing[1:])
    return Solution(object=obj, support=support, quality=quality, starts=starts, alternatives=others)
