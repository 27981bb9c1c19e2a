"""The loop that runs a strategy: from starts on a coarse grid to the photon limit on the whole pattern.

`strategy` says what is done, this module does it; regimes are known there alone. A `Candidate` holds one object from
its start to the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from friedel.bcdi.phasing.candidate import Candidate, alike, lifted, ranked, refined, shrunk
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.multiscale import Shape, between, central_part, lower, windowed
from friedel.bcdi.phasing.iterations.support import grown, noise_level
from friedel.bcdi.phasing.prediction.model import Prediction
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.phasing.run_stage import bar_of, drawn, iterated
from friedel.bcdi.phasing.strategy import Stage, Strategy
from friedel.bcdi.phasing.subvoxel_shift import placed
from friedel.bcdi.phasing.support_choice import FILLED, PHOTON_LIMITED
from friedel.bcdi.phasing.verdict.goodness import EXPLAINED, Goodness, goodness, noise_threshold
from friedel.core.observer import Note, Observer, Progress

# Of two thresholds whose held-out deviances differ by less, the tighter is taken: its object has less freedom.
_AS_GOOD = 1.002
# Two solutions that correlate this well are one: stripes, which differ from solution to solution, lower it.
_ALIKE = 0.998
# Above this deviance a loosest support is tried no further: it is another solution, or the model, that is wrong.
_FAR = 4.0
# Bounds of the autocorrelation's level for the first support: what stands out of photon noise, between these.
_LEVEL, _LEAST_LEVEL = 0.01, 0.001
# Stripes raised the held-out deviance by 3 to 25 %; a round that lowers it by less than this has removed none.
_GAIN = 0.995


@dataclass(frozen=True, eq=False, kw_only=True)
class Climbed:
    """What a strategy came to.

    Attributes
    ----------
    starts : tuple of Candidate
        Every start as it was left on the coarse grid.
    carried : tuple of Candidate
        The best, on the whole pattern, before the last refinement.
    finished : tuple of Candidate
        Those refined to the limit, best first.
    threshold : float
        Of the best one's support.
    rounds : int
        Rounds that were run.
    """

    starts: tuple[Candidate, ...]
    carried: tuple[Candidate, ...]
    finished: tuple[Candidate, ...]
    threshold: float
    rounds: int


class Climber:
    """One run of a strategy on one measurement.

    Parameters
    ----------
    measured : Measured
        The whole pattern, with its held-out voxels.
    coarse : (int, int, int)
        Shape of the central part on which starts run.
    predictions : callable
        Returns so many predictions of a network.
    seed : int
        Seed of the random starts.
    observer : Observer
        Hears progress and decisions.
    first : int
        Number of the first start.
    """

    def __init__(
        self,
        measured: Measured,
        coarse: Shape,
        predictions: Callable[[int], list[Prediction]],
        *,
        seed: int,
        observer: Observer,
        first: int = 0,
    ) -> None:
        self.measured, self.coarse, self.predictions = measured, coarse, predictions
        self.seed, self.observer, self.first = seed, observer, first
        self.pool: list[Candidate] = []
        self.finished: dict[int, tuple[Candidate, float]] = {}
        self.rounds = 0

    def run(self, strategy: Strategy) -> Climbed:
        """Run the rounds until the pattern is explained, or to their end."""
        carried: list[Candidate] = []
        for self.rounds, stages in enumerate(strategy.rounds, start=1):
            for stage in stages:
                carried = self.found(carried, stage)
            last = self.rounds == len(strategy.rounds)
            if not last and alike(carried) < max(stage.agreeing for stage in stages):
                continue
            carried, enough = self.climbed(carried, strategy.climb)
            if enough:
                break
        return self.ended(carried)

    def ended(self, carried: list[Candidate]) -> Climbed:
        """Return what has come of it so far."""
        best = ranked([candidate for candidate, _ in self.finished.values()])
        return Climbed(
            starts=tuple(self.pool),
            carried=tuple(carried),
            finished=tuple(best),
            threshold=self.finished[best[0].number][1],
            rounds=self.rounds,
        )

    def climbed(self, carried: list[Candidate], stages: tuple[Stage, ...]) -> tuple[list[Candidate], bool]:
        """Return the candidates after the stages of a climb, and whether no further round is needed."""
        for stage in stages:
            before = self.least
            carried = self.raised(carried, stage)
            if stage.final and self.explained(carried):
                return carried, True
        # Going on gained nothing: the misfit left is the measurement's, not that of a local minimum.
        return carried, self.least > _GAIN * before

    @property
    def least(self) -> float:
        """Least held-out deviance of what is finished."""
        return min((one.free_deviance for one, _ in self.finished.values()), default=float("inf"))

    def keep(self, candidates: list[Candidate], threshold: float, *, as_good: float = 1.0) -> None:
        """Take refined candidates among the finished; a start stands there once, with what predicts best.

        Parameters
        ----------
        candidates : list of Candidate
            On the whole pattern.
        threshold : float
            Of their supports.
        as_good : float
            Factor of held-out deviance up to which the later counts as better.
        """
        for one in candidates:
            known = self.finished.get(one.number)
            if known is None or one.free_deviance < as_good * known[0].free_deviance:
                self.finished[one.number] = (one, threshold)

    def found(self, carried: list[Candidate], stage: Stage) -> list[Candidate]:
        """Return the best candidates after a stage on the coarse grid."""
        if stage.starts != "none":
            self.pool += self.started(stage)
        else:
            measured = self.part(self.coarse, stage.window)
            gone = iterated(carried, measured, stage, on_progress=bar_of(stage, len(carried), self.observer))
            now = {candidate.number: candidate for candidate in gone}
            self.pool = [now.get(candidate.number, candidate) for candidate in self.pool]
        return ranked(self.pool)[: stage.keep]

    def raised(self, carried: list[Candidate], stage: Stage) -> list[Candidate]:
        """Return the best candidates after a stage of the climb."""
        for shape in self.shapes(stage):
            measured = self.part(shape, stage.window)
            if stage.schedule:
                bar = bar_of(stage, len(carried), self.observer)
                carried = iterated(lifted(carried, measured), measured, stage, on_progress=bar)
        return (self.limited(carried, stage) if stage.descend else ranked(carried))[: stage.keep]

    def explained(self, finished: list[Candidate]) -> bool:
        """Say whether photon noise explains the misfit, and the best two solutions are alike (`_ALIKE`)."""
        fit = self.fit(finished[0])
        said = f"{fit.factor:.2f} × what photon noise gives, from {len(self.pool)} starts"
        self.observer(Note("fit", said, {"factor": fit.factor, "spread": fit.spread}))
        return fit.explained and alike(finished) >= _ALIKE

    def fit(self, candidate: Candidate) -> Goodness:
        """Return how far a candidate on the whole pattern is from what photons allow."""
        return goodness(candidate.confined, int(candidate.support.sum()), self.measured)

    def shapes(self, stage: Stage) -> list[Shape]:
        """Return the grids of a stage."""
        return between(self.coarse, self.measured.shape) if stage.grid == "between" else [self.measured.shape]

    def part(self, shape: Shape, window: float) -> Measured:
        """Return the pattern's central part with soft edges."""
        whole = self.measured if shape == self.measured.shape else central_part(self.measured, shape)
        return windowed(whole, window)

    def started(self, stage: Stage) -> list[Candidate]:
        """Return the new candidates of a stage after its schedule, on the coarse grid."""
        measured, bar = self.part(self.coarse, stage.window), bar_of(stage, stage.count, self.observer)
        first = len(self.pool)
        if stage.starts == "network":
            candidates = iterated(self.predicted(stage, measured), measured, stage, on_progress=bar)
        else:
            level = max(_LEAST_LEVEL, min(_LEVEL, noise_level(measured)))
            candidates = drawn(measured, stage, level=level, seed=self.seed * 1009 + first, on_progress=bar)
        return [replace(candidate, number=self.first + first + k) for k, candidate in enumerate(candidates)]

    def entered(self, candidate: Candidate) -> Candidate:
        """Take a candidate that was made elsewhere, on the coarse grid, among the starts; return it with its number."""
        numbered = replace(candidate, number=self.first + len(self.pool))
        self.pool.append(numbered)
        return numbered

    def predicted(self, stage: Stage, measured: Measured) -> list[Candidate]:
        """Return the network's predictions on the coarse grid, each with a support."""
        objects = np.stack([prediction.object for prediction in self.predictions(stage.count)])
        coarse = lower(torch.from_numpy(objects).to(measured.amplitude.device), measured.shape)
        return [Candidate(obj, shrunk(obj, stage.thresholds[0], sigma=stage.sigma[0])) for obj in coarse]

    def limited(self, carried: list[Candidate], stage: Stage) -> list[Candidate]:
        """Return the candidates refined, best first; the best one's support decides the threshold of the others'."""
        best, *others = ranked([self.refined_first(candidate, stage) for candidate in carried])
        best, threshold = self.descended(best, stage)
        if stage.to_noise:
            best, threshold = self.filled(best, threshold, stage)
        if best.free_deviance <= _FAR:
            others = [self.refined(other, threshold, stage) for other in others]
        self.keep([best, *others], threshold, as_good=_AS_GOOD if stage.to_noise else 1.0)
        return ranked([best, *others])

    def refined_first(self, candidate: Candidate, stage: Stage) -> Candidate:
        """Return a candidate after its first refinement, in its place between the voxels if the stage looks for it."""
        if stage.tight is not None:
            moved = placed(candidate.confined, self.measured)
            candidate = replace(candidate, projected=moved, support=shrunk(moved, stage.tight))
        return refined(candidate, self.measured, _steps(stage.steps[1]))

    def descended(self, candidate: Candidate, stage: Stage) -> tuple[Candidate, float]:
        """Return a candidate refined on ever looser supports while held-out voxels gain by it, and the threshold."""
        tried: list[tuple[Candidate, float]] = []
        for k, threshold in enumerate(stage.descend):
            candidate = self.refined(candidate, threshold, stage)
            tried.append((candidate, threshold))
            self.observer(Progress(stage.name, k + 1, len(stage.descend)))
            least = min(one.free_deviance for one, _ in tried)
            if candidate.free_deviance > min(_FAR, _AS_GOOD * least):
                break
        self.observer(Progress(stage.name, len(stage.descend), len(stage.descend)))
        lowest = self.lowest_threshold(min((one for one, _ in tried), key=lambda one: one.free_deviance))
        allowed = [pair for pair in tried if pair[1] >= lowest] or tried[:1]
        least = min(one.free_deviance for one, _ in allowed)
        return next(pair for pair in allowed if pair[0].free_deviance <= _AS_GOOD * least)

    def filled(self, candidate: Candidate, threshold: float, stage: Stage) -> tuple[Candidate, float]:
        """Return a candidate with all that stands out of photon noise, if that explains its fit, and the threshold.

        Surface voxels filled by a few per cent change the deviance of few held-out voxels less than chance does, so
        that the descent leaves them out; and the object makes up for each of them.
        """
        level = noise_threshold(candidate.confined, self.measured)
        if level >= threshold or not self.fit(candidate).explained:
            return candidate, threshold
        fuller = self.refined(candidate, level, stage)
        return (fuller, level) if fuller.free_deviance <= _AS_GOOD * candidate.free_deviance else (candidate, threshold)

    def lowest_threshold(self, best: Candidate) -> float:
        """Return the loosest support to consider: any where photons limit the fit, the crystal's where the model does.

        In between it rises continuously with the misfit that photon noise leaves unexplained, so that two seeds with
        nearly the same misfit aren't treated differently.
        """
        unexplained = (self.fit(best).factor - EXPLAINED) / (PHOTON_LIMITED - EXPLAINED)
        return FILLED * min(1.0, max(0.0, unexplained))

    def refined(self, candidate: Candidate, threshold: float, stage: Stage) -> Candidate:
        """Refine on a support one voxel wider, choose the support from that, and refine on it."""
        loose = refine(candidate.projected, grown(candidate.support, 1), self.measured, _steps(stage.steps[0])).obj
        return refined(
            replace(candidate, projected=loose, support=shrunk(loose, threshold)),
            self.measured,
            _steps(stage.steps[1]),
        )


def _steps(count: int) -> RefineOptions:
    return RefineOptions(steps=count, early_stop=False)
