"""Where the first provisional image begins: a network's guess, and random phases beside it.

Frames not yet measured are filled with the mirror image of those that are, I(q) ≈ I(−q), to guess from and to see how
large the object is. Nothing is ever fitted to what was filled in.
"""

from pathlib import Path

import numpy as np
import torch

from friedel.base.errors import FriedelError
from friedel.phasing.ambiguities import inverted
from friedel.phasing.guess import PhasingModel, load_phasing_model
from friedel.phasing.iterate import ShrinkWrap, State, iterate, start_from, start_random
from friedel.phasing.measured import Measured, measured_from
from friedel.phasing.multiscale import Shape, central_part, lift, lift_support, lower, start_shape
from friedel.phasing.schedule import parse_schedule
from friedel.phasing.support import autocorrelation_support, shrink_wrap
from friedel.records import Diffraction

_THRESHOLD = 0.13
_SCHEDULE = parse_schedule("100*HIO+60*RAAR+5*ER")
_MOST_VOXELS = 48
# Random phases find the object on a grid just fine enough to show it, many times faster than on the image's own.
_RANDOM_VOXELS = 500


def mirrored(diffraction: Diffraction) -> Diffraction:
    """Return the pattern with unknown voxels taken from their Friedel mates where those were measured."""
    mate, mate_known = inverted(diffraction.intensities), inverted(diffraction.mask)
    take = ~diffraction.mask & mate_known
    return Diffraction(
        intensities=np.where(take, mate, diffraction.intensities),
        mask=diffraction.mask | take,
        grid=diffraction.grid,
        name=diffraction.name,
    )


def working_shape(filled: Diffraction, object_voxels: int) -> Shape:
    """Return the part of a pattern, 48 a side at most, on which its object has about so many voxels, ``(z, y, x)``."""
    measured = measured_from(filled)
    n_voxels = int(autocorrelation_support(measured).sum())
    z, y, x = start_shape(measured.shape, n_voxels, object_voxels)
    return min(z, _MOST_VOXELS), min(y, _MOST_VOXELS), min(x, _MOST_VOXELS)


def load_model(name: str | Path | None) -> tuple[PhasingModel | None, str]:
    """Return the network to guess with, and a sentence that says which, or why there is none."""
    if name is None:
        return None, "the first image begins from random phases, as asked"
    try:
        model = load_phasing_model(name, device="cpu")
    except FriedelError as error:
        return None, f"the first image begins from random phases, because no network could be loaded: {error}"
    return model, f"the first image begins from the network {model.name}"


def first_state(
    filled: Diffraction, coarse: Measured, model: PhasingModel | None, *, members: int, seed: int = 0
) -> State:
    """Return the members that the images go on from: the network's guess if there is one, the others random.

    Parameters
    ----------
    filled : Diffraction
        The pattern, `mirrored`.
    coarse : Measured
        The measurement's central part: the grid of the result.
    model : PhasingModel or None
        The network.
    members : int
        How many.
    seed : int
        Seed of the random phases.
    """
    n_random = members - 1 if model is not None else members
    states = [_random(filled, coarse, n_random, seed)] if n_random else []
    if model is not None:
        obj = lower(torch.from_numpy(model.guess(filled).object), coarse.shape)[None]
        anywhere = torch.ones(obj.shape, dtype=torch.bool)
        inside = shrink_wrap(obj, anywhere, threshold=_THRESHOLD, sigma=0.7)
        states.insert(0, State(obj * inside, obj, inside))
    return State(
        obj=torch.cat([state.obj for state in states]),
        projected=torch.cat([state.projected for state in states]),
        support=torch.cat([state.support for state in states]),
    )


def _random(filled: Diffraction, coarse: Measured, n: int, seed: int) -> State:
    shape = working_shape(filled, _RANDOM_VOXELS)
    small = central_part(measured_from(filled), shape)
    start = start_random(small, autocorrelation_support(small), n_starts=n, seed=seed)
    wrap = ShrinkWrap(_THRESHOLD, (1.5, 0.7), every=15, first=40)
    found = iterate(start, small, _SCHEDULE, wrap=wrap)
    support = lift_support(found.support, coarse.shape)
    return start_from(coarse, lift(found.confined, coarse.shape) * support, support)
