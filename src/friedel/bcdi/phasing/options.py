"""The options of phasing: one section of a plan."""

from typing import Any, Literal

from pydantic import Field, field_validator

from friedel.bcdi.phasing.iterations.multiscale import SHORTEST
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.refine import RefineOptions
from friedel.bcdi.phasing.strategy import CLOSE, EVEN, LOOSE, NEAR, Finish, Search, Stage, Strategies
from friedel.core.options import Options

# In a tight box: smoothing at the first and the last iteration, voxels, and iterations before and between updates.
_CLOSE_SIGMA, _CLOSE_EVERY = (3.0, 1.0), 20


class GuidedOptions(Options):
    """How a network's predictions are brought to a solution: shorter than from random starts, as they begin near it."""

    model: str = "default"
    """Weights: a shipped name, or the path of a file or folder of your own."""
    predictions: int = Field(default=6, ge=2, le=24)
    """Predictions of one pattern, each of it under another of the cube's symmetries: two halves of three, where all
    come to one solution."""
    low_dose_predictions: int = Field(default=16, ge=2, le=24)
    """Their number where photons are few: all are refined, and the mean of those that agree is the result."""
    even_schedule: str = "200*RAAR+10*ER"
    """Schedule of each prediction, with the support following and amplitudes drawn to one density. HIO would lose what
    the network has found: after 100 iterations of it half of the predictions end in other local minima."""
    even_polish: str = "25*RAAR"
    """Their schedule of polishing, drawn to one density, too; error reduction follows."""
    schedule: str = "100*HIO+60*RAAR+10*ER"
    """Schedule of each prediction where photons are few or the box is hardly larger than the crystal: not drawn to one
    density."""
    loose_schedule: str = "3*(100*HIO+60*RAAR+10*ER)"
    """Schedule of each prediction on a looser support, where the results of the first don't agree."""
    start_voxels: int = Field(default=400, ge=100)
    """Voxels that the object shall have: both run on a central part of the pattern as small as that allows."""
    start_shortest: int = Field(default=32, ge=8)
    """Least voxels of that part along each axis, unless the pattern has fewer: small patterns are fast enough whole."""
    witnesses: int = Field(default=2, ge=1)
    """Random starts that confirm the predictions where photons don't limit the fit."""
    witness_voxels: int = Field(default=400, ge=100)
    """Voxels that the object shall have on the grid of these random starts."""
    witness_schedule: str = "150*HIO+60*RAAR+10*ER"
    """Their schedule."""
    witness_thresholds: tuple[float, ...] = (0.13, 0.16)
    """Support thresholds that they take in turn."""
    keep: int = Field(default=2, ge=2)
    """Best predictions that are refined and compared."""
    polish: str = "30*RAAR+10*ER"
    """Their schedule in every cycle of polishing, with the support following."""
    polish_betas: tuple[float, ...] = (0.75,)
    """Feedback in each cycle of polishing and refinement."""
    candidates: tuple[float, ...] = (0.075, 0.13, 0.2, 0.31)
    """Thresholds of the support to choose from."""
    refine_choices: bool = False
    """Refine the object at each of these thresholds before they are compared."""
    comparing_steps: int = Field(default=30, ge=1)
    """Steps of the refinements after which solutions are compared."""

    @field_validator("schedule", "even_schedule", "even_polish", "loose_schedule", "polish", "witness_schedule")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse_schedule(text)
        return text


class PhasingOptions(Options):
    """How an object is found for a pattern. The defaults suit all patterns; nothing has to be set."""

    start: Literal["network", "random"] = "network"
    """Begin from a network's predictions, and from random phases where these fail; or from random phases at once."""
    strategies: Strategies = Strategies()
    """Stages of a run where photons are many and the box leaves room; all other patterns follow the other options."""
    guided: GuidedOptions = GuidedOptions()
    """How the predictions are continued."""
    starts: int = Field(default=8, ge=1, le=1000)
    """Independent random starts in a round."""
    rounds: int = Field(default=3, ge=1, le=20)
    """Rounds of starts at the most: another follows while no two good starts agree."""
    schedule: str = "400*HIO+200*RAAR+20*ER"
    """Schedule of each start, with the support following (ER, HIO, RAAR, DM)."""
    beta: float = Field(default=0.9, gt=0.0, le=1.0)
    """Feedback of HIO and RAAR."""
    start_thresholds: tuple[float, ...] = (0.06, 0.10, 0.15, 0.20)
    """Support thresholds, as fractions of the bulk amplitude, that the starts of the first round take in turn."""
    loose_thresholds: tuple[float, ...] = (0.04, 0.06, 0.08, 0.10)
    """Those of later rounds: with a phase range of several turns parts of a crystal reconstruct weakly, and a tight
    support cuts them off."""
    tight_thresholds: tuple[float, ...] = (0.16, 0.20, 0.25, 0.30)
    """Those of all rounds in a box hardly larger than the crystal, where a loose support fits any pattern."""
    loose_schedule: str = "3*(100*HIO+60*RAAR+10*ER)"
    """Further schedule of the best starts of a later round."""
    start_sigma: tuple[float, float] = (1.0, 0.5)
    """Smoothing before the threshold, voxels, at the first and at the last iteration of a start."""
    first_update: int = Field(default=100, ge=1)
    """Iterations of a start before its support first moves."""
    update_every: int = Field(default=40, ge=1)
    """Iterations between updates of the support."""
    support_threshold: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Threshold of the final support; None has it chosen from the data, with the reason in the report."""
    candidates: tuple[float, ...] = (0.05, 0.075, 0.1, 0.13, 0.16, 0.2, 0.25, 0.31)
    """Thresholds to choose from."""
    refine_choices: bool = True
    """Refine the object at each of these thresholds before they are compared."""
    keep: int = Field(default=4, ge=1)
    """Best starts that are polished, refined and compared."""
    polish: str = "100*RAAR+10*ER"
    """Schedule of the kept starts in every cycle of polishing, with the support following."""
    polish_betas: tuple[float, ...] = (0.9, 0.75)
    """Feedback in each cycle of polishing and refinement: high to leave local minima, then lower against noise."""
    polish_update_every: int = Field(default=20, ge=1)
    """Iterations between updates of the support while polishing."""
    refine: RefineOptions = RefineOptions()
    """The refinement by automatic differentiation that ends every kept start."""
    comparing_steps: int = Field(default=60, ge=1)
    """Its steps, at the most, for solutions that are only compared."""
    low_dose_density_spread: float | None = Field(default=0.1, gt=0.0)
    """Where photons are few, the refinement has a prior: the crystal's density varies by this fraction (RMS). It is
    dropped if held-out voxels are predicted better without; None sets no prior."""
    held_out: float = Field(default=0.05, ge=0.0, le=0.3)
    """Share of measured voxels kept from the fit until the choices are made."""
    error_bars: Literal["none", "photons", "full"] = "full"
    """Standard errors of the result: from photon noise and agreeing solutions; full also iterates on from the solution
    on three supports, to find other objects that fit, where photon noise doesn't explain the fit."""
    coherence: Literal["auto", "full", "gaussian"] = "auto"
    """Coherence of the beam: full, or a Gaussian blur whose widths are fitted; auto: fitted on the solution where
    photon noise doesn't explain the fit, and taken if held-out voxels are predicted better."""
    start_voxels: int = Field(default=800, ge=100)
    """Voxels that the object shall have: starts run on a central part of the pattern as small as that allows."""
    start_shortest: int = Field(default=SHORTEST, ge=8)
    """Least voxels of that part along each axis, unless the pattern has fewer."""
    choice_voxels: int = Field(default=64, ge=16)
    """Most voxels along each axis of the central part on which the support is chosen."""

    @field_validator("schedule", "loose_schedule", "polish")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse_schedule(text)
        return text

    @property
    def asked_strategies(self) -> Strategies:
        """The strategies with the starts, rounds and schedule of random starts that were asked for in their place."""
        default = type(self).model_fields
        changed: dict[str, Any] = {}
        if self.starts != default["starts"].default:
            changed["count"] = self.starts
        if self.schedule != default["schedule"].default:
            changed["schedule"] = self.schedule
        rounds = self.rounds if self.rounds != default["rounds"].default else None
        told = dict(self.strategies)
        return Strategies(**{name: strategy.asked(rounds, changed) for name, strategy in told.items()})

    def guided_search(self, *, low_dose: bool, tight: bool, climbed: bool = False) -> Search:
        """Return how a network's predictions are brought to solutions.

        Parameters
        ----------
        low_dose, tight : bool
            Whether photons are few, and whether the box is hardly larger than the crystal: nothing is then drawn to one
            density.
        climbed : bool
            Whether they are solutions of a strategy's stages, which have been drawn to one density already.
        """
        told = self.guided
        count = told.low_dose_predictions if low_dose else told.predictions
        even = not (low_dose or tight or climbed)
        first = (EVEN, told.even_schedule) if even else (NEAR, told.schedule)
        attempts = tuple(
            how.but(starts="network", count=count, beta=self.beta, schedule=schedule)
            for how, schedule in (first, (loosest(tight=tight), told.loose_schedule))
        )
        finish = self._finish(told)
        if even:
            polish = self._polishing(told.even_polish).but(uniform=EVEN.uniform, beta=self.beta)
            finish = finish.model_copy(update={"polish": polish, "betas": (self.beta,)})
        return Search(voxels=told.start_voxels, shortest=told.start_shortest, attempts=attempts, finish=finish)

    def random_search(self, *, tight: bool) -> Search:
        """Return how random starts are brought to solutions."""
        first = self._random("random starts", self.schedule, self.starts, self.start_thresholds, tight=tight)
        rounds = (
            self._random(f"random starts, round {k}", self.schedule, self.starts, self.loose_thresholds, tight=tight)
            for k in range(2, self.rounds + 1)
        )
        finish = self._finish(self)
        return Search(
            voxels=self.start_voxels,
            shortest=self.start_shortest,
            attempts=(first, *rounds),
            going_on=loosest(tight=tight).but(beta=self.beta, schedule=self.loose_schedule),
            finish=finish,
        )

    def witness_search(self, *, tight: bool) -> Search:
        """Return how the few random starts run that check on the predictions."""
        told = self.guided
        plain = self.random_search(tight=tight)
        starts = self._random(
            "random starts", told.witness_schedule, told.witnesses, told.witness_thresholds, tight=tight
        )
        finish = plain.finish.model_copy(update={"polish": self._polishing(told.polish), "betas": told.polish_betas})
        return plain.model_copy(update={"voxels": told.witness_voxels, "attempts": (starts,), "finish": finish})

    def _random(self, name: str, schedule: str, count: int, thresholds: tuple[float, ...], *, tight: bool) -> Stage:
        sigma, first, every = self.start_sigma, self.first_update, self.update_every
        if tight:
            thresholds, sigma, first, every = self.tight_thresholds, _CLOSE_SIGMA, _CLOSE_EVERY, _CLOSE_EVERY
        return Stage(
            name=name,
            grid="coarse",
            starts="random",
            count=count,
            schedule=schedule,
            beta=self.beta,
            thresholds=thresholds,
            sigma=sigma,
            first=first,
            every=every,
        )

    def _finish(self, told: "GuidedOptions | PhasingOptions") -> Finish:
        """Return how what was found becomes solutions, by the options of predictions or of random starts."""
        return Finish(
            keep=told.keep,
            polish=self._polishing(told.polish),
            betas=told.polish_betas,
            candidates=told.candidates,
            refine_choices=told.refine_choices,
            steps=min(self.refine.steps, told.comparing_steps),
        )

    def _polishing(self, schedule: str) -> Stage:
        sigma = (self.start_sigma[1], self.start_sigma[1])
        return Stage(
            name="polishing", grid="whole", schedule=schedule, sigma=sigma, first=1, every=self.polish_update_every
        )


def loosest(*, tight: bool) -> Stage:
    """Return how the support follows where the usual one failed."""
    return CLOSE if tight else LOOSE
