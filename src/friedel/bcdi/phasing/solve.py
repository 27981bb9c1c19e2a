"""The whole chain: a network's predictions or random starts → chosen support → refined solutions → the best and why."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.ambiguities import canonical
from friedel.bcdi.phasing.candidate import Candidate, alike
from friedel.bcdi.phasing.finish import Finisher, Found
from friedel.bcdi.phasing.iterations.multiscale import fast_size
from friedel.bcdi.phasing.neighbour import continued
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.prediction.model import PhasingModel, Prediction, load_phasing_model
from friedel.bcdi.phasing.regime import Regime
from friedel.bcdi.phasing.rounds import confirmed, from_object, from_predictions, from_random, pursued
from friedel.bcdi.phasing.run_strategy import Climbed, Climber
from friedel.bcdi.phasing.strategy import Search, Strategy
from friedel.bcdi.phasing.support_choice import PHOTON_LIMITED, Choice
from friedel.bcdi.phasing.verdict.assess import AGREE, MIN_AGREEMENT, MIN_UNIFORMITY, assess
from friedel.bcdi.phasing.verdict.plausible import amplitude_uniformity
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
    pattern: Diffraction
    """What the object was fitted to: the pattern as given, or with its frames brought to one light."""
    alternatives: tuple[NDArray[np.complex64], ...] = ()
    """Independent solutions that agree with this one, best first; shift, twin and phase are not aligned."""
    blur: NDArray[np.float32] | None = None
    """Widths of the blur that was taken into account, ``(3,)`` along (z, y, x), voxels; None: none was."""


def solve(
    diffraction: Diffraction,
    options: PhasingOptions | None = None,
    *,
    start: NDArray[np.complexfloating] | None = None,
    neighbour: NDArray[np.complexfloating] | None = None,
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
    neighbour : (z, y, x) complex, optional
        The same crystal as another scan of a series found it, of any scale and shape, with this pattern's field of
        view. Begun from where stages suit the pattern; the result is taken if a start that knows nothing of it comes to
        the same and the verdict is that it is trusted. Else the pattern is phased as if it weren't given.
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
        neighbour = None
        options = options.model_copy(update={"starts": 1, "rounds": 1})
    with torch.no_grad(), threads_for(diffraction.intensities.size):
        run = _Run(Regime(diffraction, options, seed, resolve_device(device)), options, observer)
        found = None if neighbour is None else run.continued(torch.from_numpy(np.array(neighbour)), model)
        return found or run.solution(start, model)


def _check_start(start: NDArray[np.complexfloating], diffraction: Diffraction) -> None:
    if start.shape != diffraction.intensities.shape:
        raise InputError(f"the start has shape {start.shape}, the pattern {diffraction.intensities.shape}")
    if not (np.isfinite(start).all() and np.any(start)):
        raise InputError("the start is zero or not finite; give a complex object, or none for random starts")


class _Run:
    """One run of `solve`: what is begun with, and what follows where that isn't enough."""

    def __init__(self, regime: Regime, options: PhasingOptions, observer: Observer) -> None:
        self.regime, self.options, self.observer = regime, options, observer
        self.reasons: list[str] = []
        self.guided = options.guided_search(low_dose=regime.low_dose, tight=regime.tight)
        self.random = options.random_search(tight=regime.tight)

    def solution(self, start: NDArray[np.complexfloating] | None, model: PhasingModel | None) -> Solution:
        """Return what the pattern's regime and the options ask for."""
        if start is not None:
            finisher = self.finisher(self.random)
            return self.ended(finisher, from_object(finisher, torch.from_numpy(np.array(start, dtype=np.complex64))))
        if self.options.start == "random":
            return self.from_random()
        network = model or self.network()
        if self.regime.roomy:
            return self.climbed(network)
        return self.from_random() if network is None else self.predicted(network)

    def network(self) -> PhasingModel | None:
        """Return the network the options name; None, and a warning, if the package came without its own."""
        name = self.options.guided.model
        try:
            return load_phasing_model(name, device=self.regime.device)
        except WeightsError as error:
            if name != "default":
                raise
            self.observer(Warned("start", f"random, because the network can't be loaded: {error}"))
            return None

    def finisher(self, search: Search) -> Finisher:
        """Return what brings the candidates of a search to solutions."""
        return Finisher(self.regime, search, self.options, self.observer)

    def from_random(self, also: tuple[Candidate, ...] = (), *, climbed: bool = False) -> Solution:
        """Solve from random starts, and from what others came to."""
        finisher = self.finisher(self.random)
        return self.ended(finisher, from_random(finisher, also), climbed=climbed)

    def predicted(self, network: PhasingModel) -> Solution:
        """Solve from the network's predictions; where they don't lead to one solution, from random starts as well."""
        finisher, count = self.finisher(self.guided), self.guided.attempts[0].count
        found = from_predictions(finisher, network.predictions(self.regime.diffraction, count))
        told = f"{count} predictions of the network {network.name}"
        said = f"the best two, refined, agree at {found.finalists.agreement:.3f}, with a held-out deviance of "
        said += f"{found.finalists.best.free_deviance:.2f} and an amplitude uniformity of {_uniformity(found):.2f}"
        if self.convincing(found):
            self.tell("start", f"{told}; {said}")
            return self.ended(finisher, found)
        self.tell("start", f"random: {told} came first, but {said}, so that random starts followed")
        return self.from_random(found.candidates)

    def climbed(self, network: PhasingModel | None) -> Solution:
        """Run the strategy; where the model and not photon noise limits the fit, finish what it found otherwise."""
        strategy, reason = self.strategy(network=network is not None)
        self.tell("strategy", reason)
        came_to = self.climber(network).run(strategy)
        if network is not None and strategy.rounds[0][0].starts == "network":
            told = f"{strategy.rounds[0][0].count} predictions of the network {network.name}"
            if came_to.rounds > 1:
                told = f"random: {told} came first, but didn't agree or explain all, so that random starts followed"
            self.tell("start", told)
        found = self.settled(came_to)
        return found if isinstance(found, Solution) else self.from_random(found.candidates, climbed=True)

    def climber(self, network: PhasingModel | None) -> Climber:
        """Return what runs a strategy on this pattern."""

        def predictions(count: int) -> list[Prediction]:
            assert network is not None
            return network.predictions(self.regime.diffraction, count)

        return Climber(self.regime.fine, self.regime.coarse, predictions, seed=self.regime.seed, observer=self.observer)

    def settled(self, came_to: Climbed) -> "Solution | Found":
        """Return the solution that a strategy came to; what was found, where more starts are needed to be sure."""
        if came_to.finished[0].free_deviance < PHOTON_LIMITED and not self.asked:
            finisher = self.finisher(self.random)
            return self.ended(finisher, _found(finisher, came_to), climbed=True)
        search = self.options.guided_search(low_dose=self.regime.low_dose, tight=self.regime.tight, climbed=True)
        finisher = self.finisher(search)
        found = pursued(finisher, finisher.finished_from(list(came_to.starts), list(came_to.carried)))
        if found.finalists.agreement >= AGREE and self.convincing(found):
            return self.ended(finisher, found, climbed=True)
        return found

    def continued(self, neighbour: Tensor, model: PhasingModel | None) -> Solution | None:
        """Solve from a neighbour's object; None, with the reason told, where no witness confirms what it comes to."""
        if self.options.start == "random" or not self.regime.roomy:
            return None
        network = model or self.network()
        strategy, reason = self.strategy(network=network is not None)
        came_to = continued(self.climber(network), neighbour, strategy)
        agreement = alike(list(came_to.finished))
        witness = "a prediction of the network" if strategy.rounds[0][0].starts == "network" else "random starts"
        said = f"the neighbour's object, refined, and {witness}, which knows nothing of it, agree at {agreement:.3f}"
        if agreement >= MIN_AGREEMENT:
            self.reasons = [f"strategy: {reason}", f"neighbour: {said}"]
            found = self.settled(came_to)
            if isinstance(found, Solution) and found.quality.trusted:
                self.observer(Note("neighbour", said, {"agreement": agreement}))
                return found
            said += ", but the result isn't trusted"
        self.reasons = []
        self.tell("neighbour", f"{said}: phased anew, without the neighbour")
        return None

    @property
    def asked(self) -> bool:
        """Whether something is asked for that stages don't look at: a threshold, or the beam's coherence."""
        return self.options.support_threshold is not None or self.options.coherence == "gaussian"

    def strategy(self, *, network: bool) -> tuple[Strategy, str]:
        """Return the strategy of the pattern's regime, and the reason."""
        strategies = self.options.asked_strategies
        if self.regime.strained:
            reason = "strongly strained: the peak is spread beyond the usual coarse grid, as by strain of several turns"
            return strategies.strained, reason
        if self.regime.coarse == self.regime.fine.shape:
            found = strategies.small
            reason = "small: many photons, room around the crystal, and no need of a coarser grid"
        else:
            found = strategies.normal
            reason = "normal: many photons, room around the crystal, and a peak that fits the coarse grid"
        if network:
            return found, reason
        rounds = tuple(stages for stages in found.rounds if all(stage.starts != "network" for stage in stages))
        return found.model_copy(update={"rounds": rounds or strategies.strained.rounds}), reason

    def convincing(self, found: Found) -> bool:
        """Say whether what predictions led to needs no further starts.

        Predictions of one network may share an error. A fit at the photon limit is enough; elsewhere a few random
        starts must find nothing better.
        """
        best, agreement = found.finalists.best, found.finalists.agreement
        if _uniformity(found) < MIN_UNIFORMITY:
            return False
        if best.free_deviance < PHOTON_LIMITED:
            if self.regime.low_dose:
                return found.finalists.n_agreeing >= max(2, _DIM_SHARE * len(found.finalists.candidates))
            return agreement >= _PHOTON_LIMITED_AGREEMENT
        witnesses = self.options.witness_search(tight=self.regime.tight)
        return agreement >= AGREE and confirmed(self.finisher(witnesses), found)

    def tell(self, of: str, text: str) -> None:
        """Note a decision, and keep it among the result's reasons."""
        self.observer(Note(of, text))
        self.reasons.append(f"{of}: {text}")

    def to_the_limit(self, finisher: Finisher, found: Found) -> Found:
        """Take what other strategies found through the stages on the whole pattern, and climb anew if it isn't enough.

        Stripes don't lower agreement, because all starts may have them; they raise the held-out deviance. Patterns too
        small for a coarse grid to save time get one here, three quarters as long along each axis.
        """
        finalists, best = found.finalists, found.finalists.best
        if self.asked or not self.regime.roomy or self.options.starts == 1:
            return found
        strategy, _ = self.strategy(network=False)
        fine = self.regime.fine
        z, y, x = (min(n, fast_size(0.75 * n)) for n in fine.shape)
        coarse = self.regime.coarse if self.regime.coarse != fine.shape else (z, y, x)
        first = 1 + max(candidate.number for candidate in found.candidates)
        climber = Climber(
            fine, coarse, lambda count: [], seed=self.regime.seed, observer=self.observer, first=max(first, 0)
        )
        on_whole = tuple(stage for stage in strategy.climb if stage.grid == "whole" and stage.descend)
        carried, enough = climber.climbed(list(finalists.candidates[: on_whole[0].keep]), on_whole)
        came_to = climber.ended(carried)
        if not enough and came_to.finished[0].free_deviance < PHOTON_LIMITED:
            came_to = climber.run(strategy)
        if came_to.finished[0].free_deviance >= min(best.free_deviance, PHOTON_LIMITED):
            return found
        return replace(_found(finisher, came_to), candidates=(*found.candidates, *came_to.starts))

    def ended(self, finisher: Finisher, found: Found, *, climbed: bool = False) -> Solution:
        """Merge what agrees, refit it to all voxels, judge it, and bring it to the conventions."""
        if not climbed:
            found = self.to_the_limit(finisher, found)
        finalists = finisher.lit(finisher.coherent(finisher.freed(finisher.merged(found))))
        best = finisher.refit(finalists)
        quality = assess(
            finalists,
            best,
            finisher.grids.fine,
            finisher.pattern,
            threshold=found.choice.threshold,
            n_starts=len(found.candidates),
            reasons=(*self.reasons, f"support: {found.choice.reason}", *finisher.told),
        )
        obj, support = canonical(best, finalists.support)
        starts = finisher.starts(found.candidates, finalists)
        others = tuple(finalists.agreeing[1:])
        return Solution(
            object=obj,
            support=support,
            quality=quality,
            starts=starts,
            pattern=finisher.pattern,
            alternatives=others,
            blur=None if finisher.widths is None else finisher.widths.cpu().numpy(),
        )


def _found(finisher: Finisher, came_to: Climbed) -> Found:
    """Return what a strategy came to, with the reason of its support; its solutions aren't projected any more."""
    best = came_to.finished[0]
    reason = (
        f"threshold {came_to.threshold:.3g} of the bulk amplitude: of supports from tight to loose, and of what stands "
    )
    reason += (
        f"out of photon noise, the tightest that predicts the held-out voxels as well as any (mean deviance "
        f"{best.free_deviance:.2f}); photon noise limits it"
    )
    finisher.observer(Note("support", reason))
    finisher.projecting = False
    finalists = finisher.compare(list(came_to.finished))
    return Found(candidates=came_to.starts, choice=Choice(came_to.threshold, reason), finalists=finalists)


def _uniformity(found: Found) -> float:
    """Return the amplitude uniformity of what agrees: of the mean, which is what becomes the result."""
    return amplitude_uniformity(found.finalists.mean, found.finalists.support)
