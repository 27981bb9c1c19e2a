"""Crystals an hour that are drawn, relaxed by LAMMPS, put on voxels and stored.

Bar: 2000 crystals of 25,000 atoms an hour on two cores, as the shipped plan draws them. The CPU time of one is measured
in this process and LAMMPS', so it can be read on a busy machine; the rate is that of the whole command through Dask.
"""

import os
import resource
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

from report import Report, arguments

from friedel.bcdi.simulation.plan import CrystalPlan
from friedel.bcdi.simulation.simulate import simulate_crystals
from friedel.core.errors import MissingDependencyError

BAR_PER_HOUR_AND_CORE = 1000.0
PLAN = Path(__file__).resolve().parents[1] / "plans" / "crystals.yaml"


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the processes it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def simulated(plan: CrystalPlan) -> tuple[float, float, int]:
    """Return wall and CPU seconds of a run, and how many crystals failed."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), cpu_seconds()
        made = simulate_crystals(plan, Path(folder) / "crystals.h5")
        return time.perf_counter() - wall, cpu_seconds() - cpu, made.store.n_failed


def _more(parser: ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; all cores by default")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_more)
    report = Report("crystal speed: crystals an hour", given.quick)
    plan, few = CrystalPlan.load(PLAN), 4 if given.quick else 20
    try:
        _, cpu, failed = simulated(plan.with_choices(crystals=few, workers=1))
    except MissingDependencyError as error:
        report.note(str(error))
        report.finish()
        return
    rate = 3600 * few / cpu
    report.add(
        f"{few} crystals: an hour and core, by CPU time",
        f"{rate:.0f}",
        bar=f">= {BAR_PER_HOUR_AND_CORE:.0f}",
        met=rate >= BAR_PER_HOUR_AND_CORE,
    )
    if given.workers > 1:
        many = few * given.workers
        wall, _, missed = simulated(plan.with_choices(crystals=many, workers=given.workers))
        bar, failed = BAR_PER_HOUR_AND_CORE * given.workers, failed + missed
        rate = 3600 * many / wall
        report.add(
            f"{many} crystals: an hour on {given.workers} cores", f"{rate:.0f}", bar=f">= {bar:.0f}", met=rate >= bar
        )
    report.note(f"{failed} could not be made. The start of Dask and of its workers is in the second figure.")
    report.finish()


if __name__ == "__main__":
    main()
