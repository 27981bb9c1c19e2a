"""The whole classical chain: random starts → chosen support → polished, refined solutions → the best, with reasons."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.base.device import resolve_device
from friedel.base.observer import Note, Observer, Progress, Warned, silent
from friedel.phasing.ambiguities import align_to, canonical
from friedel.phasing.assess import Finalists, assess
from friedel.phasing.choose import Choice, Ladder, choose_threshold
from friedel.phasing.explore import Candidate, explore, free_deviances, settle
from friedel.phasing.iterate import chi_of
from friedel.phasing.measured import Measured, measured_from
from friedel.phasing.multiscale import central_part, coarse_shape, lift, lift_support, lower
from friedel.phasing.options import PhasingOptions
from friedel.phasing.projections import project_modulus
from friedel.phasing.refine import refine, with_coherence
from friedel.phasing.schedule import parse_schedule
from friedel.records import Diffraction, Quality, Start

# Two solutions are one when they correlate at least this well after alignment.
AGREE = 0.9
_COHERENCE_START = 0.3


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
    seed : int
        Seed of the starts and of the held-out voxels; the same seed gives the same object on the same machine.
    device : str or torch.device, optional
        None takes a GPU if there is one.
    observer : Observer
        Hears progress and decisions.
    """
    options = options or PhasingOptions()
    with torch.no_grad():
        return _Solver(diffraction, options, seed, resolve_device(device), observer).solve()


class _Solver:
    """One run of `solve`: what its steps share."""

    def __init__(
        self, diffraction: Diffraction, options: PhasingOptions, seed: int, device: torch.device, observer: Observer
    ) -> None:
        self.diffraction, self.options, self.seed, self.observer = diffraction, options, seed, observer
        self.device = device
        self.fine = measured_from(diffraction, held_out_fraction=options.held_out, seed=seed, device=device)
        shape = coarse_shape(self.fine.shape, options.coarse_voxels)
        self.coarse = self.fine if shape == self.fine.shape else central_part(self.fine, shape)

    def solve(self) -> Solution:
        candidates: list[Candidate] = []
        for number in range(self.options.rounds):
            candidates += self.explored(number)
            choice = self.choose(candidates)
            kept = self.finished(self.kept(candidates), choice.threshold)
            finalists = self.compare(kept)
            if finalists.n_agreeing > 1 or self.options.starts == 1:
                break
            if number + 1 < self.options.rounds:
                self.observer(Warned("starts", "no two good starts agree yet: another round of random starts follows"))
        best = self.refit(finalists)
        quality = assess(
            finalists,
            best,
            self.fine,
            self.diffraction,
            threshold=choice.threshold,
            n_starts=len(candidates),
            reasons=(f"support: {choice.reason}",),
        )
        obj, support = canonical(best, finalists.support)
        return Solution(object=obj, support=support, quality=quality, starts=self.starts(candidates, finalists))

    def explored(self, number: int) -> list[Candidate]:
        count = sum(n for _, n in parse_schedule(self.options.schedule)) * self.options.starts
        bar = _Bar(self.observer, "random starts" if number == 0 else f"random starts, round {number + 1}", count)
        return explore(self.coarse, self.options, seed=self.seed + 7919 * number, on_progress=bar)

    def choose(self, candidates: list[Candidate]) -> Choice:
        """Choose the support threshold on the best candidate so far, and fit the coherence if asked to."""
        best = min(candidates, key=lambda candidate: candidate.free_deviance)
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
        count = sum(n for _, n in parse_schedule(self.options.polish)) * len(thresholds)
        bar = _Bar(self.observer, "choosing the support", count)
        tried = settle([best] * len(thresholds), self.coarse, thresholds, self.options, on_progress=bar)
        return Ladder(
            thresholds=np.array(thresholds),
            voxels=np.array([int(candidate.support.sum()) for candidate in tried]),
            chi=np.array([candidate.chis[-1] for candidate in tried]),
            free_deviance=np.array([candidate.free_deviance for candidate in tried]),
        )

    def fit_coherence(self, best: Candidate) -> None:
        start = torch.full((3,), _COHERENCE_START, device=self.device)
        with torch.enable_grad():
            fitted = refine(best.projected, best.support, self.coarse, self.options.refine, coherence=start).coherence
        assert fitted is not None
        # A blur in voxels of reciprocal space is the same on every grid of this pattern.
        self.coarse, self.fine = with_coherence(self.coarse, fitted), with_coherence(self.fine, fitted)
        widths = [float(width) for width in fitted]
        text = "Gaussian blur of {:.2f}, {:.2f}, {:.2f} voxels (z, y, x) fitted".format(*widths)
        self.observer(Note("coherence", text, dict(zip("zyx", widths, strict=True))))

    def kept(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return the best candidates, on the fine grid."""
        best = sorted(candidates, key=lambda candidate: candidate.free_deviance)[: self.options.keep]
        if self.coarse.shape == self.fine.shape:
            return best
        self.observer(Note("resolution", f"lifted from {_size(self.coarse)} to {_size(self.fine)} voxels"))
        return [
            replace(
                candidate,
                projected=lift(candidate.confined, self.fine.shape),
                support=lift_support(candidate.support, self.fine.shape),
            )
            for candidate in best
        ]

    def finished(self, kept: list[Candidate], threshold: float) -> list[Candidate]:
        """Polish the kept candidates on the chosen support and refine them."""
        count = sum(n for _, n in parse_schedule(self.options.polish)) * len(kept)
        bar = _Bar(self.observer, "polishing", count)
        polished = settle(kept, self.fine, [threshold] * len(kept), self.options, on_progress=bar)
        bar = _Bar(self.observer, "refining", len(polished) * self.options.refine.steps)
        return [self.refined(candidate, bar) for candidate in polished]

    def refined(self, candidate: Candidate, bar: "_Bar") -> Candidate:
        with torch.enable_grad():
            result = refine(candidate.projected, candidate.support, self.fine, self.options.refine)
        bar(self.options.refine.steps)
        obj = result.obj
        return replace(
            candidate,
            projected=obj,
            iterations=(*candidate.iterations, candidate.iterations[-1] + 5 * len(result.losses)),
            chis=(*candidate.chis, float(chi_of(obj[None], self.fine)[0])),
            free_deviance=float(free_deviances(obj[None], self.fine)[0]),
        )

    def compare(self, finished: list[Candidate]) -> Finalists:
        """Align the finished candidates to the best of them."""
        ranked = sorted(finished, key=lambda candidate: candidate.free_deviance)
        objects = [candidate.confined.cpu().numpy() for candidate in ranked]
        aligned = [align_to(obj, objects[0]) for obj in objects[1:]]
        return Finalists(
            candidates=tuple(ranked),
            objects=(objects[0], *(obj for obj, _ in aligned)),
            correlations=(1.0, *(value for _, value in aligned)),
            agree=AGREE,
        )

    def refit(self, finalists: Finalists) -> NDArray[np.complex64]:
        """Refine the best once more with the held-out voxels given back, and return it."""
        everything = self.everything()
        best = finalists.candidates[0]
        options = self.options.refine.model_copy(update={"early_stop": False})
        start = project_modulus(best.confined, everything) * best.support
        with torch.enable_grad():
            obj: NDArray[np.complex64] = refine(start, best.support, everything, options).obj.cpu().numpy()
        return obj

    def everything(self) -> Measured:
        return replace(measured_from(self.diffraction, device=self.device), blur=self.fine.blur)

    def starts(self, candidates: list[Candidate], finalists: Finalists) -> tuple[Start, ...]:
        """Return every start for the report: the finalists as they ended, the others as they were left."""
        finals = {candidate.chis[: len(candidate.chis)]: k for k, candidate in enumerate(finalists.candidates)}
        reference = _coarse_like(finalists.objects[0], self.coarse)
        rows = []
        for candidate in candidates:
            k = next((k for chis, k in finals.items() if chis[: len(candidate.chis)] == candidate.chis), None)
            if k is None:
                _, agreement = align_to(candidate.confined.cpu().numpy(), reference)
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


def _coarse_like(obj: NDArray[np.complex64], coarse: Measured) -> NDArray[np.complex64]:
    if obj.shape == coarse.shape:
        return obj
    lowered: NDArray[np.complex64] = lower(torch.from_numpy(obj), coarse.shape).numpy()
    return lowered


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
