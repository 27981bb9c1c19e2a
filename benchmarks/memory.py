"""Peak memory of a large reconstruction, in a process of its own.

Bar: 180 × 256 × 256 within 4 GiB, everything the process holds counted (its peak resident set). Arrays, batches and the
number of starts kept are the default plan's; the schedules are shortened, because iterations change the time and not
the memory, and ``--whole`` runs them as they are.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from crystals import crystal, measure
from report import Report, arguments

import friedel
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.refine import RefineOptions

MAX_GIB = 4.0
SHAPE = (180, 256, 256)
QUICK_SHAPE = (90, 128, 128)
SHORT = {"schedule": "30*HIO+10*ER", "polish": "3*RAAR+2*ER", "rounds": 1}
SHORT_REFINE = RefineOptions(steps=5)


def child(pattern: Path, *, whole: bool) -> None:
    """Reconstruct a saved pattern and print this process's peak memory and time as JSON."""
    # The plan's short form differs only in the numbers of iterations.
    options = PhasingOptions() if whole else PhasingOptions.read({**SHORT, "refine": SHORT_REFINE})
    began, before = time.perf_counter(), peak_gib()
    found = friedel.reconstruct(np.load(pattern), plan=options, seed=0)
    figures = {
        "before_gib": before,
        "peak_gib": peak_gib(),
        "seconds": time.perf_counter() - began,
        "chi": found.quality.chi,
    }
    print(json.dumps(figures))


def peak_gib() -> float:
    """Return this process's peak resident memory so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would also count what the parent held when it started this process.
        line = next(text for text in status.read_text().splitlines() if text.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured_in_child(shape: tuple[int, int, int], *, whole: bool, threads: int | None) -> dict[str, float]:
    """Return what the child prints."""
    pattern = measure(crystal("other", shape, seed=1), n_photons=1e8, seed=1)
    command = [sys.executable, __file__, "--child"] + ["--whole"] * whole
    environment = dict(os.environ) | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pattern.npy"
        np.save(path, pattern.intensities)
        del pattern
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"the reconstruction failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--whole", action="store_true", help="the default plan's schedules, not shortened")
    parser.add_argument("--child", type=Path, default=None, help=argparse.SUPPRESS)


def main() -> None:
    """Run the benchmark, or its child."""
    given = arguments(__doc__, more=_own)
    if given.child is not None:
        child(given.child, whole=given.whole)
        return
    shape = QUICK_SHAPE if given.quick else SHAPE
    found = measured_in_child(shape, whole=given.whole, threads=given.threads)
    report = Report("memory: peak of a large reconstruction", given.quick)
    size, peak = " × ".join(map(str, shape)), found["peak_gib"]
    report.add(f"{size}: peak resident memory, GiB", f"{peak:.2f}", bar=f"<= {MAX_GIB}", met=peak <= MAX_GIB)
    report.add(f"{size}: seconds{'' if given.whole else ', schedules shortened'}", f"{found['seconds']:.0f}")
    report.note(f"Python with its libraries took {found['before_gib']:.2f} GiB of this before anything was read.")
    report.finish()


if __name__ == "__main__":
    main()
