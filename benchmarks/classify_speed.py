"""Time and memory of `friedel classify` on 7000 frames of 256² uint16 from HDF5.

Bars: at most 2 s from the first read to the last write (3520 frames/s, every frame of the European XFEL), at most 3.5 s
with the process's start, at most 1.5 GiB of memory. The frames are simulated, one in five a single hit, stored
uncompressed; bitshuffle-LZ4 stands beside. Each run is a process of its own, as a user starts it, and begins afresh;
the file is in the page cache. CPU-seconds count every thread: on a busy machine they say more than wall seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from report import Report, arguments, spread

FRAMES, QUICK_FRAMES, EDGE = 7000, 700, 256
BAR_S, BAR_WITH_START_S, BAR_GIB = 2.0, 3.5, 1.5
PAPER_S = 30.0
STORED: dict[str, Mapping[str, Any]] = {
    "uncompressed": {},
    "bitshuffle-LZ4": {"chunks": (1, EDGE, EDGE), **hdf5plugin.Bitshuffle(cname="lz4")},
}
# The command in a process of its own; what it took is the last line of its output.
RUN = """
import json, resource, sys
from pathlib import Path
from friedel.core.machine.memory import keep_freed_memory
from friedel.spi.frames.files import FrameFiles
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan
keep_freed_memory()
plan = ClassifyPlan(frames=FrameFiles(paths=(Path(sys.argv[1]),)), model=sys.argv[3])
result = run_classification(plan, Path(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": result.seconds, "gib": used.ru_maxrss / 2**20, "cpu": used.ru_utime + used.ru_stime,
                  "selected": result.figures["selected"]}))
"""


@dataclass(frozen=True)
class Timing:
    """What one run took."""

    seconds: float
    with_start: float
    cpu: float
    gib: float
    selected: int


def write_run(path: Path, n_frames: int, how: Mapping[str, Any]) -> None:
    """Write a run: spheres of many sizes and brightnesses, four in five of them two particles that interfere."""
    rng = np.random.default_rng(7)
    y, x = np.indices((EDGE, EDGE)) - EDGE // 2
    radius = np.hypot(y, x) + 1e-3
    with h5py.File(path, "w") as file:
        data = file.create_dataset("entry_1/data_1/data", (n_frames, EDGE, EDGE), np.uint16, **how)
        for first in range(0, n_frames, 100):
            frames = [_frame(rng, radius, y, x, single=(first + k) % 5 == 0) for k in range(100)]
            data[first : first + 100] = np.array(frames)[: n_frames - first]


def _frame(rng: np.random.Generator, radius: np.ndarray, y: np.ndarray, x: np.ndarray, *, single: bool) -> np.ndarray:
    u = rng.uniform(0.12, 0.35) * radius
    expected = (3 * (np.sin(u) - u * np.cos(u)) / u**3) ** 2 * 10 ** rng.uniform(2, 4)
    if not single:
        expected *= 1 + np.cos(rng.uniform(-0.8, 0.8) * x + rng.uniform(-0.8, 0.8) * y)
    return rng.poisson(expected * (radius > 6)).astype(np.uint16)


def run_once(path: Path, folder: Path, model: str) -> Timing:
    """Classify a file in a fresh process and a fresh folder."""
    began = time.perf_counter()
    command = [sys.executable, "-c", RUN, str(path), str(folder), model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - began
    told = json.loads(done.stdout.splitlines()[-1])
    return Timing(
        seconds=told["seconds"], with_start=whole, cpu=told["cpu"], gib=told["gib"], selected=told["selected"]
    )


def add_lines(report: Report, name: str, timings: list[Timing], n_frames: int) -> None:
    """Put the best run's figures beside their bars, with the spread of all of them."""
    seconds, whole = [t.seconds for t in timings], [t.with_start for t in timings]
    report.add(
        f"{name}: first read to last write, s", spread(seconds, 2), bar=f"<= {BAR_S:g}",
        peer=f"{PAPER_S:g} (paper)", met=min(seconds) <= BAR_S,
    )  # fmt: skip
    report.add(f"{name}: frames/s", f"{n_frames / min(seconds):.0f}", bar=">= 3520", peer="233 (paper)")
    report.add(
        f"{name}: with the process's start, s", spread(whole, 2), bar=f"<= {BAR_WITH_START_S:g}",
        met=min(whole) <= BAR_WITH_START_S,
    )  # fmt: skip
    report.add(f"{name}: CPU-seconds of the whole process", spread([t.cpu for t in timings], 2))
    peak = max(t.gib for t in timings)
    report.add(f"{name}: memory, GiB", f"{peak:.2f}", bar=f"<= {BAR_GIB:g}", met=peak <= BAR_GIB)


def more(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own arguments."""
    parser.add_argument("--model", default="default", help="name or path of the weights")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind")


def main() -> None:
    """Write the runs, classify each a few times, print the bars."""
    given = arguments(__doc__, more=more)
    n_frames = QUICK_FRAMES if given.quick else FRAMES
    report = Report(title="classify speed: friedel classify, from file to report", quick=given.quick)
    with tempfile.TemporaryDirectory() as folder:
        for name, how in STORED.items():
            path = Path(folder) / f"{name}.h5"
            write_run(path, n_frames, how)
            timings = [run_once(path, Path(folder) / f"{name} {turn}", given.model) for turn in range(given.repeats)]
            add_lines(report, name, timings, n_frames)
            path.unlink()
    report.note(
        f"{n_frames} frames of {EDGE}², {timings[0].selected} selected; the best of {given.repeats} runs is judged"
    )
    report.finish()


if __name__ == "__main__":
    main()
