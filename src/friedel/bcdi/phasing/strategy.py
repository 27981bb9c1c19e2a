"""What a run does, as data: a regime with its reason, and the stages that follow from it.

This file is the whole of the default: change it in a plan under ``phasing: strategy:``, or read in a result what was
done. `climb` runs any tuple of stages in one loop.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.core.options import Options


class Stage(Options):
    """One step of a run: what becomes of the candidates on one grid."""

    name: str
    """What reports and progress call it."""
    grid: Literal["coarse", "between", "whole"]
    """The pattern's central part on which objects are found; each grid between it and the whole; the whole pattern."""
    starts: Literal["none", "network", "random"] = "none"
    """Candidates that are added here: a network's predictions or random phases."""
    count: int = Field(default=0, ge=0, le=1000)
    """Their number."""
    window: float = Field(default=0.3, gt=0.0, le=1.0)
    """Factor of the amplitudes in the middle of the grid's faces; 1 uses them as they are."""
    schedule: str = ""
    """Iterations of every candidate (ER, HIO, RAAR, DM); empty for none."""
    beta: float = Field(default=0.9, gt=0.0, le=1.0)
    """Feedback of HIO and RAAR."""
    uniform: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far amplitudes inside are drawn to their average around in every iteration: a crystal has one density."""
    thresholds: tuple[float, ...] = (0.1,)
    """Of the support, as fractions of the bulk amplitude: the candidates take them in turn."""
    sigma: tuple[float, float] = (1.0, 0.5)
    """Smoothing before the threshold at the first and at the last iteration, voxels."""
    first: int = Field(default=20, ge=1)
    """Iterations before the support first moves."""
    every: int = Field(default=20, ge=0)
    """Iterations between its updates; 0 keeps it."""
    tight: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Threshold of a support on which objects are moved to where they lie between the voxels, and first refined."""
    descend: tuple[float, ...] = ()
    """Thresholds of the refinement's supports, tight to loose, tried while held-out voxels are predicted better."""
    to_noise: bool = False
    """Whether all voxels that stand out of photon noise are then taken in, where that noise explains the fit."""
    steps: tuple[int, int] = (12, 20)
    """Steps of each refinement: on a support one voxel wider, then on the one chosen from it."""
    keep: int = Field(default=2, ge=1)
    """Candidates that go on."""
    agreeing: float = Field(default=0.0, ge=0.0, le=1.0)
    """How well the best two must correlate here; else the run goes on with the next stage that adds starts."""

    final: bool = False
    """The run ends here if photon noise explains the misfit and the best two solutions are one."""

    @field_validator("schedule")
    @classmethod
    def _readable(cls, text: str) -> str:
        if text:
            parse_schedule(text)
        return text

    def but(self, **changes: Any) -> "Stage":
        """Return this stage with some of its fields changed."""
        return self.model_copy(update=changes)


class Finish(Options):
    """How the best candidates of a search become solutions that are compared."""

    keep: int
    """Best candidates that are polished, refined and compared; all, where photons are few."""
    polish: Stage
    """Iterations of each cycle, with the support following at the chosen threshold."""
    betas: tuple[float, ...]
    """Feedback in each cycle of polishing and refinement."""
    candidates: tuple[float, ...]
    """Thresholds of the support to choose from."""
    refine_choices: bool
    """Refine the object at each of them before they are compared."""
    steps: int
    """Most steps of each refinement."""


class Search(Options):
    """Starts on a grid just fine enough to hold the object, and how they become solutions."""

    voxels: int
    """Voxels that the object shall have on the starts' grid."""
    shortest: int
    """Least voxels of that grid along each axis."""
    attempts: tuple[Stage, ...]
    """What is begun with, in turn, while solutions don't agree; the last is repeated."""
    going_on: Stage | None = None
    """What the best of later attempts go on with."""
    finish: Finish
    """What every attempt ends with."""


NEAR = Stage(name="going on", grid="coarse", thresholds=(0.16,), sigma=(1.0, 1.0), first=1, every=10)
"""How the support follows predictions near the solution."""
EVEN = Stage(name="going on", grid="coarse", uniform=0.5, thresholds=(1.0 / 6.0,), sigma=(0.5, 0.5), first=20, every=20)
"""Predictions near the solution where the model and not photons limits the fit: misfit of a systematic kind goes into
lumps of amplitude, other ones from every start, which drawing amplitudes halfway to their average around leaves out
(a gold crystal's frames, eight seeds: solutions correlate at 0.895 to 0.96 without, at 0.98 and more with it)."""
CLOSE = Stage(name="going on", grid="coarse", thresholds=(0.2,), sigma=(2.0, 1.0), first=1, every=10)
"""In a box hardly larger than the crystal, where a loose support fits any pattern: first a smooth body, then its
surface."""
LOOSE = Stage(name="going on", grid="coarse", thresholds=(0.07,), sigma=(0.5, 0.5), first=1, every=20)
"""For strain of several turns, in which parts of a crystal reconstruct weakly: a tighter support would cut them off."""


class Strategy(Options):
    """What a run does."""

    rounds: tuple[tuple[Stage, ...], ...]
    """Rounds of stages on the coarse grid, each beginning with starts; the next follows while the last isn't enough."""
    climb: tuple[Stage, ...]
    """What every round goes on with: from the best on the coarse grid to the limit on the whole pattern."""

    def asked(self, rounds: int | None, changes: Mapping[str, Any]) -> "Strategy":
        """Return this strategy with so many rounds of random starts at the most (None: all), and changes of these."""
        random = [stages for stages in self.rounds if stages[0].starts == "random"][:rounds]
        others = [stages for stages in self.rounds if stages[0].starts != "random"]
        changed = [tuple(one.but(**changes) if one.starts == "random" else one for one in stages) for stages in random]
        return self.model_copy(update={"rounds": (*others, *changed)})


_ONE_DENSITY = Stage(
    name="one density",
    grid="whole",
    window=0.999,
    schedule="150*RAAR",
    uniform=1.0,
    sigma=(0.5, 0.5),
    tight=0.3,
    descend=(0.14, 0.1, 0.07, 0.05, 0.035),
    final=True,
)
"""Amplitudes weighted by their signal, not cut off; a support that follows closely: smoothed by a whole voxel it grows
until anything fits. The constraint acts in the iterations alone: what is refined afterwards is free of it."""
_FINER = Stage(name="finer", grid="between", schedule="150*RAAR+10*ER", first=1)
_LIMIT = _ONE_DENSITY.but(name="limit", schedule="80*RAAR", tight=None, descend=(0.1, 0.07, 0.05, 0.035))
CLIMB = (_FINER, _ONE_DENSITY, _LIMIT)
"""From a coarse solution to the photon limit. Local minima show as stripes of amplitude, which a crystal of one density
doesn't have: drawing amplitudes to their average around leaves them (64³, 1e8 photons, strain of 2 to 3 turns: phase
errors of 17 to 33 times the photon limit become 1.2 to 1.6 times; without the constraint 15 to 30 remain)."""
_SMALL = (_ONE_DENSITY.but(final=False), _LIMIT.but(to_noise=True))
"""Few voxels are held out of a small pattern, so that its deviance tells stripes of 0.02 rad from none only by chance:
both stages always (32³, two crystals: 2.5 and 2.5 times the photon limit become 1.3 and 1.6)."""
_TO_THE_END = (
    _FINER,
    Stage(name="full resolution", grid="whole", schedule="60*RAAR+10*ER", first=1),
    _ONE_DENSITY.but(final=False),
    _LIMIT,
)
"""For strain of several turns, whose support is not yet right after one stage (a phase error of 3.2 times the photon
limit where the next comes to 1.6)."""
_PREDICTIONS = Stage(
    name="predictions",
    grid="coarse",
    starts="network",
    count=4,
    schedule="100*HIO+200*RAAR+20*ER",
    agreeing=0.97,
)
_RANDOM = Stage(
    name="random starts",
    grid="coarse",
    starts="random",
    count=4,
    schedule="300*HIO+300*RAAR+20*ER",
    thresholds=(0.13, 0.06, 0.13, 0.09),
    first=60,
    agreeing=0.9,
)
_MORE = _RANDOM.but(name="more random starts", thresholds=(0.06, 0.09), agreeing=0.0)
_LOOSE = _RANDOM.but(thresholds=(0.06, 0.13, 0.06, 0.09), agreeing=0.0)
_GOING_ON = LOOSE.but(schedule="3*(150*HIO+100*RAAR)+20*ER")
"""For strain of several turns: several rounds on a loose support."""


class Strategies(Options):
    """The strategy of each regime. Which one a pattern asks for is found once, and told with its reason."""

    normal: Strategy = Strategy(rounds=((_PREDICTIONS,), (_RANDOM,), (_MORE,)), climb=CLIMB)
    """The network's predictions; where they don't agree, or photon noise doesn't explain them, random starts."""
    small: Strategy = Strategy(rounds=((_PREDICTIONS,), (_RANDOM,), (_MORE,)), climb=_SMALL)
    """A pattern no finer than the grid on which objects are found: nothing to climb through."""
    strained: Strategy = Strategy(rounds=((_LOOSE, _GOING_ON), (_MORE, _GOING_ON)), climb=_TO_THE_END)
    """Strain of several turns, which is beyond the network and spreads the peak: random starts on a finer grid."""
