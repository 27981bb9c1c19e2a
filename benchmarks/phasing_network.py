"""Network and refinement on simulated crystals that no network trained on, beside iterative phasing and cohere.

Bars (success: correlation with the truth above 0.9; 32³, two cores):

- 50 crystals, 1e7 photons: median correlation at least 0.997, phase error at most 0.026 rad rms (cohere's best
  hand-tuned), success at least 98 %, and no worse than iterative phasing with 10 starts;
- on these, at least 4 times faster than this package's own iterative chain at the same quality (aim 10), and the
  network alone at least 100 times (aim 300); a crystal whose quality isn't reached counts as 0;
- the box only 1.2 times the crystal's enclosing sphere along each axis: success at least 98 %;
- phase range 2π to 6π, 1e8 photons: success at least 90 %, and above iterative phasing with 10 starts;
- 1e5 photons in all: median correlation at least 0.98.

Every method is called as a user calls it, and all see the same photons, one after the other in one process. Crystals
are of `friedel.bcdi.crystals.wavy_crystal`, which is never trained with; ``--families both`` adds the package's own
family.
"""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from report import Report, arguments

from friedel.bcdi.evaluation.conditions import TURN, Condition, make_case
from friedel.bcdi.evaluation.methods import CHAIN, ITERATIVE, NETWORK, Methods, methods_of
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.evaluation.results import Outcome, phase_case
from friedel.bcdi.evaluation.tables import correlations, median_of, speed_up, success
from friedel.core.errors import WeightsError
from friedel.core.machine.memory import keep_freed_memory

MEDIAN_CORRELATION, MEDIAN_ERROR_RAD, SUCCESS_SHARE = 0.997, 0.026, 0.98
FASTER, ALONE_FASTER = 4.0, 100.0
STRAINED_SUCCESS, DIM_CORRELATION = 0.90, 0.98
STARTS, SEED = 10, 4
WORSE = 5e-4
"""By this much a median correlation may lie below another that it is "no worse" than."""
CONDITIONS = {
    "bright": Condition(name="bright", label="1e7 photons, 2π", crystals=50),
    "sphere": Condition(name="sphere", label="box 1.2 × its sphere", crystals=50, over_sphere=1.2),
    "strained": Condition(
        name="strained", label="2π to 6π, 1e8", crystals=50, photons=1e8, phase_range_rad=(TURN, 3 * TURN)
    ),
    "dim": Condition(name="dim", label="1e5 photons", crystals=50, photons=1e5),
}
Found = dict[str, list[Outcome]]


def phased(condition: Condition, methods: Methods, numbers: Iterable[int]) -> Found:
    """Phase the crystals of a condition by every method; outcomes by method."""
    found: Found = {name: [] for name in methods.run}
    for number in numbers:
        case = make_case(condition, number, seed=SEED)
        for name, outcomes in found.items():
            outcomes.append(phase_case(methods, name, case, number)[0])
        told = ", ".join(f"{name} {correlations(some[-1:])[0]:.3f}" for name, some in found.items())
        print(f"  {condition.label}, crystal {number}: {told}", flush=True)
    return found


def peers(found: Found, figure: str) -> str:
    """Return a figure of every other method as text, in their order."""
    return " | ".join(values(found[name], figure) for name in found if name not in (NETWORK, CHAIN))


def values(outcomes: list[Outcome], figure: str) -> str:
    """Return a figure of some outcomes as text."""
    if figure == "success":
        return f"{success(outcomes):.0%}"
    if figure == "correlation":
        return f"{np.median(correlations(outcomes)):.4f}"
    return f"{median_of(outcomes, figure):.3f}"


def median_correlation(outcomes: list[Outcome]) -> float:
    """Return the median correlation with the truth; a refused pattern counts as 0."""
    return float(np.median(correlations(outcomes)))


def add_bright(report: Report, label: str, found: Found) -> None:
    """Add quality and speed on well-measured crystals."""
    chain, iterative = found[CHAIN], found[ITERATIVE]
    middle, error, share = median_correlation(chain), median_of(chain, "phase_error_rad"), success(chain)
    report.add(f"{label}: correlation, median", f"{middle:.4f}", bar=f">= {MEDIAN_CORRELATION}",
               peer=peers(found, "correlation"), met=middle >= MEDIAN_CORRELATION)  # fmt: skip
    report.add(f"{label}: phase error, rad", f"{error:.4f}", bar=f"<= {MEDIAN_ERROR_RAD}",
               peer=peers(found, "phase_error_rad"), met=error <= MEDIAN_ERROR_RAD)  # fmt: skip
    report.add(f"{label}: success", f"{share:.0%}", bar=f">= {SUCCESS_SHARE:.0%}",
               peer=peers(found, "success"), met=share >= SUCCESS_SHARE)  # fmt: skip
    behind = median_correlation(iterative) - middle
    report.add(f"{label}: correlation behind iterative", f"{behind:+.5f}", bar=f"<= {WORSE}", met=behind <= WORSE)
    add_speed(report, label, found)


def add_speed(report: Report, label: str, found: Found) -> None:
    """Add how many times faster chain and network are than the iterative chain."""
    chain, iterative, network = found[CHAIN], found[ITERATIVE], found[NETWORK]
    ratio, equal = speed_up(iterative, chain)
    report.add(f"{label}: times faster at the same quality", f"{ratio:.1f} ({equal} of {len(chain)} equal)",
               bar=f">= {FASTER:.0f}, aim 10", met=ratio >= FASTER)  # fmt: skip
    cpu, _ = speed_up(iterative, chain, clock="cpu_seconds")
    report.add(f"{label}: the same in CPU time", f"{cpu:.1f}")
    ratios = [slow.seconds / quick.seconds for slow, quick in zip(iterative, network, strict=True) if quick.seconds]
    alone = float(np.median(ratios)) if ratios else float("nan")
    report.add(f"{label}: network alone, times faster", f"{alone:.0f}", bar=f">= {ALONE_FASTER:.0f}, aim 300",
               met=alone >= ALONE_FASTER)  # fmt: skip
    report.add(f"{label}: seconds, chain", values(chain, "seconds"), peer=peers(found, "seconds"))
    report.add(f"{label}: seconds, network", f"{median_of(network, 'seconds'):.4f}")
    report.add(f"{label}: correlation, network alone", values(network, "correlation"))


def add_sphere(report: Report, label: str, found: Found) -> None:
    """Add success in a tight box."""
    share = success(found[CHAIN])
    report.add(f"{label}: success", f"{share:.0%}", bar=f">= {SUCCESS_SHARE:.0%}", peer=peers(found, "success"),
               met=share >= SUCCESS_SHARE)  # fmt: skip


def add_strained(report: Report, label: str, found: Found) -> None:
    """Add success on strongly strained crystals."""
    share, other = success(found[CHAIN]), success(found[ITERATIVE])
    above = share > other or share == other == 1.0  # where both find all there is nothing left to be above
    report.add(f"{label}: success", f"{share:.0%}", bar=f">= {STRAINED_SUCCESS:.0%}, > {other:.0%}",
               peer=peers(found, "success"), met=share >= STRAINED_SUCCESS and above)  # fmt: skip


def add_dim(report: Report, label: str, found: Found) -> None:
    """Add correlation at few photons."""
    middle = median_correlation(found[CHAIN])
    report.add(f"{label}: correlation, median", f"{middle:.4f}", bar=f">= {DIM_CORRELATION}",
               peer=peers(found, "correlation"), met=middle >= DIM_CORRELATION)  # fmt: skip


ADD = {"bright": add_bright, "sphere": add_sphere, "strained": add_strained, "dim": add_dim}


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=50, help="of each condition")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--families", choices=("other", "both"), default="other")
    parser.add_argument("--model", default="default", help="name or path of the network")
    parser.add_argument("--published", type=Path, default=None, help="weights of 3D-CDI-NN, to stand beside")
    parser.add_argument("--no-peer", action="store_true", help="without cohere")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    keep_freed_memory()
    published = None if given.published is None else str(given.published)
    plan = PhasingEvaluationPlan(model=given.model, published=published, iterative_starts=STARTS, device="cpu")
    try:
        methods = methods_of(plan.model_copy(update={"cohere": ()}) if given.no_peer else plan)
    except WeightsError as error:
        print(f"phasing_network: {error}. Nothing measured.")
        return
    count, step = (min(given.crystals, 2) if given.quick else given.crystals), 2 if given.families == "other" else 1
    report = Report("phasing_network: crystals no network trained on", given.quick)
    for name in given.conditions:
        condition = replace(CONDITIONS[name], crystals=count)
        ADD[name](report, condition.label, phased(condition, methods, range(0, count * step, step)))
    report.note(f"network: {methods.model}. {count} crystals a condition, 32³, {given.families} families.")
    report.note(f"peer: {' | '.join(name for name in methods.run if name not in (NETWORK, CHAIN))}.")
    for sentence in methods.absent:
        report.note(sentence)
    report.finish()


if __name__ == "__main__":
    main()
