"""The steps of a phasing run: starts, their support, polishing, comparing, the last fit. `solve` puts them in order."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.choose import AS_GOOD, Choice, ThresholdScan, choose_threshold, model_limited
from friedel.bcdi.phasing.explore import Candidate, explore, free_deviances, ranked, relax
from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.multiscale import (
    central_part,
    compact_shape,
    lift,
    lift_support,
    limited_shape,
    lower,
    start_shape,
)
from friedel.bcdi.phasing.iterations.projections import project_modulus
from friedel.bcdi.phasing.iterations.schedule import iterations_in
from friedel.bcdi.phasing.iterations.support import (
    autocorrelation_excess,
    autocorrelation_support,
    noise_level,
    shrink_wrap,
)
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.prediction.model import Prediction
from friedel.bcdi.phasing.refine import RefineOptions, is_low_dose, refine, with_coherence
from friedel.bcdi.phasing.verdict.assess import AGREE, Finalists
from friedel.bcdi.records import Diffraction, Start
from friedel.core.observer import Note, Observer, Progress, silent

# Voxels of reciprocal space, each axis: nearly full coherence, but not 0, where the gradient by the width vanishes.
_COHERENCE_START = 0.3
# Fraction of the bulk amplitude: between a half-filled surface voxel (0.5) and the noise around the object.
NEUTRAL = 0.13
_FITS = 3  # rounds of refinement and new support where photons are few
_SHORTEST_DIM = 16  # voxels an axis of the starts' grid has at least then
# Where photons are few, only the central part's phases can be found by projections.
_DIM_START_VOXELS = 300
_DIM_THRESHOLD = 0.2  # of the bulk amplitude, for supports then: above the noise around the object, which is stronger
# Share of the box that the autocorrelation's halved region may fill; above it, the autocorrelation is aliased.
_TIGHT_BOX = 0.25
_AUTOCORRELATION_LEVEL = 0.01  # of its peak: the most at which the first support is cut; lower where noise allows
# A climb takes 10 CPU-s at 64³ and 120 at 64 × 98 × 96, each round: larger patterns take the chain that ends sooner.
_MOST_CLIMBED = 72**3
# Between what simulated and real patterns have, see `autocorrelation_excess`.
_MOST_EXCESS = 2.0
# Share of the photons outside the coarse grid above which it cuts the peak. Crystals strained by one turn leave 1.5 to
# 2.4 % outside 32³ of 64³, those of two to six turns 3 to 14 %.
_OUTSIDE = 0.025
# In a tight box: smoothing at the first and the last iteration, voxels, and iterations before and between updates.
_CLOSE_SIGMA, _CLOSE_EVERY = (3.0, 1.0), 20
# Rounds after the first are for strongly strained crystals, too, and strain needs resolution.
_SHORTEST_LATER = 32
# Candidates refined on a fine grid of its own, where iterations are slow: two show whether independent starts agree.
_ON_FINE_GRID = 2


@dataclass(frozen=True)
class Following:
    """How a support follows an object: a threshold of its amplitude, smoothed, every few iterations.

    Attributes
    ----------
    threshold : float
        Fraction of the bulk amplitude.
    sigma : (float, float)
        Smoothing at the first and at the last iteration, voxels.
    every : int
        Iterations between updates.
    """

    threshold: float
    sigma: tuple[float, float]
    every: int


NEAR = Following(threshold=0.16, sigma=(1.0, 1.0), every=10)
"""For predictions near the solution."""
CLOSE = Following(threshold=0.2, sigma=(2.0, 1.0), every=10)
"""For a box hardly larger than the crystal, where a loose support fits any pattern: first a smooth body, then its
surface."""
LOOSE = Following(threshold=0.07, sigma=(0.5, 0.5), every=20)
"""For strain of several turns, in which parts of a crystal reconstruct weakly: a tighter support would cut them off."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """What a run came to.

    Attributes
    ----------
    candidates : tuple of Candidate
        Every start, as it was left.
    choice : Choice
        The support's threshold.
    finalists : Finalists
        The best starts, refined.
    """

    candidates: tuple[Candidate, ...]
    choice: Choice
    finalists: Finalists


class Solver:
    """One run of `solve`: what its steps share.

    Three grids of one field of view serve it: `start` (just fine enough to find the object), `middle` (to choose the
    support) and `fine` (the whole pattern). For small patterns they are the same.
    """

    def __init__(
        self, diffraction: Diffraction, options: PhasingOptions, seed: int, device: torch.device, observer: Observer
    ) -> None:
        self.diffraction, self.options, self.seed, self.observer = diffraction, options, seed, observer
        self.device = device
        self.fine = measured_from(diffraction, held_out_fraction=options.held_out, seed=seed, device=device)
        self.middle = central_part(self.fine, limited_shape(self.fine.shape, options.choice_voxels))
        object_voxels = int(autocorrelation_support(self.middle).sum())
        self.low_dose = is_low_dose(self.fine)
        self.tight = object_voxels > _TIGHT_BOX * self.middle.intensity.numel()
        self.refining = self.unexpecting
        wanted, shortest = options.start_voxels, options.start_shortest
        if self.low_dose:
            # Starts on fringes of few photons go wrong; the refinement, whose likelihood knows their noise, adds them.
            wanted, shortest = _DIM_START_VOXELS, _SHORTEST_DIM
            self.refining = self.refining.model_copy(update={"density_spread": options.low_dose_density_spread})
        self.start, self.later = (
            central_part(self.middle, start_shape(self.middle.shape, object_voxels, wanted, shortest=least))
            for least in (shortest, shortest if self.low_dose else max(shortest, _SHORTEST_LATER))
        )
        # Strategies climb from a coarse grid: where there is one, the box leaves room, and photons are many.
        least = max(options.start_shortest, _SHORTEST_LATER)
        coarse = start_shape(self.fine.shape, object_voxels, wanted, shortest=least)
        self.coarse = compact_shape(self.fine, coarse, outside=_OUTSIDE)
        self.strained = self.coarse != coarse
        # Unknown voxels would leak into the whole autocorrelation.
        self.clean = not diffraction.mask.all() or autocorrelation_excess(self.fine) < _MOST_EXCESS
        self.small = math.prod(self.fine.shape) <= _MOST_CLIMBED
        self.climbs = coarse != self.fine.shape and self.clean and self.small and not (self.low_dose or self.tight)
        self.climbed, self.projecting = False, not self.low_dose
        if self.start.shape != self.fine.shape:
            self.observer(Note("grids", f"starts on {_size(self.start)} voxels, the result on {_size(self.fine)}"))

    @property
    def unexpecting(self) -> RefineOptions:
        """How solutions are refined that are compared, expecting nothing of their density."""
        steps = min(self.options.refine.steps, self.options.comparing_steps)
        return self.options.refine.model_copy(update={"steps": steps})

    def lowered(self, candidate: Candidate) -> Candidate:
        """Return a candidate on the starts' grid, with its history."""
        z, y, x = self.start.shape
        coarse = self._candidate(lower(candidate.confined, (z, y, x)), self.start)
        return replace(coarse, number=candidate.number, chis=candidate.chis, iterations=candidate.iterations)

    def finished_from(self, candidates: list[Candidate], kept: list[Candidate]) -> Found:
        """Choose the support on the best of the kept candidates, and refine them all on it.

        Where photons are few they are refined first, and the support is chosen on their mean: what one of them predicts
        better on another support is mostly chance.
        """
        if not self.low_dose:
            choice = self.choose(kept[0])
            finalists = self.compare(self.finals(kept, choice.threshold))
        else:
            finalists = self.compare(self.finals(kept, self.options.support_threshold or _DIM_THRESHOLD))
            mean = lower(torch.from_numpy(finalists.mean).to(self.device), self.middle.shape)
            choice = self.choose(self._candidate(mean, self.middle))
        return Found(candidates=tuple(candidates), choice=choice, finalists=finalists)

    def explored(self, number: int) -> list[Candidate]:
        """Return what a round of random starts came to; those after the first are for what a tight support misses."""
        if number == 0 and not self.tight:
            return self._random(self.start, self.options, number)
        options = self._close() if self.tight else self._loose()
        found = ranked(self._random(self.later, options, number))
        if number == 0:
            return found
        kept, left = found[: self.options.keep], found[self.options.keep :]
        return [*self.continued(kept, self.options.loose_schedule, self.loosest), *left]

    @property
    def loosest(self) -> Following:
        """How the support follows where the usual one failed."""
        return CLOSE if self.tight else LOOSE

    def _close(self) -> PhasingOptions:
        close = {"start_sigma": _CLOSE_SIGMA, "first_update": _CLOSE_EVERY, "update_every": _CLOSE_EVERY}
        return self.options.model_copy(update=close | {"start_thresholds": self.options.tight_thresholds})

    def _loose(self) -> PhasingOptions:
        return self.options.model_copy(update={"start_thresholds": self.options.loose_thresholds})

    def _random(self, measured: Measured, options: PhasingOptions, number: int) -> list[Candidate]:
        count = iterations_in(options.schedule) * options.starts
        bar = _Bar(self.observer, "random starts" if number == 0 else f"random starts, round {number + 1}", count)
        # In a tight box the autocorrelation is aliased, and its rim can't be seen.
        wider = 1 if self.tight else 3**number
        level = max(_AUTOCORRELATION_LEVEL / wider, min(_AUTOCORRELATION_LEVEL, noise_level(measured)))
        return explore(measured, options, seed=self.seed + 7919 * number, level=level, on_progress=bar)

    def predicted(self, predictions: list[Prediction]) -> list[Candidate]:
        """Return predictions as candidates on the starts' grid."""
        objects = torch.from_numpy(np.stack([prediction.object for prediction in predictions])).to(self.device)
        return [
            replace(self._candidate(obj, self.start), number=-1 - k)
            for k, obj in enumerate(lower(objects, self.start.shape))
        ]

    def continued(self, candidates: list[Candidate], schedule: str, how: Following) -> list[Candidate]:
        """Run a schedule on candidates of one grid, with the support following."""
        if not candidates:
            return []
        bar = _Bar(self.observer, "going on", iterations_in(schedule) * len(candidates))
        followed = {"polish": schedule, "polish_update_every": how.every}
        options = self.options.model_copy(update=followed)
        measured = self.start if candidates[0].projected.shape == self.start.shape else self.later
        thresholds = [how.threshold] * len(candidates)
        beta = self.options.beta
        return relax(candidates, measured, thresholds, options, beta=beta, sigma=how.sigma, on_progress=bar)

    def given(self, start: Tensor) -> Candidate:
        """Return a given object as a candidate on the middle grid."""
        return self._candidate(lower(start, self.middle.shape), self.middle)

    def _candidate(self, obj: Tensor, measured: Measured) -> Candidate:
        """Return an object as a candidate with its support from shrink-wrap."""
        objects = obj[None]
        anywhere = torch.ones_like(objects, dtype=torch.bool)
        support = shrink_wrap(objects, anywhere, threshold=NEUTRAL, sigma=self.options.start_sigma[1])
        projected = project_modulus(objects * support, measured)
        score = free_deviances(projected * support, measured)
        chi = chi_of(projected * support, measured)
        return Candidate(projected[0], support[0], (0,), (float(chi[0]),), float(score[0]))

    def prepared(self, candidates: list[Candidate], *, threshold: float = NEUTRAL) -> list[Candidate]:
        """Return the best starts on the middle grid: all are polished on supports of one threshold, then ranked."""
        threshold = self.options.support_threshold or threshold
        first = self.options.polish_betas[:1]
        polished = self.finished(lifted(candidates, self.middle), threshold, self.middle, "polishing", betas=first)
        return self.worth(polished)

    def worth(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return the candidates to refine and compare, best first: all where photons are few, for their mean."""
        return ranked(candidates)[: None if self.low_dose else self.options.keep]

    def choose(self, best: Candidate) -> Choice:
        """Choose the support threshold on the best candidate so far, and fit the coherence if asked to."""
        if self.options.coherence == "gaussian":
            self.fit_coherence(best)
        if self.options.support_threshold is not None:
            choice = Choice(self.options.support_threshold, f"threshold {self.options.support_threshold:.3g}, as asked")
        else:
            choice = choose_threshold(self.threshold_scan(best), photons=self.diffraction.unit == "photons")
        self.observer(Note("support", choice.reason))
        return choice

    def threshold_scan(self, best: Candidate) -> ThresholdScan:
        """Try the thresholds, the loosest first, until it shows that the model limits the fit."""
        thresholds = sorted(self.options.candidates)
        tried: list[Candidate] = []
        for rungs in (thresholds[:1], thresholds[1:2], thresholds[2:]):
            if rungs:
                tried += self.tried(best, rungs)
            if self.options.held_out and model_limited([candidate.free_deviance for candidate in tried]):
                break
        return ThresholdScan(
            thresholds=np.array(thresholds[: len(tried)]),
            voxels=np.array([int(candidate.support.sum()) for candidate in tried]),
            chi=np.array([candidate.chis[-1] for candidate in tried]),
            free_deviance=np.array([c.free_deviance if self.options.held_out else np.nan for c in tried]),
        )

    def tried(self, best: Candidate, thresholds: list[float]) -> list[Candidate]:
        """Return one candidate finished at each of some thresholds."""
        calm, same = self.options.polish_betas[-1:], [best] * len(thresholds)
        task = "choosing the support"
        return self.finished(same, thresholds, self.middle, task, betas=calm, refining=self.options.refine_choices)

    def fit_coherence(self, best: Candidate) -> None:
        """Fit the beam's coherence, and take it into account from now on."""
        start = torch.full((3,), _COHERENCE_START, device=self.device)
        fitted = refine(best.projected, best.support, self.middle, self.options.refine, coherence=start).coherence
        assert fitted is not None
        # A blur in voxels of reciprocal space is the same on every grid of this pattern.
        self.start, self.later, self.middle, self.fine = (
            with_coherence(measured, fitted) for measured in (self.start, self.later, self.middle, self.fine)
        )
        widths = [float(width) for width in fitted]
        text = "Gaussian blur of {:.2f}, {:.2f}, {:.2f} voxels (z, y, x) fitted".format(*widths)
        self.observer(Note("coherence", text, dict(zip("zyx", widths, strict=True))))

    def finished(
        self,
        candidates: list[Candidate],
        threshold: float | list[float],
        measured: Measured,
        task: str,
        *,
        betas: tuple[float, ...] | None = None,
        refining: bool = True,
    ) -> list[Candidate]:
        """Polish candidates on supports of the given threshold(s) and refine them, cycle by cycle.

        Parameters
        ----------
        candidates : list of Candidate
            On the measurement's grid.
        threshold : float or list of float
            Of the support, as a fraction of the bulk amplitude: one for all, or one for each.
        measured : Measured
            The measurement.
        task : str
            Name of the progress.
        betas : tuple of float, optional
            Feedback in each cycle; None takes the options'.
        refining : bool
            Whether each cycle ends with a refinement; always where photons are few.
        """
        betas = betas or self.options.polish_betas
        thresholds = threshold if isinstance(threshold, list) else [threshold] * len(candidates)
        steps = self.refining.steps if refining or not self.projecting else 0
        per_cycle = (iterations_in(self.options.polish) + steps) * len(candidates)
        bar = _Bar(self.observer, task, per_cycle * len(betas))
        if not self.projecting:
            return self._fitted(list(candidates), thresholds, measured, bar)
        for beta in betas:
            candidates = relax(candidates, measured, thresholds, self.options, beta=beta, on_progress=bar)
            if refining:
                candidates = [self.refined(candidate, measured, bar) for candidate in candidates]
        return candidates

    def _fitted(
        self, candidates: list[Candidate], thresholds: list[float], measured: Measured, bar: "_Bar"
    ) -> list[Candidate]:
        """Refine candidates and their supports in turn: projections onto the square roots of few photons do harm."""
        for _ in range(_FITS):
            for k, (candidate, threshold) in enumerate(zip(candidates, thresholds, strict=True)):
                obj, support = candidate.confined[None], torch.ones_like(candidate.support)[None]
                wrapped = shrink_wrap(obj, support, threshold=threshold, sigma=NEAR.sigma[1])[0]
                candidates[k] = self.refined(replace(candidate, support=wrapped), measured, bar)
        return candidates

    def refined(self, candidate: Candidate, measured: Measured, bar: "_Bar") -> Candidate:
        """Refine a candidate by automatic differentiation on its own support."""
        result = refine(candidate.projected, candidate.support, measured, self.refining)
        bar(self.refining.steps)
        obj = result.obj
        return replace(
            candidate,
            projected=obj,
            iterations=(*candidate.iterations, candidate.iterations[-1] + 5 * len(result.losses)),
            chis=(*candidate.chis, float(chi_of(obj[None], measured)[0])),
            free_deviance=float(free_deviances(obj[None], measured)[0]),
        )

    def finals(self, kept: list[Candidate], threshold: float) -> list[Candidate]:
        """Polish and refine the kept candidates on the chosen support; on a fine grid of its own, the best two."""
        settled = self.finished(lifted(kept, self.middle), threshold, self.middle, "refining")
        if self.fine.shape == self.middle.shape:
            return settled
        best = lifted(ranked(settled)[:_ON_FINE_GRID], self.fine)
        calm = self.options.polish_betas[-1:]
        return self.finished(best, threshold, self.fine, "refining at full resolution", betas=calm)

    def compare(self, finished: list[Candidate]) -> Finalists:
        """Align the finished candidates to the best of them."""
        best_first = ranked(finished)
        objects = [candidate.confined.cpu().numpy() for candidate in best_first]
        aligned = [align_to(obj, objects[0]) for obj in objects[1:]]
        return Finalists(
            candidates=tuple(best_first),
            objects=(objects[0], *(obj for obj, _ in aligned)),
            correlations=(1.0, *(value for _, value in aligned)),
        )

    def merged(self, found: Found) -> Finalists:
        """Polish the mean of the agreeing finalists, and take it if it predicts the held-out voxels better.

        Where photons are few, it is taken if it predicts them as well: the best was the best by chance, too.
        """
        finalists, threshold = found.finalists, found.choice.threshold
        if finalists.n_agreeing < 2:
            return finalists
        start = replace(finalists.best, projected=torch.from_numpy(finalists.mean).to(self.device))
        (merged,) = self.finished([start], threshold, self.fine, "merging", betas=self.options.polish_betas[-1:])
        if merged.free_deviance >= finalists.best.free_deviance * (AS_GOOD if self.low_dose else 1.0):
            return finalists
        n, much = finalists.n_agreeing, "as well as the best" if self.low_dose else "better than any"
        self.observer(Note("solution", f"the mean of the {n} agreeing starts predicts held-out voxels {much}"))
        return replace(finalists, merged=merged)

    def freed(self, finalists: Finalists) -> Finalists:
        """Refine the best without expecting anything of its density, if that predicts held-out voxels better."""
        spread = self.refining.density_spread
        if spread is None:
            return finalists
        expecting, self.refining = self.refining, self.unexpecting
        free = self.refined(finalists.best, self.fine, _Bar(silent, "asking for the density", 1))
        finalists = replace(finalists, free=free)
        if free.free_deviance * AS_GOOD < finalists.best.free_deviance:
            self.observer(Note("density", "free: held-out voxels are predicted better if nothing is expected of it"))
            return replace(finalists, merged=free)
        self.refining = expecting
        self.observer(Note("density", f"expected to vary by {spread:.0%}: held-out voxels don't contradict it"))
        return finalists

    def refit(self, finalists: Finalists) -> NDArray[np.complex64]:
        """Refine the best once more with the held-out voxels given back, and return it."""
        everything = self.everything()
        best = finalists.best
        options = self.refining.model_copy(update={"early_stop": False, "steps": self.options.refine.steps})
        start = project_modulus(best.confined, everything) * best.support
        obj: NDArray[np.complex64] = refine(start, best.support, everything, options).obj.cpu().numpy()
        return obj

    def everything(self) -> Measured:
        """Return the measurement with no voxel held out."""
        return replace(measured_from(self.diffraction, device=self.device), blur=self.fine.blur)

    def starts(self, candidates: tuple[Candidate, ...], finalists: Finalists) -> tuple[Start, ...]:
        """Return every start for the report: the finalists as they ended, the others as they were left."""
        reference = torch.from_numpy(finalists.objects[0])
        ended = {candidate.number: k for k, candidate in enumerate(finalists.candidates)}
        rows = []
        for candidate in candidates:
            k = ended.get(candidate.number)
            if k is None:
                z, y, x = candidate.projected.shape
                coarse = lower(reference, (z, y, x)).numpy()
                _, agreement = align_to(candidate.confined.cpu().numpy(), coarse)
                rows.append(_start(candidate, agreement, chosen=False))
            else:
                agreement = finalists.correlations[k]
                rows.append(_start(finalists.candidates[k], agreement, chosen=agreement >= AGREE))
        return tuple(rows)


def lifted(candidates: list[Candidate], measured: Measured) -> list[Candidate]:
    """Return the candidates on the measurement's grid, which has the field of view of their own."""
    return [_lifted(c, measured) if c.projected.shape != measured.shape else c for c in candidates]


def _lifted(candidate: Candidate, measured: Measured) -> Candidate:
    return replace(
        candidate,
        projected=lift(candidate.confined, measured.shape),
        support=lift_support(candidate.support, measured.shape),
    )


def _start(candidate: Candidate, agreement: float, *, chosen: bool) -> Start:
    return Start(
        chi_curve=np.array(candidate.chis, dtype=np.float32),
        iterations=np.array(candidate.iterations, dtype=np.int64),
        chi=candidate.chis[-1],
        support_voxels=int(candidate.support.sum()),
        correlation=agreement,
        chosen=chosen,
        free_deviance=candidate.free_deviance,
    )


def _size(measured: Measured) -> str:
    return " × ".join(str(n) for n in measured.shape)


class _Bar:
    """Sums up counts of finished iterations and tells them as progress events."""

    def __init__(self, observer: Observer, task: str, total: int) -> None:
        self.observer, self.task, self.total, self.done = observer, task, total, 0
        observer(Progress(task, 0, total))

    def __call__(self, more: int) -> None:
        self.done += more
        self.observer(Progress(self.task, min(self.done, self.total), self.total))
