"""From candidates to solutions: the support is chosen, they are polished, refined, compared, merged and refitted."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.candidate import NEUTRAL, Candidate, candidate_of, lifted, ranked, refined, shrunk
from friedel.bcdi.phasing.iterations.measured import Measured, measured_at_own_places, measured_from
from friedel.bcdi.phasing.iterations.multiscale import lower
from friedel.bcdi.phasing.iterations.projections import intensity_of, project_modulus
from friedel.bcdi.phasing.iterations.schedule import iterations_in
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.refine import RefineOptions, refine, unfit_of
from friedel.bcdi.phasing.regime import Regime
from friedel.bcdi.phasing.run_stage import Bar, iterated
from friedel.bcdi.phasing.strategy import NEAR, Search, Stage
from friedel.bcdi.phasing.support_choice import (
    AS_GOOD,
    PHOTON_LIMITED,
    Choice,
    ThresholdScan,
    choose_threshold,
    model_limited,
)
from friedel.bcdi.phasing.verdict.assess import AGREE, Finalists
from friedel.bcdi.phasing.verdict.beam import frame_light
from friedel.bcdi.records import Start
from friedel.core.fourier import fourier_corner, to_centre
from friedel.core.observer import Note, Observer, silent

# Voxels of reciprocal space, each axis: nearly full coherence, but not 0, where the gradient by the width vanishes.
_COHERENCE_START = 0.3
# Mean held-out deviance from which frames are asked for their light. Beams that flicker by 5 to 10 % leave 1.4 to 1.7
# beside photon noise alone; brought to one light, the phase errors of six such images fell by 4 to 21 %. Of 14 in all,
# by three generators, with and without blur, background and angles that jitter, the change was -40 to +1 %.
_LIGHT_FROM = 1.2
_BLURS = 2  # times that the beam's blur is fitted at the most: the object, found without it, has part of it in
_FEW_STEPS = 10  # of refinement after object and blur were fitted together
_LIGHTS = 2  # times that the frames' light is fitted: the first finds about half of it, as the object has the rest
_OWN_STEPS = 120  # of refinement on an uneven scan's own frames
_FITS = 3  # rounds of refinement and new support where photons are few
_DIM_THRESHOLD = 0.2  # of the bulk amplitude, for supports then: above the noise around the object, which is stronger
_SETTLE = "20*ER"  # as many as take the scatter of RAAR out; three times as many bring seeds no closer
# Candidates refined on a fine grid of its own, where iterations are slow: two show whether independent starts agree.
_ON_FINE_GRID = 2


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


class Finisher:
    """Brings the candidates of one search to solutions.

    Parameters
    ----------
    regime : Regime
        The pattern.
    search : Search
        Its starts' grid, and how candidates are finished.
    options : PhasingOptions
        What was asked for: threshold, coherence, refinement.
    observer : Observer
        Hears progress and decisions.
    """

    def __init__(self, regime: Regime, search: Search, options: PhasingOptions, observer: Observer) -> None:
        self.regime, self.search, self.how = regime, search, search.finish
        self.options, self.observer, self.low_dose = options, observer, regime.low_dose
        # What the result is fitted to, and what was done to it, with the reason.
        self.pattern, self.told = regime.diffraction, list[str]()
        self.widths: Tensor | None = None  # of the beam's blur, once it is taken into account
        self.grids = regime.grids(search.voxels, search.shortest)
        # Projections onto the square roots of few photons do harm.
        self.projecting = not self.low_dose
        self.refining = self.unexpecting
        if self.low_dose:
            self.refining = self.refining.model_copy(update={"density_spread": options.low_dose_density_spread})
        start, fine = (" × ".join(map(str, one.shape)) for one in (self.grids.start, self.grids.fine))
        if start != fine:
            self.observer(Note("grids", f"starts on {start} voxels, the result on {fine}"))

    @property
    def settling(self) -> bool:
        """Whether candidates come to rest by error reduction, on a support chosen anew: those drawn to one density."""
        return self.projecting and self.how.polish.uniform > 0.0

    @property
    def unexpecting(self) -> RefineOptions:
        """How solutions are refined that are compared, expecting nothing of their density."""
        return self.options.refine.model_copy(update={"steps": self.how.steps})

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
            mean = lower(torch.from_numpy(finalists.mean).to(self.regime.device), self.grids.middle.shape)
            choice = self.choose(candidate_of(mean, self.grids.middle))
        return Found(candidates=tuple(candidates), choice=choice, finalists=finalists)

    def prepared(self, candidates: list[Candidate], *, threshold: float = NEUTRAL) -> list[Candidate]:
        """Return the best starts on the middle grid: all are polished on supports of one threshold, then ranked."""
        threshold = self.options.support_threshold or threshold
        middle, first = self.grids.middle, self.how.betas[:1]
        polished = self.finished(lifted(candidates, middle), threshold, middle, "polishing", betas=first)
        return self.worth(polished)

    def worth(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return the candidates to refine and compare, best first: all where photons are few, for their mean."""
        return ranked(candidates)[: None if self.low_dose else self.how.keep]

    def choose(self, best: Candidate) -> Choice:
        """Choose the support threshold on the best candidate so far, and fit the coherence if asked to."""
        if self.options.coherence == "gaussian":
            self.fit_coherence(best)
        if self.options.support_threshold is not None:
            choice = Choice(self.options.support_threshold, f"threshold {self.options.support_threshold:.3g}, as asked")
        else:
            choice = choose_threshold(self.threshold_scan(best), photons=self.regime.diffraction.unit == "photons")
        self.observer(Note("support", choice.reason))
        return choice

    def threshold_scan(self, best: Candidate) -> ThresholdScan:
        """Try the thresholds, the loosest first, until it shows that the model limits the fit."""
        thresholds = sorted(self.how.candidates)
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
        calm, same = self.how.betas[-1:], [best] * len(thresholds)
        task = "choosing the support"
        return self.finished(same, thresholds, self.grids.middle, task, betas=calm, refining=self.how.refine_choices)

    def fit_coherence(self, best: Candidate) -> None:
        """Fit the beam's coherence, and take it into account from now on."""
        start = torch.full((3,), _COHERENCE_START, device=self.regime.device)
        fitted = refine(best.projected, best.support, self.grids.middle, self.options.refine, coherence=start).coherence
        assert fitted is not None
        self.grids, self.widths = self.grids.blurred(fitted), fitted
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
        polish: Stage | None = None,
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
        polish : Stage, optional
            Iterations of each cycle; None takes the options'.
        """
        polish = polish or self.how.polish
        betas = betas or self.how.betas
        thresholds = threshold if isinstance(threshold, list) else [threshold] * len(candidates)
        steps = self.refining.steps if refining or not self.projecting else 0
        per_cycle = (iterations_in(polish.schedule) + steps) * len(candidates)
        bar = Bar(self.observer, task, per_cycle * len(betas))
        if not self.projecting:
            return self._fitted(list(candidates), thresholds, measured, bar)
        for beta in betas:
            stage = polish.but(beta=beta, thresholds=tuple(thresholds))
            candidates = iterated(candidates, measured, stage, on_progress=bar)
            if refining:
                candidates = [self.refined(candidate, measured, bar) for candidate in candidates]
        return candidates

    def _fitted(
        self, candidates: list[Candidate], thresholds: list[float], measured: Measured, bar: Bar
    ) -> list[Candidate]:
        """Refine candidates and their supports in turn: projections onto the square roots of few photons do harm."""
        for _ in range(_FITS):
            for k, (candidate, threshold) in enumerate(zip(candidates, thresholds, strict=True)):
                support = shrunk(candidate.confined, threshold, sigma=NEAR.sigma[1])
                candidates[k] = self.refined(replace(candidate, support=support), measured, bar)
        return candidates

    def refined(self, candidate: Candidate, measured: Measured, bar: Bar) -> Candidate:
        """Refine a candidate by automatic differentiation on its own support."""
        found = refined(candidate, measured, self.refining)
        bar(self.refining.steps)
        return found

    def finals(self, kept: list[Candidate], threshold: float) -> list[Candidate]:
        """Polish and refine the kept candidates on the chosen support; on a fine grid of its own, the best two."""
        middle = lifted(kept, self.grids.middle)
        settled = self.settled(middle, threshold, self.grids.middle, "refining")
        if self.grids.fine.shape == self.grids.middle.shape:
            return settled
        best = lifted(ranked(settled)[:_ON_FINE_GRID], self.grids.fine)
        calm = self.how.betas[-1:]
        return self.finished(best, threshold, self.grids.fine, "refining at full resolution", betas=calm)

    def settled(self, candidates: list[Candidate], threshold: float, measured: Measured, task: str) -> list[Candidate]:
        """Polish candidates and refine them; what is drawn to one density comes to rest in between.

        Parameters
        ----------
        candidates, threshold, measured, task
            As for `finished`; one threshold for all.
        """
        if not self.settling:
            return self.finished(candidates, threshold, measured, task)
        confined = [self.confined(one, threshold) for one in candidates]
        polished = self.finished(confined, threshold, measured, task, refining=False)
        return self.rested(polished, threshold, measured, task)

    def rested(self, candidates: list[Candidate], threshold: float, measured: Measured, task: str) -> list[Candidate]:
        """Let candidates come to rest on supports chosen anew, and refine them there: all that a mean has need of.

        Parameters
        ----------
        candidates, threshold, measured, task
            As for `finished`; one threshold for all.
        """
        calm = self.how.betas[-1:]
        if not self.settling:
            return self.finished(candidates, threshold, measured, task, betas=calm)
        confined = [self.confined(one, threshold) for one in candidates]
        rest = self.how.polish.but(schedule=_SETTLE)
        return self.finished(confined, threshold, measured, task, betas=calm, polish=rest)

    def confined(self, candidate: Candidate, threshold: float) -> Candidate:
        """Return a candidate cut by its support, and a support chosen from what is left."""
        obj = candidate.confined
        return replace(candidate, projected=obj, support=shrunk(obj, threshold, sigma=self.how.polish.sigma[0]))

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

        Where photons are few or the model limits the fit, it is taken if it predicts them as well: the best was the
        best by chance, too.
        """
        finalists, threshold = found.finalists, found.choice.threshold
        if finalists.n_agreeing < 2:
            return finalists
        mean = torch.from_numpy(finalists.mean).to(self.regime.device)
        support = mean != 0 if self.settling else finalists.best.support
        start = replace(finalists.best, projected=mean, support=support)
        (merged,) = self.rested([start], threshold, self.grids.fine, "merging")
        by_chance = self.low_dose or finalists.best.free_deviance >= PHOTON_LIMITED
        if merged.free_deviance >= finalists.best.free_deviance * (AS_GOOD if by_chance else 1.0):
            return finalists
        n, much = finalists.n_agreeing, "as well as the best" if by_chance else "better than any"
        self.observer(Note("solution", f"the mean of the {n} agreeing starts predicts held-out voxels {much}"))
        return replace(finalists, merged=merged)

    def freed(self, finalists: Finalists) -> Finalists:
        """Refine the best without expecting anything of its density, if that predicts held-out voxels better."""
        spread = self.refining.density_spread
        if spread is None:
            return finalists
        expecting, self.refining = self.refining, self.unexpecting
        free = self.refined(finalists.best, self.grids.fine, Bar(silent, "asking for the density", 1))
        finalists = replace(finalists, free=free)
        if free.free_deviance * AS_GOOD < finalists.best.free_deviance:
            self.observer(Note("density", "free: held-out voxels are predicted better if nothing is expected of it"))
            return replace(finalists, merged=free)
        self.refining = expecting
        self.observer(Note("density", f"expected to vary by {spread:.0%}: held-out voxels don't contradict it"))
        return finalists

    def coherent(self, finalists: Finalists) -> Finalists:
        """Take partial coherence into account, where photon noise doesn't explain the fit and the pattern asks for it.

        The blur is fitted on the best solution, which was found without it and has part of it in: so again from what
        comes of it, as long as held-out voxels are predicted better.
        """
        first = best = finalists.best
        if self.options.coherence != "auto" or self.low_dose or best.free_deviance < _LIGHT_FROM:
            return finalists
        widths = torch.full((3,), _COHERENCE_START, device=self.regime.device)
        few = self.refining.model_copy(update={"steps": _FEW_STEPS})
        for _ in range(_BLURS):
            together = refine(best.confined, best.support, self.grids.fine, self.refining, coherence=widths)
            assert together.coherence is not None
            blurred = self.grids.blurred(together.coherence)
            tried = refined(replace(best, projected=together.obj), blurred.fine, few)
            if tried.free_deviance * AS_GOOD >= best.free_deviance:
                break
            best, self.widths, self.grids = tried, together.coherence, blurred
            widths = together.coherence
        if best is first:
            return finalists
        z, y, x = (float(width) for width in widths)
        said = (
            f"a Gaussian blur of {z:.2f}, {y:.2f}, {x:.2f} voxels (z, y, x), by partial coherence or the detector: "
            f"with it the mean deviance of held-out voxels is {best.free_deviance:.2f}, not {first.free_deviance:.2f}"
        )
        self.observer(Note("coherence", said, {"z": z, "y": y, "x": x}))
        self.told.append(f"coherence: {said}")
        return replace(finalists, merged=best)

    def lit(self, finalists: Finalists) -> Finalists:
        """Bring the frames to one light, where photon noise doesn't explain the fit and they tell that they differed.

        The best is refined on them, twice, as it had taken part of the difference in; it is taken if held-out voxels
        are predicted better.
        """
        best, grids = finalists.best, self.grids
        if self.low_dose or best.free_deviance < _LIGHT_FROM:
            return finalists
        tried, fine, light = best, grids.fine, None
        for _ in range(_LIGHTS):
            light = self.light(tried)
            if light is None:
                return finalists
            fine = grids.fine.with_light(torch.from_numpy(light))
            tried = refined(tried, fine, self.refining)
        if light is None or tried.free_deviance * AS_GOOD >= best.free_deviance:
            return finalists
        brought = (self.pattern.intensities / light[:, None, None]).astype(np.float32)
        self.pattern, self.grids = replace(self.pattern, intensities=brought), replace(grids, fine=fine)
        said = (
            f"frames had {light.min():.2f} to {light.max():.2f} of the light, as bright and dim voxels tell alike; "
            f"brought to one, the mean deviance of held-out voxels is {tried.free_deviance:.2f}, not "
            f"{best.free_deviance:.2f}"
        )
        self.observer(Note("light", said, {"least": float(light.min()), "most": float(light.max())}))
        self.told.append(f"light: {said}")
        return replace(finalists, merged=tried)

    def light(self, candidate: Candidate) -> NDArray[np.float64] | None:
        """Return how much light each frame had by a candidate on the whole pattern; None where it doesn't tell."""
        fine = self.grids.fine
        model = intensity_of(fourier_corner(candidate.confined), fine.blur)
        return frame_light(*(to_centre(one).cpu().numpy() for one in (model, fine.intensity, fine.fitted > 0)))

    def refit(self, finalists: Finalists) -> NDArray[np.complex64]:
        """Refine the best once more with the held-out voxels given back, and return it."""
        everything = replace(measured_from(self.pattern, device=self.regime.device), blur=self.grids.fine.blur)
        best = finalists.best
        options = self.refining.model_copy(update={"early_stop": False, "steps": self.options.refine.steps})
        start = project_modulus(best.confined, everything) * best.support
        obj = self.at_their_places(refine(start, best.support, everything, options).obj, best.support)
        found: NDArray[np.complex64] = obj.cpu().numpy()
        return found

    def at_their_places(self, obj: Tensor, support: Tensor) -> Tensor:
        """Refine a solution on an uneven scan's own frames.

        Frames interpolated to even steps say less than the recorded ones, and share their noise.
        """
        frames = self.pattern.frames
        # What was brought to one light or is blurred is known of the even frames alone.
        if frames is None or self.low_dose or self.pattern is not self.regime.diffraction or self.widths is not None:
            return obj
        own = measured_at_own_places(frames, len(obj), device=self.regime.device)
        fitted = refine(obj, support, own, self.unexpecting.model_copy(update={"steps": _OWN_STEPS})).obj
        before, after = unfit_of(obj, own), unfit_of(fitted, own)
        if not after < before:
            return obj
        n = len(frames.places)
        said = f"fitted to the {n} frames where they lie: their mean deviance is {after:.2f}, not {before:.2f}"
        self.observer(Note("frames", said))
        self.told.append(f"frames: {said}")
        return fitted

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
