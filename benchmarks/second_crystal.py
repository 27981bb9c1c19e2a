"""Any other prepared crystal, named on the command line: χ, support size, time, and whether seeds agree.

Bar (a gold particle at 64³, defaults: network + refinement): χ at most 0.0484 with at most 3052 voxels in at most 2.6
CPU-seconds (aim 1; cohere 10.6), phases of different seeds within 0.15 rad rms; the network alone: χ at most 0.35. The
chain that begins from random phases stands in a line of its own. The file holds photons ``(z, y, x)`` in .npy, .npz,
.h5, .tif or .cxi; NaN, or the mask file's marks, are unknown voxels. With ``--amplitudes`` it holds √photons, as
programs of the field often keep them.
"""

import argparse
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import peer
from numpy.typing import NDArray
from report import Report, arguments, spread

import friedel
from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.arrays import diffraction_from_array
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.records import Diffraction, Reconstruction
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import WeightsError
from friedel.core.machine.memory import keep_freed_memory

MAX_CHI, MAX_VOXELS, MAX_DIFFERENCE_RAD = 0.0484, 3052, 0.15
MAX_CPU_SECONDS, MAX_PREDICTION_CHI = 2.6, 0.35
THRESHOLDS = (0.1, 0.2)
Phased = tuple[NDArray[np.complex64], NDArray[np.bool_]]


@dataclass(frozen=True)
class Timed:
    """A reconstruction and the CPU seconds it took."""

    found: Reconstruction
    cpu_seconds: float


def read(given: argparse.Namespace) -> Diffraction:
    """Read the prepared pattern; it is centred only if its peak is far off."""
    source = ScanSource(path=given.path, dataset=given.dataset, mask=given.mask, mask_marks=given.mask_marks)
    scan = read_scan(source)
    values = np.square(scan.frames, dtype=np.float32) if given.amplitudes else scan.frames
    mask = np.broadcast_to(scan.mask, values.shape)
    return diffraction_from_array(values, mask, name=scan.name)


def seed_differences(results: list[Phased]) -> list[float]:
    """Return the RMS phase difference of every pair of seeds, radians, inside both supports where the crystal is.

    That is where the amplitude is at least half the bulk's: a support's outermost voxels have no phase to speak of.
    """
    found = []
    for (first, inside), (second, other) in combinations(results, 2):
        aligned, _ = align_to(second, first)
        moved, _ = align_to(other.astype(np.complex64), inside.astype(np.complex64))
        density = np.abs(first).astype(np.float64) ** 2
        bright = density >= 0.25 * (density**2).sum() / density.sum()
        found.append(phase_difference_rad(aligned, first, inside & (np.abs(moved) > 0.5) & bright))
    return found


def timed(pattern: Diffraction, options: PhasingOptions, seed: int) -> Timed:
    """Phase the pattern."""
    began = time.process_time()
    found = reconstruct_diffraction(pattern, options, seed=seed, device="cpu")
    return Timed(found, time.process_time() - began)


def add_prediction(report: Report, pattern: Diffraction) -> None:
    """Add what the network gives alone; without weights a sentence."""
    try:
        prediction = friedel.predict(pattern.intensities, mask=pattern.mask, device="cpu")
    except WeightsError as error:
        report.note(f"network alone: {error}")
        return
    chi = prediction.quality.chi
    report.add("χ, network alone", f"{chi:.4f}", bar=f"<= {MAX_PREDICTION_CHI}", met=chi <= MAX_PREDICTION_CHI)


def add_lines(report: Report, runs: list[Timed], peers: dict[float, list[peer.PeerResult]]) -> None:
    """Add the barred figures of the chain."""
    results = [(run.found.object, run.found.support) for run in runs]
    chis, cpu = [run.found.quality.chi for run in runs], [run.cpu_seconds for run in runs]
    voxels, differences = [int(support.sum()) for _, support in results], seed_differences(results)
    theirs = list(peers.values())
    report.add("χ, greatest of the seeds", f"{max(chis):.4f}", bar=f"<= {MAX_CHI}", met=max(chis) <= MAX_CHI,
               peer=" | ".join(spread([r.chi for r in runs]) for runs in theirs))  # fmt: skip
    report.add("support voxels, greatest", f"{max(voxels)}", bar=f"<= {MAX_VOXELS}", met=max(voxels) <= MAX_VOXELS,
               peer=" | ".join(spread([float(r.support.sum()) for r in runs], 0) for runs in theirs))  # fmt: skip
    report.add("CPU seconds, greatest", f"{max(cpu):.2f}", bar=f"<= {MAX_CPU_SECONDS}, aim 1",
               met=max(cpu) <= MAX_CPU_SECONDS,
               peer=" | ".join(spread([r.cpu_seconds for r in runs], 1) for runs in theirs))  # fmt: skip
    if differences:
        report.add(
            "phase difference of seeds, rad, greatest", f"{max(differences):.3f}", bar=f"<= {MAX_DIFFERENCE_RAD}",
            met=max(differences) <= MAX_DIFFERENCE_RAD,
            peer=" | ".join(spread(seed_differences([(r.object, r.support) for r in runs]), 3) for runs in theirs),
        )  # fmt: skip


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="?", help="the prepared pattern")
    parser.add_argument("--dataset", default=None, help="array's name inside .npz or .h5")
    parser.add_argument("--mask", type=Path, default=None, help="mask file, 2D or 3D")
    parser.add_argument("--mask-marks", choices=("bad", "good"), default="bad", help="what non-zero means in it")
    parser.add_argument("--amplitudes", action="store_true", help="the file holds √photons")
    parser.add_argument("--seeds", type=int, default=3)


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    if given.path is None:
        print("second_crystal: name a prepared pattern (.npy .npz .h5 .tif .cxi). Nothing measured.")
        return
    keep_freed_memory()
    pattern = read(given)
    few = {"starts": 2, "rounds": 1, "keep": 2} if given.quick else {}
    options = PhasingOptions.read(few)
    seeds = range(2 if given.quick else given.seeds)
    # The network's file is read once, as in a session with many patterns.
    timed(pattern, options, seeds[0])
    found = [timed(pattern, options, seed) for seed in seeds]
    random = timed(pattern, PhasingOptions.read({**few, "start": "random"}), seeds[0])
    thresholds = THRESHOLDS if peer.available() else ()
    peers = {t: [peer.phase(pattern, threshold=t, seed=seed) for seed in seeds] for t in thresholds}
    report = Report(f"second_crystal: {pattern.name}, {pattern.intensities.shape}", given.quick)
    add_prediction(report, pattern)
    add_lines(report, found, peers)
    quality = random.found.quality
    report.add("random starts: χ, voxels, CPU seconds",
               f"{quality.chi:.4f}, {quality.support_voxels}, {random.cpu_seconds:.1f}")  # fmt: skip
    report.note(f"peer: cohere at thresholds {' | '.join(map(str, THRESHOLDS))}, {peer.SCHEDULE}; seeds {len(seeds)}.")
    report.finish()


if __name__ == "__main__":
    main()
