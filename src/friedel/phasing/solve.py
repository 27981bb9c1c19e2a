"""The whole classical chain: random starts → chosen support → polished, refined solutions → the best, with reasons."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.base.device import resolve_device
from friedel.base.errors import InputError
from friedel.base.observer import Note, Observer, Progress, Warned, silent
from friedel.phasing.ambiguities import align_to, canonical
from friedel.phasing.assess import AGREE, MIN_AGREEMENT, Finalists, assess
from friedel.phasing.choose import PHOTON_LIMITED, Choice, Ladder, choose_threshold
from friedel.phasing.explore import Candidate, explore, free_deviances, settle
from friedel.phasing.iterate import chi_of
from friedel.phasing.measured import Measured, measured_from
from friedel.phasing.multiscale import central_part, lift, lift_support, limited_shape, lower, start_shape
from friedel.phasing.options import PhasingOptions
from friedel.phasing.projections import project_modulus
from friedel.phasing.refine import refine, with_coherence
from friedel.phasing.schedule import iterations_in
from friedel.phasing.support import autocorrelation_support, shrink_wrap
from friedel.records import Diffraction, Quality, Start

_COHERENCE_START = 0.3
# Between a surface half filled and the haze of noise around the object.
_NEUTRAL_THRESHOLD = 0.13
# Enough to see whether independent starts still agree at full resolution, where every iteration is dear.
_ON_FINE_GRID = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """What phasing found; the fields are those of `Reconstruction`."""

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    quality: Quality
    starts: tuple[Start, ...]


def solve(
    diffraction: Diffraction,
    options: PhasingOptions | None = None,
    *,
    start: NDArray[np.complexfloating] | None = None,
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
        The defaults need no hand.
    start : (z, y, x) complex, optional
        An object to begin from (another program's, a network's guess) in place of random starts; any scale. With one
        start there is nothing to compare the result with, and the quality says so.
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
    """
    options = options or PhasingOptions()
    if start is not None:
        _check_start(start, diffraction)
        options = options.model_copy(update={"starts": 1, "rounds": 1})
    with torch.no_grad():
        solver = _Solver(diffraction, options, seed, resolve_device(device), observer)
        return solver.solve(None if start is None else torch.from_numpy(np.array(start, dtype=np.complex64)))


def _check_start(start: NDArray[np.complexfloating], diffraction: Diffraction) -> None:
    if start.shape != diffraction.intensities.shape:
        raise InputError(f"the start has shape {start.shape}, the pattern {diffraction.intensities.shape}")
    if not (np.isfinite(start).all() and np.any(start)):
        raise InputError("the start is zero or not finite; give a complex object, or none for random starts")


class _Solver:
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
        self.start = central_part(self.middle, start_shape(self.middle.shape, object_voxels, options.start_voxels))
        if self.start.shape != self.fine.shape:
            self.observer(Note("grids", f"starts on {_size(self.start)} voxels, the result on {_size(self.fine)}"))

    def solve(self, start: Tensor | None = None) -> Solution:
        candidates: list[Candidate] = []
        for number in range(self.options.rounds):
            candidates += self.explored(number) if start is None else [self.given(start.to(self.device))]
            kept = self.prepared(candidates)
            last = number + 1 == self.options.rounds or self.options.starts == 1
            if number == 0 and not last and kept[0].free_deviance > PHOTON_LIMITED:
                # Photons don't yet limit the fit: the starts may all have missed, so more of them are worth their time.
                continue
            choice = self.choose(kept[0])
            finalists = self.compare(self.finals(kept, choice.threshold))
            if last or finalists.agreement >= MIN_AGREEMENT:
                break
            self.observer(Warned("starts", "no two good starts agree yet: another round of random starts follows"))
        finalists = self.merged(finalists, choice.threshold)
        best = self.refit(finalists)
        reasons = (f"support: {choice.reason}",)
        quality = assess(
            finalists,
            best,
            self.fine,
            self.diffraction,
            threshold=choice.threshold,
            n_starts=len(candidates),
            reasons=reasons,
        )
        obj, support = canonical(best, finalists.support)
        return Solution(object=obj, support=support, quality=quality, starts=self.starts(candidates, finalists))

    def explored(self, number: int) -> list[Candidate]:
        count = iterations_in(self.options.schedule) * self.options.starts
        bar = _Bar(self.observer, "random starts" if number == 0 else f"random starts, round {number + 1}", count)
        # Each round begins from a looser support: what the first one missed was mostly cut off at the start.
        seed = self.seed + 7919 * number
        return explore(self.start, self.options, seed=seed, growth=1 + number, on_progress=bar)

    def given(self, start: Tensor) -> Candidate:
        """Return a given object as a candidate: on the middle grid, with its support from shrink-wrap."""
        obj = lower(start, self.middle.shape)[None]
        anywhere = torch.ones_like(obj, dtype=torch.bool)
        support = shrink_wrap(obj, anywhere, threshold=_NEUTRAL_THRESHOLD, sigma=self.options.start_sigma[1])
        projected = project_modulus(obj * support, self.middle)
        score = free_deviances(projected * support, self.middle)
        chi = chi_of(projected * support, self.middle)
        return Candidate(projected[0], support[0], (0,), (float(chi[0]),), float(score[0]))

    def prepared(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return the best starts on the middle grid: all are polished on one neutral support, then ranked."""
        threshold = self.options.support_threshold or _NEUTRAL_THRESHOLD
        first = self.options.polish_betas[:1]
        polished = self.finished(lifted(candidates, self.middle), threshold, self.middle, "polishing", betas=first)
        return ranked(polished)[: self.options.keep]

    def choose(self, best: Candidate) -> Choice:
        """Choose the support threshold on the best candidate so far, and fit the coherence if asked to."""
        if self.options.coherence == "gaussian":
            self.fit_coherence(best)
        if self.options.support_threshold is not None:
            choice = Choice(self.options.support_threshold, f"threshold {self.options.support_threshold:.3g}, as asked")
        else:
            choice = choose_threshold(self.ladder(best))
        self.observer(Note("support", choice.reason))
        return choice

    def ladder(self, best: Candidate) -> Ladder:
        thresholds = sorted(self.options.candidates)
        calm = self.options.polish_betas[-1:]
        tried = self.finished([best] * len(thresholds), thresholds, self.middle, "choosing the support", betas=calm)
        return Ladder(
            thresholds=np.array(thresholds),
            voxels=np.array([int(candidate.support.sum()) for candidate in tried]),
            chi=np.array([candidate.chis[-1] for candidate in tried]),
            free_deviance=np.array([c.free_deviance if self.options.held_out else np.nan for c in tried]),
        )

    def fit_coherence(self, best: Candidate) -> None:
        start = torch.full((3,), _COHERENCE_START, device=self.device)
        with torch.enable_grad():
            fitted = refine(best.projected, best.support, self.middle, self.options.refine, coherence=start).coherence
        assert fitted is not None
        # A blur in voxels of reciprocal space is the same on every grid of this pattern.
        self.start, self.middle, self.fine = (
            with_coherence(measured, fitted) for measured in (self.start, self.middle, self.fine)
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
    ) -> list[Candidate]:
        """Polish candidates on supports of the given threshold(s) and refine them, cycle by cycle."""
        betas = betas or self.options.polish_betas
        thresholds = threshold if isinstance(threshold, list) else [threshold] * len(candidates)
        per_cycle = (iterations_in(self.options.polish) + self.options.refine.steps) * len(candidates)
        bar = _Bar(self.observer, task, per_cycle * len(betas))
        for beta in betas:
            candidates = settle(candidates, measured, thresholds, self.options, beta=beta, on_progress=bar)
            candidates = [self.refined(candidate, measured, bar) for candidate in candidates]
        return candidates

    def refined(self, candidate: Candidate, measured: Measured, bar: "_Bar") -> Candidate:
        with torch.enable_grad():
            result = refine(candidate.projected, candidate.support, measured, self.options.refine)
        bar(self.options.refine.steps)
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
        settled = self.finished(kept, threshold, self.middle, "refining")
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

    def merged(self, finalists: Finalists, threshold: float) -> Finalists:
        """Polish the mean of the agreeing finalists, and take it if it predicts the held-out voxels better."""
        if finalists.n_agreeing < 2:
            return finalists
        mean = torch.from_numpy(np.mean(finalists.agreeing, axis=0).astype(np.complex64)).to(self.device)
        start = replace(finalists.best, projected=mean)
        (merged,) = self.finished([start], threshold, self.fine, "merging", betas=self.options.polish_betas[-1:])
        if merged.free_deviance >= finalists.best.free_deviance:
            return finalists
        n = finalists.n_agreeing
        self.observer(Note("solution", f"the mean of the {n} agreeing starts predicts held-out voxels better than any"))
        return replace(finalists, merged=merged)

    def refit(self, finalists: Finalists) -> NDArray[np.complex64]:
        """Refine the best once more with the held-out voxels given back, and return it."""
        everything = self.everything()
        best = finalists.best
        options = self.options.refine.model_copy(update={"early_stop": False})
        start = project_modulus(best.confined, everything) * best.support
        with torch.enable_grad():
            obj: NDArray[np.complex64] = refine(start, best.support, everything, options).obj.cpu().numpy()
        return obj

    def everything(self) -> Measured:
        return replace(measured_from(self.diffraction, device=self.device), blur=self.fine.blur)

    def starts(self, candidates: list[Candidate], finalists: Finalists) -> tuple[Start, ...]:
        """Return every start for the report: the finalists as they ended, the others as they were left."""
        reference = lower(torch.from_numpy(finalists.objects[0]), self.start.shape).numpy()
        ended = {candidate.number: k for k, candidate in enumerate(finalists.candidates)}
        rows = []
        for candidate in candidates:
            k = ended.get(candidate.number)
            if k is None:
                _, agreement = align_to(candidate.confined.cpu().numpy(), reference)
                rows.append(_start(candidate, agreement, chosen=False))
            else:
                agreement = finalists.correlations[k]
                rows.append(_start(finalists.candidates[k], agreement, chosen=agreement >= AGREE))
        return tuple(rows)


def ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with the best prediction of held-out voxels first."""
    return sorted(candidates, key=lambda candidate: candidate.free_deviance)


def lifted(candidates: list[Candidate], measured: Measured) -> list[Candidate]:
    """Return the candidates on the measurement's grid, which has the field of view of their own."""
    if candidates[0].projected.shape == measured.shape:
        return candidates
    return [
        replace(
            candidate,
            projected=lift(candidate.confined, measured.shape),
            support=lift_support(candidate.support, measured.shape),
        )
        for candidate in candidates
    ]


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
    """Turns "so many more iterations done" into progress events."""

    def __init__(self, observer: Observer, task: str, total: int) -> None:
        self.observer, self.task, self.total, self.done = observer, task, total, 0
        observer(Progress(task, 0, total))

    def __call__(self, more: int) -> None:
        self.done += more
        self.observer(Progress(self.task, min(self.done, self.total), self.total))
