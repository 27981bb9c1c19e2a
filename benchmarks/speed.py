"""Iterations per CPU-second with shrink-wrap, beside cohere in the same call.

Bar: at least 5 times cohere at 32³, 64³ and 128³, with the support updated in every iteration as cohere's examples do.
Both programs run HIO with 10 % ER on one simulated crystal. friedel runs a batch of starts and a single one; an
iteration of a batch of 8 counts 8 times. CPU-seconds count every thread.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import peer
import torch
from crystals import crystal, measure
from report import Report, arguments

from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, iterate, start_random
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import autocorrelation_support
from friedel.bcdi.records import Diffraction
from friedel.core.machine.memory import keep_freed_memory

FACTOR = 5.0
BATCHES = {32: 8, 64: 4, 128: 1}
ITERATIONS = {32: 620, 64: 200, 128: 40}
SIGMA, THRESHOLD = 1.0, 0.2


@dataclass(frozen=True)
class Setting:
    """One cell of the table."""

    n: int
    every: int
    threads: int

    @property
    def schedule(self) -> str:
        """A tenth of ER, the rest HIO."""
        total = ITERATIONS[self.n]
        return f"{total // 10}*ER+{total - total // 10}*HIO"


def ours(pattern: Diffraction, setting: Setting, *, n_starts: int) -> float:
    """Return friedel's iterations per CPU-second."""
    measured = measured_from(pattern)
    state = start_random(measured, autocorrelation_support(measured), n_starts=n_starts, seed=0)
    wrap = ShrinkWrap(threshold=THRESHOLD, sigma=(SIGMA, SIGMA), every=setting.every, first=1)
    began = time.process_time()
    iterate(state, measured, parse_schedule(setting.schedule), wrap=wrap)
    return n_starts * ITERATIONS[setting.n] / (time.process_time() - began)


def theirs(pattern: Diffraction, setting: Setting) -> float:
    """Return cohere's iterations per CPU-second."""
    result = peer.phase(
        pattern,
        threshold=THRESHOLD,
        seed=0,
        schedule=setting.schedule,
        shrink_every=setting.every,
    )
    return ITERATIONS[setting.n] / result.cpu_seconds


def rates(setting: Setting, *, repeats: int) -> dict[str, float]:
    """Return median iterations per CPU-second of each way to run, taken in turn, after one round to warm up."""
    torch.set_num_threads(setting.threads)
    pattern = measure(crystal("package", (setting.n,) * 3, seed=7), n_photons=1e7, seed=7)
    batch = BATCHES[setting.n]
    ways: dict[str, Callable[[], float]] = {
        "batch": lambda: ours(pattern, setting, n_starts=batch),
        "single": lambda: ours(pattern, setting, n_starts=1),
        "cohere": lambda: theirs(pattern, setting),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            rate = way()
            if turn > 0:
                taken[name].append(rate)
    return {name: float(np.median(values)) for name, values in taken.items()}


def add_lines(report: Report, setting: Setting, found: dict[str, float]) -> None:
    """Add the figures of one setting; the bar is on the cadence of cohere's examples."""
    best, batch = max(found["batch"], found["single"]), BATCHES[setting.n]
    ratio = best / found["cohere"]
    where = f"{setting.n}³, support every {setting.every}, {setting.threads} thread{'s' * (setting.threads > 1)}"
    barred = setting.every == 1
    report.add(
        where,
        f"{found['batch']:.0f} ({batch} at once), {found['single']:.0f} (one): {ratio:.1f} x",
        bar=f">= {FACTOR:.0f} x" if barred else "",
        peer=f"{found['cohere']:.1f}",
        met=ratio >= FACTOR if barred else None,
    )


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=5)


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    if not peer.available():
        return
    keep_freed_memory()
    threads = [given.threads] if given.threads else [1] if given.quick else [1, 2]
    sizes, repeats = ([32, 64], 2) if given.quick else ([32, 64, 128], given.repeats)
    report = Report("speed: iterations per CPU-second", given.quick)
    for n in sizes:
        for every in (1, 10):
            for count in threads:
                setting = Setting(n, every, count)
                add_lines(report, setting, rates(setting, repeats=repeats))
    report.note("The ratio is of friedel's better way to cohere as it comes, in double precision.")
    report.finish()


if __name__ == "__main__":
    main()
