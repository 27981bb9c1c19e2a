"""The job: each run of a series classified in a folder of its own, resumable, then all of them seen together."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from friedel.core.errors import FriedelError, InputError
from friedel.core.observer import Observer, Warned, silent
from friedel.core.series.members import SeriesMember, SeriesOutcome, far_from_neighbours, first_condition
from friedel.core.series.pages import SeriesPages
from friedel.core.series.spread import done_alike
from friedel.core.statistics import MAD_TO_SIGMA
from friedel.spi.classify.classify import ClassifyResult, run_classification
from friedel.spi.series.plan import RunMember, RunSeriesPlan, members_of

_LEAST_SPREAD = {"hit_rate": 0.2, "diameter": 0.03, "fluence": 0.25, "blank": 0.2}
"""Twice the least standard deviation, relative, that is assumed, however small the scatter: jets and lasers jitter."""
_OF_MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, for many normal values."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunSeriesResult(SeriesOutcome[SeriesMember]):
    """What a series of runs leaves behind.

    A run's numbers: "hit_rate", "diameter", "fluence", "frames", "selected", "blank", "reject_band", "precision".
    """

    @property
    def runs(self) -> tuple[SeriesMember, ...]:
        """The runs, in order."""
        return self.members


def run_hit_series(
    plan: RunSeriesPlan, output: Path | None = None, *, device: str | None = None, observer: Observer = silent
) -> RunSeriesResult:
    """Classify every run of a series, and report hit rate, sizes and fluence along it.

    Parameters
    ----------
    plan : RunSeriesPlan
        Which runs and how.
    output : Path, optional
        Folder for the results; None takes the plan's. What was scored there earlier isn't scored again: so a series
        goes on where it stopped, and a run that has grown from its first new frame.
    device : str, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : Observer
        Hears progress, and which run failed and why.

    Raises
    ------
    PlanError
        If the plan doesn't make sense or no folder is given.
    InputError
        If not one run could be classified, or nothing can be written.
    """
    folder = plan.folder_for(output)
    members = members_of(plan)
    folder.mkdir(parents=True, exist_ok=True)
    done = done_alike(
        _member, members, (folder.resolve(), device), cluster=plan.cluster, observer=observer, undone=_undone
    )
    runs = tuple(member for member, _ in done)
    if all(run.failed for run in runs):
        raise InputError(f"no run of the series could be classified; the first said: {runs[0].failed}")
    units = {unit for member, unit in done if not member.failed}
    against = plan.against or first_condition(runs, "run")
    outliers = find_outliers(runs)
    for name, why in outliers.items():
        observer(Warned("series", f"{name} doesn't fit in: {why}"))
    pages = SeriesPages(
        members=runs,
        against=against,
        outliers=outliers,
        plotted=_plotted(units),
        kind="run",
        fits_in="Every run was classified and resembles its neighbours.",
    )
    return RunSeriesResult(members=runs, against=against, outliers=outliers, files=pages.write(folder))


def find_outliers(runs: tuple[SeriesMember, ...]) -> dict[str, str]:
    """Return the runs that don't fit in, with every reason: failed, or unlike their neighbours.

    Parameters
    ----------
    runs : tuple of SeriesMember
        In order.
    """
    reasons: dict[str, list[str]] = {run.name: [f"no result: {run.failed}"] if run.failed else [] for run in runs}
    made = [run for run in runs if not run.failed]
    for name, least in _LEAST_SPREAD.items():
        values = np.array([run.numbers.get(name, np.nan) for run in made])
        errors = np.array([run.errors.get(name, 0.0) for run in made])
        for k, usual in far_from_neighbours(values, least=least).items():
            if abs(values[k] - usual) > 3 * errors[k]:  # a short run scatters by its counts alone
                text = f"{name.replace('_', ' ')} {values[k]:.3g} where its neighbours have {usual:.3g}"
                reasons[made[k].name].append(text)
    return {name: "; ".join(why) for name, why in reasons.items() if why}


def _undone(member: RunMember, why: str) -> tuple[SeriesMember, str]:
    return SeriesMember(name=member.name, conditions=member.conditions, failed=why), ""


def _member(member: RunMember, series: Path, device: str | None, observer: Observer) -> tuple[SeriesMember, str]:
    """Return what became of a run, and the unit of its sizes."""
    try:
        result = run_classification(member.plan, series / member.name, device=device, observer=observer)
    except FriedelError as error:
        observer(Warned("series", f"{member.name} has no result: {error}"))
        return _undone(member, str(error))
    numbers, errors = _numbers(result)
    row = SeriesMember(
        name=member.name, conditions=member.conditions, numbers=numbers, errors=errors, again=result.n_new == 0
    )
    return row, result.run.scores.length_unit


def _numbers(result: ClassifyResult) -> tuple[dict[str, float], dict[str, float]]:
    """Return a run's numbers and their standard errors: a share's binomial one, a median's from the scatter."""
    figures: Any = result.figures
    frames = figures["frames"]
    numbers = {name: float(figures[name]) for name in ("frames", "selected")}
    numbers |= {name: figures[name] / frames for name in ("blank", "reject_band")} | {"hit_rate": figures["hit_rate"]}
    errors = {name: _of_share(numbers[name], frames) for name in ("hit_rate", "blank", "reject_band")}
    if figures["precision"] is not None:
        numbers["precision"] = figures["precision"]
    scores, chosen = result.run.scores, result.run.selected
    for name in ("diameter", "fluence"):
        values = getattr(scores, name)[chosen]
        values = values[np.isfinite(values)].astype(np.float64)
        if values.size:
            numbers[name] = float(np.median(values))
        if values.size > 2:  # a scatter of two is none
            scatter = MAD_TO_SIGMA * float(np.median(np.abs(values - numbers[name])))
            errors[name] = _OF_MEDIAN * scatter / math.sqrt(values.size)
    return numbers, errors


def _of_share(value: float, n: int) -> float:
    """Return a share's standard error as if two more of each kind had been counted: never 0 (Agresti & Coull, 1998)."""
    widened = (value * n + 2) / (n + 4)
    return math.sqrt(widened * (1 - widened) / (n + 4))


def _plotted(units: set[str]) -> tuple[tuple[str, str, float], ...]:
    unit = units.pop() if len(units) == 1 else "as each run says"
    fluence = "fluence at the particle (photons/µm²)" if unit == "nm" else "fluence at the particle"
    return (
        ("hit_rate", "hit rate (%)", 100.0),
        ("diameter", f"diameter, median ({unit})", 1.0),
        ("fluence", fluence, 1.0),
        ("blank", "blank (%)", 100.0),
        ("reject_band", "in the reject band (%)", 100.0),
        ("frames", "frames", 1.0),
    )
