"""How near the photon limit: phase error over that of a refinement begun from the truth, on crystals with truth.

Bars (defaults; `medium`: 2π peak to peak, `strong`: 2π to 6π; crystals of another generator, which nothing is tuned to
or trained with, and of the package's own):

- 64³ medium, 1e7 photons: median ratio at most 1.25; 1e8: at most 1.5; none above 2.5;
- 64³ strong, 1e8: median ratio at most 2.5, correlation at least 0.995;
- 32³ medium, 1e7: median ratio at most 1.11;
- CPU time at 64³ in units of one cohere start (620 iterations with shrink-wrap) in the same run: median at most 0.8,
  greatest at most 2.5;
- none trusted whose phase error exceeds 0.1 rad.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import peer
import torch
from crystals import GENERATORS, against_truth, crystal, measure
from report import Report, arguments, spread

from friedel.bcdi.phasing import RefineOptions, solve
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.refine import refine
from friedel.bcdi.records import Diffraction
from friedel.core.machine.memory import keep_freed_memory

TURN = 2 * np.pi
UNITS_MEDIAN, UNITS_MOST, WRONG_RAD = 0.8, 2.5, 0.1


@dataclass(frozen=True)
class Kind:
    """One row of crystals and its bars."""

    n: int
    photons: float
    turns: tuple[float, float]
    median: float
    greatest: float = np.inf
    correlation: float = 0.0


KINDS = {
    "medium 1e7": Kind(64, 1e7, (1, 1), 1.25, greatest=2.5),
    "medium 1e8": Kind(64, 1e8, (1, 1), 1.5, greatest=2.5),
    "strong 1e8": Kind(64, 1e8, (1, 3), 2.5, correlation=0.995),
    "small 1e7": Kind(32, 1e7, (1, 1), 1.11),
}


@dataclass(frozen=True)
class Judged:
    """One crystal."""

    ratio: float
    error_rad: float
    correlation: float
    factor: float
    trusted: bool
    cpu_seconds: float


def limit(truth: np.ndarray, pattern: Diffraction) -> float:
    """Return the phase error of a refinement begun from the truth, on its support, radians."""
    support = torch.from_numpy(np.abs(truth) > 0)
    refined = refine(torch.from_numpy(truth), support, measured_from(pattern), RefineOptions(early_stop=False))
    return against_truth(refined.obj.numpy(), truth)[1]


def judge(kind: Kind, generator: str, seed: int) -> Judged:
    """Phase one crystal with the defaults."""
    turns = float(np.random.default_rng(seed).uniform(*kind.turns))
    truth = crystal(generator, (kind.n,) * 3, seed=seed, phase_range_rad=turns * TURN)
    pattern = measure(truth, n_photons=kind.photons, seed=seed)
    began = time.process_time()
    found = solve(pattern, seed=seed)
    seconds = time.process_time() - began
    correlation, error = against_truth(found.object, truth)
    factor = found.quality.noise_factor or float("nan")
    return Judged(error / limit(truth, pattern), error, correlation, factor, found.quality.trusted, seconds)


def cohere_seconds(n: int) -> float:
    """Return the CPU time of one cohere start on a crystal of this size."""
    truth = crystal("other", (n, n, n), seed=0)
    return float(peer.phase(measure(truth, n_photons=1e7, seed=0), threshold=0.1, seed=0).cpu_seconds)


def add_lines(report: Report, name: str, kind: Kind, found: list[Judged], unit: float) -> None:
    """Add the figures of one row and its bars."""
    ratios, units = [one.ratio for one in found], [one.cpu_seconds / unit for one in found]
    median, most, least = float(np.median(ratios)), max(ratios), min(one.correlation for one in found)
    report.add(f"{name}: ratio to the photon limit", spread(ratios, 2), bar=f"<= {kind.median}",
               met=median <= kind.median)  # fmt: skip
    if np.isfinite(kind.greatest):
        report.add(f"{name}: greatest ratio", f"{most:.2f}", bar=f"<= {kind.greatest}", met=most <= kind.greatest)
    if kind.correlation:
        report.add(f"{name}: least correlation", f"{least:.4f}", bar=f">= {kind.correlation}",
                   met=bool(least >= kind.correlation))  # fmt: skip
    report.add(f"{name}: phase error, rad", spread([one.error_rad for one in found]))
    report.add(f"{name}: fit over what noise gives", spread([one.factor for one in found], 2))
    if kind.n == 64 and np.isfinite(unit):
        report.add(f"{name}: CPU time, cohere starts", spread(units, 2), bar=f"<= {UNITS_MEDIAN}, most {UNITS_MOST}",
                   peer="1", met=bool(np.median(units) <= UNITS_MEDIAN and max(units) <= UNITS_MOST))  # fmt: skip
    wrong = sum(one.trusted and one.error_rad > WRONG_RAD for one in found)
    trusted = sum(one.trusted for one in found)
    report.add(f"{name}: trusted · of these wrong", f"{trusted} of {len(found)} · {wrong}", bar="0", met=wrong == 0)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=6, help="of each generator and row")
    parser.add_argument("--first", type=int, default=200, help="seed of the first crystal")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--no-peer", action="store_true", help="friedel only")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    keep_freed_memory()
    kinds, count = (["small 1e7"], 2) if given.quick else (given.kinds, given.crystals)
    with_peer = not given.no_peer and not given.quick and peer.available()
    unit = cohere_seconds(64) if with_peer else float("nan")
    report = Report("photon limit: phase error over that from the truth", given.quick)
    for name in kinds:
        for generator in given.generators:
            found = []
            for seed in range(given.first, given.first + count):
                found.append(judge(KINDS[name], generator, seed))
                print(f"  {name}, {generator} {seed}: {found[-1]}", flush=True)
            add_lines(report, f"{name}, {generator}", KINDS[name], found, unit)
    report.note(f"{count} crystals a line, one seed each. One cohere start at 64³: {unit:.1f} CPU-s.")
    report.finish()


if __name__ == "__main__":
    main()
