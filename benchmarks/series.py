"""A heating series with truth: strain against temperature, time beside single runs, the aborted scan.

Thirty scans of one gold crystal that drifts, turns by 1.5°, and strains more and more from 300 to 600 K, written as APS
34-ID-C does; one stops just past the peak. Treated by `friedel series` with the defaults, and, for the time, a share of
them one by one as `friedel reconstruct` in a process each.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from report import Report, arguments

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "doubles"))
from heating import FIRST, Heating, write_heating

from friedel.bcdi.crystals.lattice import LatticeCrystal
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.multiscale import lower
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.results.save import load_reconstruction
from friedel.bcdi.series.outliers import CHECK_FAILED
from friedel.bcdi.series.plan import SeriesPlan, members_of
from friedel.bcdi.series.run import SeriesResult, run_series
from friedel.bcdi.strain.analysis import analyse

N_SCANS, ABORTED, SINGLES = 30, 12, 5
FINER = 3


def cpu_s(who: int) -> float:
    """Return the processor time of this process, or of its children that have ended, s."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def single_runs(plan: SeriesPlan, folder: Path, places: list[int]) -> float:
    """Return the mean processor time of single runs, each a process as a user starts it, s."""
    before = cpu_s(resource.RUSAGE_CHILDREN)
    members = members_of(plan)
    for place in places:
        member: ReconstructionPlan = members[place].plan
        path = folder / f"single_{place}.yaml"
        path.write_text(member.text(), encoding="utf-8")
        program = "from friedel.cli.main import main; main()"
        command = [sys.executable, "-c", program, "reconstruct", str(path), "-o", str(folder / f"single_{place}")]
        subprocess.run(command, check=True, capture_output=True, env=os.environ)
    return (cpu_s(resource.RUSAGE_CHILDREN) - before) / len(places)


def on_the_result_s_voxels(crystal: LatticeCrystal, path: Path) -> float:
    """Return the rms strain that a perfect image of the true crystal has on a result's voxels, analysed as the result.

    Perfect: amplitudes and phases known out to the edge of the result's array, and nothing beyond; so the crystal is
    seen on voxels `FINER` times finer and cut off there. It lies where the result lies, to a fraction of a voxel: which
    voxels the outermost layer, that strains most, falls into changes the rms of such a small crystal by 5 %.
    """
    result = load_reconstruction(path)
    if result.grid is None:
        raise ValueError(f"{path} has no geometry")
    shape = result.object.shape
    basis, fine = result.grid.object_basis(shape) / FINER, tuple(FINER * n for n in shape)
    seen = crystal.on_grid(basis=basis, h=result.grid.q_bragg, shape=(fine[0], fine[1], fine[2]))
    object_, _ = align_to(lower(torch.from_numpy(seen.astype(np.complex64)), shape).numpy(), result.object)
    support = np.abs(object_) > np.abs(object_).max() / 6
    image = analyse(replace(result, object=object_, support=support, uncertainty=None))
    if image.strain is None:
        raise ValueError(f"{path} has no strain")
    return float(np.nanstd(image.strain))


def against_truth(
    result: SeriesResult, truth: Heating, folder: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return found rms strain, its standard errors, the true one on the result's voxels, and that of all the crystal.

    Of the scans that aren't outliers by their neighbours: a scan whose own check failed counts.
    """
    rows = [
        (
            scan.numbers["strain_rms"],
            scan.errors["strain_rms"],
            on_the_result_s_voxels(truth.crystals[k], folder / scan.name / "reconstruction.cxi"),
            truth.strain_rms[k],
        )
        for k, scan in enumerate(result.scans)
        if not scan.failed and result.outliers.get(scan.name, CHECK_FAILED) == CHECK_FAILED
    ]
    found, errors, seen, whole = np.array(rows).T
    return found, errors, seen, whole


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scans", type=int, default=N_SCANS)
    parser.add_argument("--photons", type=float, default=2e7)
    parser.add_argument("--seed", type=int, default=3, help="of the crystal, its drift and its photons")
    parser.add_argument("--keep", type=Path, help="folder for the series, to look at")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    n = 6 if given.quick else given.scans
    aborted = min(ABORTED, n // 2)
    report = Report("series: a heated crystal, scan by scan", given.quick)
    with tempfile.TemporaryDirectory() as place:
        folder = given.keep or Path(place)
        truth = write_heating(folder / "raw", n, aborted=aborted, n_photons=given.photons, seed=given.seed)
        scans = f"{FIRST}-{FIRST + n - 1}"
        plan = SeriesPlan(scan=truth.source, scans=scans, conditions={"temperature": truth.temperatures})
        before = cpu_s(resource.RUSAGE_SELF)
        result = run_series(plan, folder / "series")
        each = (cpu_s(resource.RUSAGE_SELF) - before) / n
        places = [k for k in np.linspace(0, n - 1, SINGLES).round().astype(int).tolist() if k != aborted]
        alone = single_runs(plan, folder, places[:2] if given.quick else places)
        found, errors, seen, whole = against_truth(result, truth, folder / "series")
    within = [float(np.mean(np.abs(found - seen) < k * errors)) for k in (1, 2, 3)]
    report.add("scans compared", f"{len(found)} of {n}, seed {given.seed}")
    report.add("rms strain within 1 | 2 | 3 standard errors", " | ".join(f"{w:.0%}" for w in within),
               bar="68 | 95 | 99 %, as many as chance leaves", met=within[1] >= 0.9 and within[0] >= 0.5)  # fmt: skip
    begun = [scan.numbers["witness_correlation"] for scan in result.scans if "witness_correlation" in scan.numbers]
    report.add(
        "scans begun at their neighbour, and the least correlation with the witness",
        f"{len(begun)}, {min(begun, default=float('nan')):.3f}",
    )
    report.add("found / true rms strain, mean", f"{np.mean(found / seen):.3f}")
    report.add("the same, of all of the crystal", f"{np.mean(found / whole):.3f}")
    report.add("median standard error / rms strain", f"{np.median(errors / found):.3f}")
    report.add("CPU-s a scan in the series", f"{each:.1f}", bar="< a single run", peer=f"{alone:.1f} alone",
               met=each < alone)  # fmt: skip
    name = f"scan_{FIRST + aborted:04d}"
    others = set(result.outliers) - {name}
    report.add(
        "the aborted scan is named", result.outliers.get(name, "no")[:60], bar="yes", met=name in result.outliers
    )
    report.add("others named", ", ".join(f"{k}: {result.outliers[k][:40]}" for k in sorted(others)) or "none")
    report.finish()


if __name__ == "__main__":
    main()
