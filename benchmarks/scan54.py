"""A real gold crystal from its raw TIFF frames (APS 34-ID-C, scan 54): χ, support, agreement, beside cohere.

Bar, 64³, defaults: χ at most 0.085 with a support no larger than cohere's, and correlation between independent
starts at least 0.95. cohere gets the same prepared data, with unmeasured voxels zero, at two thresholds; of its
supports the smaller one counts. ``--full`` runs the whole resolution the scan holds, for time, χ and memory.
"""

import argparse
import resource
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import peer
from numpy.typing import NDArray
from report import SHARED_DATA, Report, arguments, spread

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.records import Diffraction
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource

MAX_CHI, MIN_AGREEMENT = 0.085, 0.95
THRESHOLDS = (0.1, 0.2)


@dataclass(frozen=True, eq=False)
class Runs:
    """One program's results over the seeds."""

    objects: list[NDArray[np.complex64]]
    chis: list[float]
    voxels: list[int]
    cpu_seconds: list[float]

    @property
    def correlations(self) -> list[float]:
        """Correlation of every pair of seeds after alignment."""
        return [align_to(second, first)[1] for first, second in combinations(self.objects, 2)]


def prepared(folder: Path, shape: tuple[int, int, int] | None) -> Diffraction:
    """Read and prepare the raw scan as plans/aps34idc_scan54.yaml does; None is the whole resolution."""
    source = ScanSource(
        beamline="aps34idc",
        path=folder / "AD34idcTIM2_example",
        spec=folder / "scan52-56.spec",
        scan=54,
        dark=folder / "dark.tif",
        flat=folder / "whitefield.tif",
    )
    return prepare(read_scan(source), PrepareOptions(shape=shape))


def ours(pattern: Diffraction, seeds: range, options: PhasingOptions) -> tuple[Runs, list[float]]:
    """Phase with friedel; also return the agreement between starts that each run reports."""
    runs, agreements = Runs([], [], [], []), []
    for seed in seeds:
        began = time.process_time()
        found = reconstruct_diffraction(pattern, options, seed=seed)
        runs.cpu_seconds.append(time.process_time() - began)
        runs.objects.append(found.object)
        runs.chis.append(found.quality.chi)
        runs.voxels.append(found.quality.support_voxels)
        agreements.append(found.quality.agreement or 0.0)
        print(f"  friedel seed {seed}: χ {runs.chis[-1]:.4f}, {runs.voxels[-1]} voxels", flush=True)
    return runs, agreements


def theirs(pattern: Diffraction, seeds: range, threshold: float) -> Runs:
    """Phase with cohere."""
    results = [peer.phase(pattern, threshold=threshold, seed=seed) for seed in seeds]
    return Runs(
        [r.object for r in results],
        [r.chi for r in results],
        [int(r.support.sum()) for r in results],
        [r.cpu_seconds for r in results],
    )


def add_lines(report: Report, runs: Runs, agreements: list[float], peers: dict[float, Runs]) -> None:
    """Add the barred figures."""

    def of_peers(attribute: str, digits: int) -> str:
        return " | ".join(spread(getattr(p, attribute), digits) for p in peers.values())

    limit = min((int(np.median(p.voxels)) for p in peers.values()), default=None)
    chi, voxels, between = max(runs.chis), max(runs.voxels), min(runs.correlations, default=float("nan"))
    report.add("χ, greatest of the seeds", f"{chi:.4f}", bar=f"<= {MAX_CHI}", peer=of_peers("chis", 4),
               met=chi <= MAX_CHI)  # fmt: skip
    report.add("support voxels, greatest", f"{voxels}", bar="" if limit is None else f"<= {limit}",
               peer=of_peers("voxels", 0), met=None if limit is None else voxels <= limit)  # fmt: skip
    report.add("correlation of seeds, least", f"{between:.4f}", bar=f">= {MIN_AGREEMENT}",
               peer=of_peers("correlations", 3), met=between >= MIN_AGREEMENT)  # fmt: skip
    report.add("agreement of starts in a run, least", f"{min(agreements):.4f}", bar=f">= {MIN_AGREEMENT}",
               met=min(agreements) >= MIN_AGREEMENT)  # fmt: skip
    report.add("CPU seconds", spread(runs.cpu_seconds, 0), peer=of_peers("cpu_seconds", 0))


def run_full(folder: Path, report: Report) -> None:
    """Reconstruct at the whole resolution and add its figures."""
    pattern = prepared(folder, None)
    began, cpu = time.perf_counter(), time.process_time()
    found = reconstruct_diffraction(pattern, PhasingOptions(), seed=0)
    size = " × ".join(map(str, pattern.intensities.shape))
    report.add(f"{size}: χ", f"{found.quality.chi:.4f}")
    report.add(f"{size}: support voxels", f"{found.quality.support_voxels}")
    report.add(f"{size}: agreement of starts", f"{found.quality.agreement or 0.0:.4f}")
    report.add(f"{size}: seconds (CPU)", f"{time.perf_counter() - began:.0f} ({time.process_time() - cpu:.0f})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    report.add(f"{size}: peak memory of the whole process", f"{peak:.2f} GiB")


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "aps34idc_scan54", help="folder of the raw scan")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="also run the whole resolution")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    if not given.data.is_dir():
        print(f"{given.data}: the raw scan isn't there; name its folder with --data. Nothing measured.")
        return
    pattern = prepared(given.data, (64, 64, 64))
    seeds = range(2) if given.quick else range(given.seeds)
    # A quick look keeps the method and runs fewer starts.
    options = PhasingOptions(starts=2, rounds=1, keep=2) if given.quick else PhasingOptions()
    report = Report("scan54: a real crystal from raw frames, 64³", given.quick)
    runs, agreements = ours(pattern, seeds, options)
    thresholds = THRESHOLDS if peer.available() else ()
    peers = {threshold: theirs(pattern, seeds[:1] if given.quick else seeds, threshold) for threshold in thresholds}
    add_lines(report, runs, agreements, peers)
    across = [align_to(p.objects[0], runs.objects[0])[1] for p in peers.values()]
    report.add("correlation of friedel with cohere", " | ".join(f"{c:.3f}" for c in across))
    report.note(f"peer: cohere at thresholds {' | '.join(map(str, THRESHOLDS))}, {peer.SCHEDULE}.")
    if given.full:
        run_full(given.data, report)
    report.finish()


if __name__ == "__main__":
    main()
