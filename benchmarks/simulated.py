"""Simulated crystals with truth: correlation and phase error, defaults, beside cohere at three hand-chosen thresholds.

Bar: 20 crystals at 32³ and at 64³, 1e7 photons, phase range 2π peak to peak, no tuning: median correlation at least
0.995, median phase error at most 0.03 rad rms, none below 0.97. From two generators, see `crystals`.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import peer
from crystals import GENERATORS, against_truth, crystal, measure
from report import Report, arguments, spread

import friedel

MEDIAN_CORRELATION, MEDIAN_ERROR_RAD, WORST_CORRELATION = 0.995, 0.03, 0.97
THRESHOLDS = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Judged:
    """One crystal phased by one program."""

    correlation: float
    error_rad: float
    cpu_seconds: float


def phase_all(generator: str, n: int, seeds: range, n_photons: float, *, with_peer: bool) -> dict[str, list[Judged]]:
    """Phase the same crystals with friedel's defaults and with cohere; results by program."""
    found: dict[str, list[Judged]] = {}
    for seed in seeds:
        truth = crystal(generator, (n, n, n), seed=seed)
        pattern = measure(truth, n_photons=n_photons, seed=seed)
        began = time.process_time()
        ours = friedel.reconstruct(pattern.intensities, seed=seed)
        seconds = time.process_time() - began
        found.setdefault("friedel", []).append(Judged(*against_truth(ours.object, truth), seconds))
        print(f"  {generator} {n}³ crystal {seed}: {_sentence(found['friedel'][-1])}", flush=True)
        for threshold in THRESHOLDS if with_peer else ():
            theirs = peer.phase(pattern, threshold=threshold, seed=seed)
            judged = Judged(*against_truth(theirs.object, truth), theirs.cpu_seconds)
            found.setdefault(f"cohere {threshold}", []).append(judged)
    return found


def _sentence(judged: Judged) -> str:
    return f"correlation {judged.correlation:.4f}, phase error {judged.error_rad:.4f} rad, {judged.cpu_seconds:.0f} s"


def add_lines(report: Report, name: str, found: dict[str, list[Judged]]) -> None:
    """Add the three barred figures and the cost of one set of crystals."""
    ours = found["friedel"]
    peers = {program: results for program, results in found.items() if program != "friedel"}
    columns = {
        program: ([r.correlation for r in results], [r.error_rad for r in results])
        for program, results in found.items()
    }
    correlations, errors = columns["friedel"]
    median, median_error, worst = _median(correlations), _median(errors), min(correlations)
    report.add(
        f"{name}: correlation, median (range)", spread(correlations), bar=f">= {MEDIAN_CORRELATION}",
        peer=" | ".join(f"{_median(columns[p][0]):.4f}" for p in peers), met=median >= MEDIAN_CORRELATION,
    )  # fmt: skip
    report.add(
        f"{name}: phase error, rad, median (range)", spread(errors), bar=f"<= {MEDIAN_ERROR_RAD}",
        peer=" | ".join(f"{_median(columns[p][1]):.4f}" for p in peers), met=median_error <= MEDIAN_ERROR_RAD,
    )  # fmt: skip
    report.add(
        f"{name}: worst correlation", f"{worst:.4f}", bar=f">= {WORST_CORRELATION}",
        peer=" | ".join(f"{min(columns[p][0]):.4f}" for p in peers), met=worst >= WORST_CORRELATION,
    )  # fmt: skip
    report.add(
        f"{name}: CPU seconds a crystal", f"{_median([r.cpu_seconds for r in ours]):.1f}",
        peer=" | ".join(f"{_median([r.cpu_seconds for r in results]):.1f}" for results in peers.values()),
    )  # fmt: skip


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=20, help="of each generator and size")
    parser.add_argument("--first", type=int, default=100, help="seed of the first crystal")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--photons", type=float, default=1e7)
    parser.add_argument("--no-peer", action="store_true", help="friedel only")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    sizes, count = ([32], min(given.crystals, 2)) if given.quick else (given.sizes, given.crystals)
    with_peer = not given.no_peer and peer.available()
    report = Report("simulated: crystals with truth", given.quick)
    for n in sizes:
        for generator in given.generators:
            seeds = range(given.first, given.first + count)
            found = phase_all(generator, n, seeds, given.photons, with_peer=with_peer)
            add_lines(report, f"{generator}, {n}³", found)
    report.note(f"{count} crystals a line, {given.photons:.0e} photons, ±π; friedel: defaults, one seed.")
    if with_peer:
        report.note(f"peer: cohere at thresholds {' | '.join(map(str, THRESHOLDS))}, {peer.SCHEDULE}, one start.")
    report.finish()


if __name__ == "__main__":
    main()
