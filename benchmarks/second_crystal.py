"""Any other prepared crystal, named on the command line: χ, support size, and whether seeds agree.

Bar (a gold particle at 64³, defaults): χ at most 0.0484 with at most 3052 voxels, phases of different seeds within
0.15 rad rms. The file holds photons ``(z, y, x)`` in .npy, .npz, .h5, .tif or .cxi; NaN, or the mask file's marks, are
unknown voxels. With ``--amplitudes`` it holds √photons, as programs of the field often keep them.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import peer
from numpy.typing import NDArray
from report import Report, arguments, spread

from friedel.io.scan import read_scan
from friedel.io.source import ScanSource
from friedel.phasing import PhasingOptions
from friedel.phasing.ambiguities import align_to, phase_difference_rad
from friedel.records import Diffraction
from friedel.scans.arrays import diffraction_from_array
from friedel.workflows.reconstruct import reconstruct_diffraction

MAX_CHI, MAX_VOXELS, MAX_DIFFERENCE_RAD = 0.0484, 3052, 0.15
THRESHOLDS = (0.1, 0.2)
Phased = tuple[NDArray[np.complex64], NDArray[np.bool_]]


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


def add_lines(
    report: Report, chis: list[float], results: list[Phased], peers: dict[float, list[peer.PeerResult]]
) -> None:
    """Add the three barred figures."""
    voxels, differences = [int(support.sum()) for _, support in results], seed_differences(results)
    theirs = list(peers.values())
    report.add("χ, greatest of the seeds", f"{max(chis):.4f}", bar=f"<= {MAX_CHI}", met=max(chis) <= MAX_CHI,
               peer=" | ".join(spread([r.chi for r in runs]) for runs in theirs))  # fmt: skip
    report.add("support voxels, greatest", f"{max(voxels)}", bar=f"<= {MAX_VOXELS}", met=max(voxels) <= MAX_VOXELS,
               peer=" | ".join(spread([float(r.support.sum()) for r in runs], 0) for runs in theirs))  # fmt: skip
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
    pattern = read(given)
    options = PhasingOptions(starts=2, rounds=1, keep=2) if given.quick else PhasingOptions()
    seeds = range(2 if given.quick else given.seeds)
    found = [reconstruct_diffraction(pattern, options, seed=seed) for seed in seeds]
    thresholds = THRESHOLDS if peer.available() else ()
    peers = {t: [peer.phase(pattern, threshold=t, seed=seed) for seed in seeds] for t in thresholds}
    report = Report(f"second_crystal: {pattern.name}, {pattern.intensities.shape}", given.quick)
    add_lines(report, [f.quality.chi for f in found], [(f.object, f.support) for f in found], peers)
    report.note(f"peer: cohere at thresholds {' | '.join(map(str, THRESHOLDS))}, {peer.SCHEDULE}; seeds {len(seeds)}.")
    report.finish()


if __name__ == "__main__":
    main()
