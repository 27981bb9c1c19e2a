"""Provisional images of a crystal whose scan is still being collected, each begun where the last one ended.

An image is made on the central part of the pattern, within a time limit; unknown voxels stay free. A few independent
objects, the members, are iterated side by side: the best is refined and shown, and its differences to the others say
what is uncertain. The final image is not made here.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.live.plan import LiveCrystalOptions
from friedel.bcdi.phasing.ambiguities import align_to, canonical, inverted, phase_difference_rad
from friedel.bcdi.phasing.candidate import free_deviances
from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, State, chi_of, iterate, start_from, start_random
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.multiscale import Shape, central_part, lift, lift_support, lower, start_shape
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import autocorrelation_support, shrink_wrap
from friedel.bcdi.phasing.prediction.model import PhasingModel, load_phasing_model
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.records import Diffraction
from friedel.core.errors import FriedelError

Object: TypeAlias = NDArray[np.complex64]
_HELD_OUT = 0.03  # share of the measured voxels, by which members are compared: less scatters more, more costs signal
_STEP = (("RAAR", 12), ("ER", 4))
_THRESHOLD = 0.13  # of the bulk amplitude: `friedel.bcdi.phasing.candidate.NEUTRAL`
# The refinement takes about this share of an image's time.
_REFINING = 0.3
_REFINE_STEPS = 10  # of L-BFGS
# A member whose held-out deviance is so many times the best one's is taken to be in another minimum.
_ASTRAY = 1.3
# Share of the shown member's deviance that another must come below to be shown instead, so that chance doesn't switch.
_CLEARLY = 0.95


@dataclass(frozen=True, eq=False, kw_only=True)
class ProvisionalImage:
    """One image on the way.

    Attributes
    ----------
    object : (z, y, x) complex64
        The best member, on the central part of the pattern; turned and moved to lie on the image before.
    support : (z, y, x) bool
        Where it may be non-zero.
    pattern : Diffraction
        What it was made from.
    n_measured, n_frames : int
        Frames collected, and frames of the whole scan as far as known.
    chi, free_deviance : float
        Misfit of the fitted voxels, and mean Poisson deviance of held-out ones.
    same : float or None
        Correlation with the image before, after alignment; None for the first.
    agreement : float or None
        Correlation between the members, after alignment; None with one member.
    phase_spread_rad : float or None
        RMS phase difference between the members inside the object.
    seconds : float
        Time it took.
    """

    object: Object
    support: NDArray[np.bool_]
    pattern: Diffraction
    n_measured: int
    n_frames: int
    chi: float
    free_deviance: float
    same: float | None
    agreement: float | None
    phase_spread_rad: float | None
    seconds: float


class Imager:
    """Makes image after image of one growing scan.

    Parameters
    ----------
    options : LiveCrystalOptions
        Time box, members, network.
    seed : int
        Seed of random starts and held-out voxels.
    """

    def __init__(self, options: LiveCrystalOptions, *, seed: int = 0) -> None:
        self.options, self.seed = options, seed
        self.model, self.beginning = load_model(options.model)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the images so far: another scan follows."""
        self._state: State | None = None
        self._shape: Shape | None = None
        self._last: ProvisionalImage | None = None
        self._best = 0

    def warm_up(self) -> None:
        """Make an image of a small simulated crystal, so that libraries are loaded before the first real image."""
        size, seconds = 24, self.options.seconds
        offsets = np.indices((size, size, size)) - size // 2
        intensities = 1e4 * np.prod(np.sinc(offsets / 3.0) ** 2, axis=0)
        pattern = Diffraction(intensities=intensities.astype(np.float32), mask=np.ones((size,) * 3, bool))
        self.options = self.options.model_copy(update={"seconds": 0.01})
        self.image(pattern, n_measured=size, n_frames=size)
        self.options = self.options.model_copy(update={"seconds": seconds})
        self.begin_anew()

    def image(self, pattern: Diffraction, *, n_measured: int, n_frames: int) -> ProvisionalImage:
        """Return the image of what has been measured.

        Parameters
        ----------
        pattern : Diffraction
            The frames so far, all others unknown. Its shape may change between calls, which begins anew.
        n_measured, n_frames : int
            Frames collected, and of the whole scan.
        """
        began = time.perf_counter()
        with torch.no_grad():
            coarse, state = self._continued(pattern)
            state = self._iterated(state, coarse, until=began + (1 - _REFINING) * self.options.seconds)
            scores = free_deviances(state.confined, coarse)
            best = self._best = self._preferred(scores)
            obj, support = self._refined(state, best, coarse)
            members = [obj.numpy() if k == best else one.numpy() for k, one in enumerate(state.confined)]
            self._state = self._brought_back(state, scores, best, coarse)
        agreement, spread = _spread(members, best, support.numpy())
        shown, inside, same = self._placed(obj.numpy(), support.numpy())
        self._last = ProvisionalImage(
            object=shown, support=inside, pattern=pattern, n_measured=n_measured, n_frames=n_frames,
            chi=float(chi_of(obj[None], coarse)[0]), free_deviance=float(free_deviances(obj[None], coarse)[0]),
            same=same, agreement=agreement, phase_spread_rad=spread, seconds=time.perf_counter() - began,
        )  # fmt: skip
        return self._last

    def _continued(self, pattern: Diffraction) -> tuple[Measured, State]:
        """Return the measurement on the working grid, and the members on it."""
        whole = measured_from(pattern, held_out_fraction=_HELD_OUT, seed=self.seed)
        if self._last is None or self._last.pattern.intensities.shape != pattern.intensities.shape:
            filled = mirrored(pattern)
            self._shape = working_shape(filled, self.options.object_voxels)
            coarse = central_part(whole, self._shape)
            self._last = None
            return coarse, first_state(filled, coarse, self.model, members=self.options.members, seed=self.seed)
        assert self._shape is not None
        assert self._state is not None  # an image was made on this grid
        coarse = central_part(whole, self._shape)
        return coarse, start_from(coarse, self._state.obj, self._state.support)

    def _iterated(self, state: State, coarse: Measured, *, until: float) -> State:
        wrap = ShrinkWrap(_THRESHOLD, (0.7, 0.7), every=8, first=1)
        state = start_from(coarse, state.obj, state.support)
        while True:
            state = replace(iterate(state, coarse, _STEP, beta=0.8, wrap=wrap), iteration=0)
            if time.perf_counter() >= until:
                return state

    def _preferred(self, scores: Tensor) -> int:
        """Return the member to show: the one shown before, unless another is clearly better."""
        best = int(scores.argmin())
        clearly = self._last is None or float(scores[best]) < _CLEARLY * float(scores[self._best])
        return best if clearly else self._best

    def _refined(self, state: State, best: int, coarse: Measured) -> tuple[Tensor, Tensor]:
        support = state.support[best]
        options = RefineOptions(steps=_REFINE_STEPS)
        return refine(state.confined[best], support, coarse, options).obj.detach(), support

    def _brought_back(self, state: State, scores: Tensor, best: int, coarse: Measured) -> State:
        """Start members in other minima (`_ASTRAY`) anew, with the best one's support and other phases."""
        astray = [k for k, score in enumerate(scores.tolist()) if score > _ASTRAY * float(scores[best])]
        obj, support = state.obj.clone(), state.support.clone()
        for k in astray:
            turned = torch.rand(obj.shape[1:], generator=torch.Generator().manual_seed(self.seed + k)) * 2 - 1
            obj[k] = state.confined[best] * torch.polar(torch.ones_like(turned), turned)
            support[k] = state.support[best]
        return start_from(coarse, obj, support)

    def _placed(self, obj: Object, support: NDArray[np.bool_]) -> tuple[Object, NDArray[np.bool_], float | None]:
        """Return the image aligned to the one before (shift, twin, global phase), and the correlation of the two."""
        if self._last is None:
            return *canonical(obj, support), None
        shown, same = align_to(obj, self._last.object)
        return shown, np.abs(shown) > _THRESHOLD * _bulk(shown), same


def _bulk(obj: Object) -> float:
    squared = np.abs(obj) ** 2
    return float(np.sqrt((squared**2).sum() / max(float(squared.sum()), 1e-30)))


def _spread(members: list[Object], best: int, support: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """Return the least agreement of the other members with the best, and the largest phase difference, radians."""
    aligned = [align_to(member, members[best]) for k, member in enumerate(members) if k != best]
    if not aligned:
        return None, None
    inside = support & (np.abs(members[best]) > 0.5 * _bulk(members[best]))
    phases = [phase_difference_rad(member, members[best], inside) for member, _ in aligned]
    return min(value for _, value in aligned), max(phases)


_SCHEDULE = parse_schedule("100*HIO+60*RAAR+5*ER")
_MOST_VOXELS = 48  # a side of the image's grid: 110,000 voxels, so that many iterations fit the time box
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
    """Return the network to predict with, and a sentence that says which, or why there is none."""
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
    """Return the members that the images go on from: the network's prediction if there is one, the others random.

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
        obj = lower(torch.from_numpy(model.predict(filled).object), coarse.shape)[None]
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
