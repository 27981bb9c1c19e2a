"""Rounds of starts until solutions agree: from a network's predictions, from random phases, or from a given object."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.candidate import NEUTRAL, Candidate, candidate_of, lifted, lowered, ranked, shrunk
from friedel.bcdi.phasing.finish import Finisher, Found
from friedel.bcdi.phasing.iterations.multiscale import lower
from friedel.bcdi.phasing.iterations.support import noise_level
from friedel.bcdi.phasing.options import loosest
from friedel.bcdi.phasing.prediction.model import Prediction
from friedel.bcdi.phasing.run_stage import bar_of, drawn, iterated
from friedel.bcdi.phasing.strategy import EVEN, LOOSE, NEAR, Stage
from friedel.bcdi.phasing.support_choice import PHOTON_LIMITED
from friedel.bcdi.phasing.verdict.assess import AGREE, MIN_AGREEMENT
from friedel.core.observer import Warned

# Predictions of one network may share an error: what they come to must agree better than random starts have to.
_SETTLED = 0.995
# Solutions that haven't converged lower their held-out deviance to this share or less by going on; converged ones don't
# lower it at all. And the most times that a solution is continued.
_MUCH_BETTER, _PURSUITS = 0.8, 5
# The same on the starts' grid, before refinement; a few steps of ER make old and new candidates comparable.
_PROMISING, _AT_REST = 0.75, "10*ER"
# Predictions that came to the same solution on the starts' grid, as seen on a gold crystal's frames: they correlate
# with the best at 0.97 to 0.985 and exceed its held-out deviance by up to 12 %; others at 0.92 to 0.94, by 30 to 40 %.
_SAME, _SAME_DEVIANCE = 0.955, 1.2
_LEAST_FOR_HALVES = 4  # two in each half
_AUTOCORRELATION_LEVEL = 0.01  # of its peak: the most at which the first support is cut; lower where noise allows


def from_random(finisher: Finisher, also: tuple[Candidate, ...] = ()) -> Found:
    """Begin from random phases, and from what other starts have come to; more rounds follow while none agree."""
    candidates, attempts = list(also), finisher.search.attempts
    how = loosest(tight=finisher.regime.tight)
    for number, stage in enumerate(attempts):
        candidates += _explored(finisher, number)
        loose = number > 0 and not finisher.regime.tight
        kept = finisher.prepared(candidates, threshold=how.thresholds[0] if loose else NEUTRAL)
        last = number + 1 == len(attempts) or stage.count == 1
        if number == 0 and not last and kept[0].free_deviance > PHOTON_LIMITED:
            # Photons don't yet limit the fit: the starts may all have missed, so more of them are worth their time.
            continue
        found = finisher.finished_from(candidates, kept)
        if last or found.finalists.agreement >= MIN_AGREEMENT:
            break
        finisher.observer(Warned("starts", "no two good starts agree yet: another round of random starts follows"))
    return pursued(finisher, found)


def from_object(finisher: Finisher, start: Tensor) -> Found:
    """Begin from one given object, of any scale, on the pattern's grid."""
    middle = finisher.grids.middle
    given = [candidate_of(lower(start.to(finisher.regime.device), middle.shape), middle)]
    return finisher.finished_from(given, finisher.prepared(given))


def from_predictions(finisher: Finisher, predictions: list[Prediction]) -> Found:
    """Begin from a network's predictions: a short schedule, near the solution; where it doesn't do, a looser one."""
    objects = torch.from_numpy(np.stack([prediction.object for prediction in predictions]))
    start = finisher.grids.start
    predicted = [
        replace(candidate_of(obj, start), number=-1 - k)
        for k, obj in enumerate(lower(objects.to(finisher.regime.device), start.shape))
    ]
    for stage in finisher.search.attempts:
        candidates = _continued(finisher, predicted, stage)
        halves = _halves(candidates) if finisher.settling else []
        kept = halves or finisher.worth(candidates)
        found = finisher.finished_from(candidates, lifted(kept, finisher.grids.middle))
        limited = found.finalists.best.free_deviance < PHOTON_LIMITED and not finisher.low_dose
        if found.finalists.agreement < AGREE and not limited:
            found = _with_all(finisher, found)
        if found.finalists.agreement >= (_SETTLED if limited else AGREE):
            break
    return pursued(finisher, found) if found.finalists.agreement >= AGREE else found


def _halves(candidates: list[Candidate]) -> list[Candidate]:
    """Return the means of two independent halves of the candidates that came to one solution; none of fewer than four.

    Where the model limits the fit, each start keeps misfit of its own. A mean has less of it, and two means of
    different starts are as independent as two starts.
    """
    best, *others = ranked(candidates)
    reference = best.confined.cpu().numpy()
    same = [(best, reference)]
    for one in others:
        aligned, correlation = align_to(one.confined.cpu().numpy(), reference)
        if correlation >= _SAME and one.free_deviance <= _SAME_DEVIANCE * best.free_deviance:
            same.append((one, aligned))
    if len(same) < _LEAST_FOR_HALVES:
        return []
    return [_mean(same[0::4] + same[3::4]), _mean(same[1::4] + same[2::4])]


def _mean(members: list[tuple[Candidate, NDArray[np.complex64]]]) -> Candidate:
    """Return the mean of aligned objects in the first one's place."""
    first = members[0][0]
    mean = torch.from_numpy(np.mean([obj for _, obj in members], axis=0).astype(np.complex64))
    mean = mean.to(first.projected.device)
    return replace(first, projected=mean, support=shrunk(mean, NEUTRAL, sigma=EVEN.sigma[1]))


def _explored(finisher: Finisher, number: int) -> list[Candidate]:
    """Return what a round of random starts came to; those after the first are for what a tight support misses."""
    search, tight = finisher.search, finisher.regime.tight
    stage, seed = search.attempts[number], finisher.regime.seed + 7919 * number
    measured = finisher.grids.later if number or tight else finisher.grids.start
    # In a tight box the autocorrelation is aliased, and its rim can't be seen.
    wider = 1 if tight else 3**number
    level = max(_AUTOCORRELATION_LEVEL / wider, min(_AUTOCORRELATION_LEVEL, noise_level(measured)))
    bar = bar_of(stage, stage.count, finisher.observer)
    found = drawn(measured, stage, level=level, seed=seed * 1009, on_progress=bar)
    found = [replace(candidate, number=seed * stage.count + candidate.number) for candidate in found]
    if number == 0 or search.going_on is None:
        return ranked(found) if tight else found
    best, left = ranked(found)[: search.finish.keep], ranked(found)[search.finish.keep :]
    return [*_continued(finisher, best, search.going_on), *left]


def _continued(finisher: Finisher, candidates: list[Candidate], stage: Stage) -> list[Candidate]:
    """Return candidates of one grid after a stage's schedule."""
    if not candidates:
        return []
    grids = finisher.grids
    measured = grids.start if candidates[0].projected.shape == grids.start.shape else grids.later
    return iterated(candidates, measured, stage, on_progress=bar_of(stage, len(candidates), finisher.observer))


def _with_all(finisher: Finisher, found: Found) -> Found:
    """Refine the others, too: where photons don't limit the fit, the best two may be neighbouring local minima."""
    known = {one.number for one in found.finalists.candidates}
    others = [other for other in found.candidates if other.number not in known]
    more = finisher.finals(lifted(others, finisher.grids.middle), found.choice.threshold) if others else []
    return replace(found, finalists=finisher.compare([*found.finalists.candidates, *more]))


def pursued(finisher: Finisher, found: Found) -> Found:
    """Go on from solutions that photons don't limit, as long as the best then predicts much better."""
    options = finisher.options
    how = NEAR if finisher.regime.tight else LOOSE
    stage = how.but(schedule=options.guided.schedule, beta=options.beta)
    for _ in range(_PURSUITS):
        best, *others = found.finalists.candidates
        if best.free_deviance < PHOTON_LIMITED:
            break
        coarse = [lowered(best, finisher.grids.start)]
        (gone,), (rested,) = (_continued(finisher, coarse, one) for one in (stage, stage.but(schedule=_AT_REST)))
        if gone.free_deviance > _PROMISING * rested.free_deviance:
            break
        (ahead,) = finisher.finals([gone], found.choice.threshold)
        if ahead.free_deviance > _MUCH_BETTER * best.free_deviance:
            break
        followers = _continued(finisher, [lowered(other, finisher.grids.start) for other in others], stage)
        kept = lifted([ahead, *followers], finisher.grids.middle)
        found = finisher.finished_from(list(found.candidates), kept)
    return found


def confirmed(finisher: Finisher, found: Found) -> bool:
    """Say whether random starts, finished as a solution was, came to the same object or predict no better by much."""
    solution, witnesses = found.finalists.best, ranked(_explored(finisher, 0))
    stage = NEAR.but(schedule=_AT_REST, beta=finisher.options.beta)
    (rested,) = _continued(finisher, [lowered(solution, finisher.grids.start)], stage)
    if witnesses[0].free_deviance > _MUCH_BETTER * rested.free_deviance:
        return True
    best = ranked(finisher.finals(witnesses, found.choice.threshold))[0]
    if best.free_deviance > _MUCH_BETTER * solution.free_deviance:
        return True
    _, correlation = align_to(best.confined.cpu().numpy(), solution.confined.cpu().numpy())
    return correlation >= AGREE
