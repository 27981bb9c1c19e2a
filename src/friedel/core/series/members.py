"""Members of a series, the conditions they were measured under, and those that lie far from their neighbours."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from friedel.core.errors import InputError, PlanError
from friedel.core.statistics import MAD_TO_SIGMA

FAR = 5.0
"""Robust standard deviations from the neighbours' trend; by chance one number in two million lies so far off."""
FEWEST = 5
"""Members without which nobody can say which of them is the outlier."""
NEIGHBOURS = 6
"""Members that make the trend: of six, one outlier spoils 5 of 15 slopes, which leaves their median alone."""


@dataclass(frozen=True, kw_only=True)
class SeriesMember:
    """What became of one member of a series.

    Attributes
    ----------
    name : str
        Of its folder.
    conditions : dict of str to float
        What the sample was exposed to.
    numbers, errors : dict of str to float
        What was measured, and standard errors by the same names, as far as there are any.
    failed : str
        Why there is no result; "" if there is one.
    again : bool
        Taken over from an earlier run.
    """

    name: str
    conditions: dict[str, float]
    numbers: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    again: bool = False


Member = TypeVar("Member", bound=SeriesMember)


@dataclass(frozen=True, eq=False, kw_only=True)
class SeriesOutcome(Generic[Member]):
    """What a series leaves behind.

    Attributes
    ----------
    members : tuple of SeriesMember
        In order.
    against : str
        Condition along which the series runs; "scan" or "run" where there is none.
    outliers : dict of str to str
        Members that don't fit in, and why.
    files : dict of str to Path
        What was written, by what it is for.
    """

    members: tuple[Member, ...]
    against: str
    outliers: dict[str, str]
    files: dict[str, Path]

    def along(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return condition, number and its error over the members that have it, each ``(n,)``; error NaN if unknown.

        A member without the condition stands at its place in the series.
        """
        rows = [
            (member.conditions.get(self.against, place), member.numbers[name], member.errors.get(name, np.nan))
            for place, member in enumerate(self.members)
            if name in member.numbers
        ]
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]


def conditions_of(
    given: Mapping[str, Sequence[float]], table: Path | None, keys: Sequence[str], *, against: str | None = None
) -> list[dict[str, float]]:
    """Return each member's conditions.

    Parameters
    ----------
    given : mapping of str to sequence of float
        A value for each member, by the condition's name.
    table : Path or None
        CSV with a column "scan" or "run", which holds the keys, and a column for each condition.
    keys : sequence of str
        What the table calls the members, in order.
    against : str, optional
        A condition that all must have.

    Raises
    ------
    PlanError
        If there are more or fewer values than members, a member has no line, or none has the condition ``against``.
    InputError
        If the table can't be read.
    """
    exposed: list[dict[str, float]] = [{} for _ in keys]
    for name, values in given.items():
        if len(values) != len(keys):
            raise PlanError(f"conditions {name!r}: {len(values)} values for {len(keys)} members of the series")
        for one, value in zip(exposed, values, strict=True):
            one[name] = value
    if table is not None:
        rows = _rows(table)
        missing = [key for key in keys if key not in rows]
        if missing:
            raise PlanError(f"{table}: no line for {', '.join(missing[:5])}")
        for one, key in zip(exposed, keys, strict=True):
            one.update(rows[key])
    if against is not None and not all(against in one for one in exposed):
        known = sorted({name for one in exposed for name in one})
        raise PlanError(f"against {against!r}: the conditions are {', '.join(known) or 'none'}")
    return exposed


def first_condition(members: Sequence[SeriesMember], otherwise: str) -> str:
    """Return the name of the first condition that any member has."""
    return next((name for member in members for name in member.conditions), otherwise)


def far_from_neighbours(values: NDArray[np.float64], *, least: float) -> dict[int, float]:
    """Return the places of values far from their neighbours' trend, each with what its neighbours have.

    Parameters
    ----------
    values : (n,) float64
        In order; NaN where unknown.
    least : float
        Twice the least standard deviation, relative, that is assumed, however small the scatter is.
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < FEWEST:
        return {}
    trend = {int(k): _trend(values, known[known != k], int(k)) for k in known}
    apart = {k: abs(values[k] - usual) for k, usual in trend.items()}
    spread = max(MAD_TO_SIGMA * float(np.median(list(apart.values()))), least * abs(float(np.nanmedian(values))) / 2)
    return {k: usual for k, usual in trend.items() if apart[k] > FAR * spread}


def _trend(values: NDArray[np.float64], others: NDArray[np.intp], k: int) -> float:
    """Return what the nearest others' line has at ``k``; one outlier among them doesn't bend it (Theil & Sen)."""
    near = others[np.argsort(np.abs(others - k), kind="stable")[:NEIGHBOURS]]
    slope = float(theilslopes(values[near], near).slope)
    return float(np.median(values[near] - slope * (near - k)))


def _rows(path: Path) -> dict[str, dict[str, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
            key = "run" if rows and "run" in rows[0] else "scan"
            return {
                row[key].strip(): {name: float(value) for name, value in row.items() if name != key} for row in rows
            }
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: can't be read ({error}); it needs a column 'scan' or 'run' and columns of numbers, separated by "
            "commas"
        ) from error
