"""Three ways to a solution: from random phases, a network's predictions, or a given object; and a check on it."""

from dataclasses import replace

from torch import Tensor

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.choose import PHOTON_LIMITED
from friedel.bcdi.phasing.explore import Candidate, ranked
from friedel.bcdi.phasing.prediction.model import Prediction
from friedel.bcdi.phasing.solver import NEAR, NEUTRAL, Found, Solver, lifted
from friedel.bcdi.phasing.verdict.assess import AGREE, MIN_AGREEMENT
from friedel.core.observer import Warned

# Predictions of one network may share an error: what they come to must agree better than random starts have to.
_SETTLED = 0.995
# Solutions that haven't converged lower their held-out deviance to this share or less by going on; converged ones don't
# lower it at all. And the most times that a solution is continued.
_MUCH_BETTER, _PURSUITS = 0.8, 5
# The same on the starts' grid, before refinement; a few steps of ER make old and new candidates comparable.
_PROMISING, _AT_REST = 0.75, "10*ER"


def from_random(solver: Solver, also: tuple[Candidate, ...] = ()) -> Found:
    """Begin from random phases, and from what other starts have come to; more rounds follow while none agree."""
    candidates, rounds = list(also), solver.options.rounds
    for number in range(rounds):
        candidates += solver.explored(number)
        kept = solver.prepared(
            candidates, threshold=solver.loosest.threshold if number and not solver.tight else NEUTRAL
        )
        last = number + 1 == rounds or solver.options.starts == 1
        if number == 0 and not last and kept[0].free_deviance > PHOTON_LIMITED:
            # Photons don't yet limit the fit: the starts may all have missed, so more of them are worth their time.
            continue
        found = solver.finished_from(candidates, kept)
        if last or found.finalists.agreement >= MIN_AGREEMENT:
            break
        solver.observer(Warned("starts", "no two good starts agree yet: another round of random starts follows"))
    return pursued(solver, found)


def from_object(solver: Solver, start: Tensor) -> Found:
    """Begin from one given object, of any scale, on the pattern's grid."""
    given = [solver.given(start.to(solver.device))]
    return solver.finished_from(given, solver.prepared(given))


def from_predictions(solver: Solver, predictions: list[Prediction]) -> Found:
    """Begin from a network's predictions: a short schedule, near the solution; where it doesn't do, a looser one."""
    predicted, guided = solver.predicted(predictions), solver.options.guided
    for schedule, how in ((guided.schedule, NEAR), (guided.loose_schedule, solver.loosest)):
        candidates = solver.continued(predicted, schedule, how)
        found = solver.finished_from(candidates, lifted(solver.worth(candidates), solver.middle))
        limited = found.finalists.best.free_deviance < PHOTON_LIMITED and not solver.low_dose
        if found.finalists.agreement < AGREE and not limited:
            found = _with_all(solver, found)
        if found.finalists.agreement >= (_SETTLED if limited else AGREE):
            break
    return pursued(solver, found) if found.finalists.agreement >= AGREE else found


def _with_all(solver: Solver, found: Found) -> Found:
    """Refine the others, too: where photons don't limit the fit, the best two may be neighbouring local minima."""
    refined = found.finalists.candidates
    others = [other for other in found.candidates if other.number not in {one.number for one in refined}]
    more = solver.finals(lifted(others, solver.middle), found.choice.threshold) if others else []
    return replace(found, finalists=solver.compare([*refined, *more]))


def pursued(solver: Solver, found: Found) -> Found:
    """Go on from solutions that photons don't limit, as long as the best then predicts much better."""
    schedule, how = solver.options.guided.schedule, NEAR if solver.tight else solver.loosest
    for _ in range(_PURSUITS):
        best, *others = found.finalists.candidates
        if best.free_deviance < PHOTON_LIMITED:
            break
        coarse = [solver.lowered(best)]
        (gone,), (rested,) = solver.continued(coarse, schedule, how), solver.continued(coarse, _AT_REST, how)
        if gone.free_deviance > _PROMISING * rested.free_deviance:
            break
        (ahead,) = solver.finals([gone], found.choice.threshold)
        if ahead.free_deviance > _MUCH_BETTER * best.free_deviance:
            break
        followers = solver.continued([solver.lowered(other) for other in others], schedule, how)
        found = solver.finished_from(list(found.candidates), lifted([ahead, *followers], solver.middle))
    return found


def confirmed(solver: Solver, found: Found) -> bool:
    """Say whether random starts, finished as a solution was, came to the same object or predict no better by much."""
    solution, witnesses = found.finalists.best, ranked(solver.explored(0))
    (rested,) = solver.continued([solver.lowered(solution)], _AT_REST, NEAR)
    if witnesses[0].free_deviance > _MUCH_BETTER * rested.free_deviance:
        return True
    best = ranked(solver.finals(witnesses, found.choice.threshold))[0]
    if best.free_deviance > _MUCH_BETTER * solution.free_deviance:
        return True
    _, correlation = align_to(best.confined.cpu().numpy(), solution.confined.cpu().numpy())
    return correlation >= AGREE
