"""Begin from a neighbour's object, and have a start that knows nothing of it bear witness.

A series measures one crystal again and again, so that the last scan's object lies near the next one's. Alone it would
settle nothing: what it comes to may be the neighbour's image rather than the scan's. So the network's prediction, or
random phases, go the same way beside it, and only where both come to the same is the result believed.
"""

import torch
from torch import Tensor

from friedel.bcdi.phasing.candidate import Candidate, candidate_of
from friedel.bcdi.phasing.iterations.multiscale import lift, lower
from friedel.bcdi.phasing.run_strategy import Climbed, Climber
from friedel.bcdi.phasing.strategy import Stage, Strategy

_WITNESSES = {"network": 1, "random": 2}
"""Starts of which the best bears witness; of random ones a part ends in local minima."""


def continued(climber: Climber, neighbour: Tensor, strategy: Strategy) -> Climbed:
    """Return what a neighbour's object and a witness come to by a strategy's climb.

    Parameters
    ----------
    climber : Climber
        On the scan's pattern; no start has been made.
    neighbour : (z, y, x) complex Tensor
        Any scale and shape; its field of view is the pattern's.
    strategy : Strategy
        The pattern's; the starts of its first round, fewer of them, make the witness.
    """
    witnesses: list[Candidate] = []
    for stage in strategy.rounds[0]:
        witnesses = climber.found(witnesses, _fewer(stage))
    coarse = climber.part(climber.coarse, strategy.rounds[0][0].window)
    begun = candidate_of(on_grid(neighbour.to(coarse.amplitude.device), climber.coarse), coarse)
    carried, _ = climber.climbed([climber.entered(begun), witnesses[0]], strategy.climb)
    return climber.ended(carried)


def _fewer(stage: Stage) -> Stage:
    return stage if stage.starts == "none" else stage.but(count=_WITNESSES[stage.starts])


def on_grid(obj: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return an object ``(z, y, x)`` on a grid of the same field of view, finer along some axes or coarser."""
    z, y, x = (min(n, m) for n, m in zip(obj.shape, shape, strict=True))
    return lift(lower(obj.to(torch.complex64), (z, y, x)), shape)
