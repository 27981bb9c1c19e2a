"""Figures of an evaluation of phasing as tables: one row a condition, one column a method, or the other way round."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from friedel.bcdi.evaluation.methods import CHAIN, ITERATIVE, NETWORK
from friedel.bcdi.evaluation.results import Outcome
from friedel.bcdi.evaluation.truth import SUCCESS
from friedel.core.evaluation import Table, percent
from friedel.core.statistics import share

Outcomes = Sequence[Outcome]
Cell = Callable[[Outcomes], str]
ByCondition = Mapping[str, Mapping[str, Outcomes]]
"""Outcomes by the condition's label, then by method."""

SAME_QUALITY = 1e-3
"""Difference of two correlations below which they count as equal: one solution varies by as much with its noise."""
_NONE = "–"


def median_of(outcomes: Outcomes, name: str) -> float:
    """Return the median of a figure over those that have it; NaN if none has."""
    values = [value for outcome in outcomes if (value := getattr(outcome, name)) is not None]
    return float(np.median(values)) if values else math.nan


def correlations(outcomes: Outcomes) -> list[float]:
    """Return the correlations with the truth; a refused pattern counts as none."""
    return [outcome.correlation or 0.0 for outcome in outcomes]


def success(outcomes: Outcomes) -> float:
    """Return the share of crystals that were found; NaN of none."""
    found = [value > SUCCESS for value in correlations(outcomes)]
    return float(np.mean(found)) if found else math.nan


def speed_up(slow: Outcomes, quick: Outcomes, *, clock: str = "seconds") -> tuple[float, int]:
    """Return how many times quicker one method is than another at the same quality, crystal by crystal.

    Where the quick one's correlation with the truth is lower, by more than `SAME_QUALITY`, it never gets there: such a
    crystal counts as 0. ``clock`` is "seconds" or "cpu_seconds".

    Returns
    -------
    ratio : float
        Median over the crystals; NaN without any.
    equal : int
        Crystals whose quality is at least equal.
    """
    other = {outcome.number: outcome for outcome in slow}
    ratios = []
    for outcome in quick:
        beside = other.get(outcome.number)
        if beside is not None:
            same = (outcome.correlation or 0.0) >= (beside.correlation or 0.0) - SAME_QUALITY
            taken = getattr(outcome, clock)
            ratios.append(getattr(beside, clock) / taken if same and taken > 0 else 0.0)
    return (float(np.median(ratios)) if ratios else math.nan), sum(ratio > 0 for ratio in ratios)


def _correlation(outcomes: Outcomes) -> str:
    values = correlations(outcomes)
    return f"{np.median(values):.4f} ({min(values):.3f})" if values else _NONE


def _success(outcomes: Outcomes) -> str:
    values = correlations(outcomes)
    return percent(share(sum(value > SUCCESS for value in values), len(values))) if values else _NONE


def _figure(name: str, digits: int, scale: float = 1.0) -> Cell:
    def cell(outcomes: Outcomes) -> str:
        value = median_of(outcomes, name)
        return f"{scale * value:.{digits}f}" if math.isfinite(value) else _NONE

    return cell


def _support(outcomes: Outcomes) -> str:
    ratios = [outcome.voxels / outcome.true_voxels for outcome in outcomes if outcome.true_voxels and outcome.voxels]
    return f"{np.median(ratios):.2f}" if ratios else _NONE


def _time(outcomes: Outcomes) -> str:
    wall, cpu = median_of(outcomes, "seconds"), median_of(outcomes, "cpu_seconds")
    return f"{wall:.3g} s ({cpu:.3g})" if math.isfinite(wall) else _NONE


def _verdict(outcomes: Outcomes) -> str:
    judged = [outcome for outcome in outcomes if outcome.trusted is not None]
    if not judged:
        return _NONE
    parts = []
    for right in (True, False):
        some = [outcome.trusted for outcome in judged if ((outcome.correlation or 0.0) > SUCCESS) == right]
        parts.append(f"{sum(map(bool, some))} of {len(some)}" if some else _NONE)
    return " | ".join(parts)


QUANTITIES: Mapping[str, Cell] = {
    "correlation with the truth: median (worst)": _correlation,
    f"success: correlation > {SUCCESS:g}": _success,
    "phase error, rad rms": _figure("phase_error_rad", 3),
    "strain error, 10⁻⁴ rms in the bulk": _figure("strain_error", 2, 1e4),
    "misfit χ": _figure("chi", 4),
    "held-out χ": _figure("chi_free", 4),
    "support over the true one": _support,
    "seconds a crystal (CPU)": _time,
    "called trusted: of the right | of the wrong": _verdict,
}
"""What the report tells of a set of crystals; medians unless said otherwise."""


def study_tables(found: ByCondition, varied: str) -> list[Table]:
    """Return the tables of a section: one of all quantities for a single condition, else one a quantity."""
    methods = list(next(iter(found.values())))
    if len(found) == 1:
        ((label, by_method),) = found.items()
        rows = [[name, *(cell(by_method[name]) for cell in QUANTITIES.values())] for name in methods]
        return [Table(caption=label, columns=["method", *QUANTITIES], rows=rows)]
    return [
        Table(
            caption=_capital(name),
            columns=[varied, *methods],
            rows=[[label, *(cell(by_method[method]) for method in methods)] for label, by_method in found.items()],
        )
        for name, cell in QUANTITIES.items()
    ]


def speed_table(found: ByCondition) -> Table:
    """Return how many times quicker network and chain are than the iterative chain, condition by condition."""
    rows = []
    for label, by_method in found.items():
        slow, chain, network = by_method[ITERATIVE], by_method[CHAIN], by_method[NETWORK]
        (ratio, equal), (cpu, _) = speed_up(slow, chain), speed_up(slow, chain, clock="cpu_seconds")
        alone = median_of(slow, "seconds") / max(median_of(network, "seconds"), 1e-9)
        rows.append([label, f"{ratio:.1f} × ({cpu:.1f})", f"{equal} of {len(chain)}", f"{alone:.0f} ×"])
    return Table(
        caption="Times faster than the iterative chain in wall (CPU) time; one whose quality isn't reached counts as 0",
        columns=["crystals", f"{CHAIN}: median", "quality at least equal", "network alone, whatever its quality"],
        rows=rows,
    )


def study_figures(found: ByCondition) -> dict[str, float]:
    """Return the raw figures behind the tables, by condition and method; what isn't known is left out."""
    named: dict[str, float] = {}
    for label, by_method in found.items():
        for method, outcomes in by_method.items():
            values = {
                "correlation": float(np.median(correlations(outcomes))) if outcomes else math.nan,
                "success": success(outcomes),
                **{
                    name: median_of(outcomes, name)
                    for name in ("phase_error_rad", "strain_error", "chi", "chi_free", "seconds", "cpu_seconds")
                },
            }
            named |= {f"{label} {method} {name}": value for name, value in values.items() if math.isfinite(value)}
    return named


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
