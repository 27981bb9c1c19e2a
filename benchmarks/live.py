"""Rate, latency, memory and account of `friedel watch` on 256² uint16 frames.

Bars: at least 2000 frames/s for 60 s with every frame accounted for, from a local socket with the sender on the same
cores, and from shared memory without one; at half that rate p99 from arrival to score at most 50 ms; the difference an
open display makes below 5 %; over ten million made-up frames (of 64²) memory flat within 2 %, and at their end an exact
ledger and no shared memory left. Nothing else may run on the machine: whoever takes a core takes half the rate.
"""

import argparse
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults_watch import blocks_of
from live_peer import FromNowhere, Socket, send_frames
from report import Report, arguments

from friedel.spi.live.plan import KeepOptions, QueueOptions, WatchPlan
from friedel.spi.live.watch import HitsWatch
from friedel.stream.display import Display
from friedel.stream.ledger import LedgerCounts

RATE, SECONDS, QUICK_SECONDS = 2000.0, 60.0, 2.0
LONG, QUICK_LONG = 10_000_000, 6_000
LONG_EDGE = 64
P99_S, DISPLAY_SHARE, MEMORY_SHARE = 0.05, 0.05, 0.02
_PREFETCH_S = 3.0


@dataclass(frozen=True)
class Run:
    """What one watch gave.

    Attributes
    ----------
    counts : LedgerCounts
        Its ledger.
    rate : float
        Frames scored a second, from the first score to the last.
    memory : tuple of float
        MiB of all its processes, looked at every second once the models are loaded.
    blocks : frozenset of Path
        Shared memory that it had.
    """

    counts: LedgerCounts
    rate: float
    memory: tuple[float, ...]
    blocks: frozenset[Path]

    @property
    def exact(self) -> bool:
        """Whether every frame is accounted for."""
        return self.counts.adds_up and self.counts.waiting == 0


class Probe:
    """Looks at a running watch from a thread: first and last score, memory."""

    def __init__(self, watch: HitsWatch) -> None:
        self._watch, self._stop = watch, threading.Event()
        self._marks: list[tuple[float, int]] = []
        self._memory: list[float] = []
        self._blocks: set[Path] = set()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def result(self, counts: LedgerCounts) -> Run:
        """Return what was seen."""
        moving = [mark for mark, after in zip(self._marks, self._marks[1:], strict=False) if after[1] > mark[1] > 0]
        rate = 0.0
        if len(moving) > 1:
            rate = (moving[-1][1] - moving[0][1]) / (moving[-1][0] - moving[0][0])
        return Run(counts=counts, rate=rate, memory=tuple(self._memory), blocks=frozenset(self._blocks))

    def _look(self) -> None:
        next_memory = 0.0
        while not self._stop.wait(0.1):
            done = self._watch.ledger.counts().processed
            self._marks.append((time.monotonic(), done))
            if done and time.monotonic() > next_memory:
                self._memory.append(_memory_mib())
                self._blocks |= blocks_of(os.getpid())
                next_memory = time.monotonic() + 1.0


def _memory_mib() -> float:
    """Return the proportional memory of this process and those it started, so that shared pages count once."""
    total = 0
    for pid in ("self", *(child.pid for child in multiprocessing.active_children())):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:  # it has just ended
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 2**10


def run(
    source: Any,
    *,
    folder: Path | None = None,
    display: Display | None = None,
    memory_mb: int = 512,
    model: str = "default",
) -> Run:
    """Watch a source to its end.

    Parameters
    ----------
    source : Source
        The frames.
    folder : Path, optional
        For results; None writes none.
    display : Display, optional
        That is shown.
    memory_mb : int
        Of the ring, MiB.
    model : str
        The scorer.
    """
    plan = WatchPlan(
        output=folder,
        model=model,
        queue=QueueOptions(memory_mb=memory_mb),
        keep=KeepOptions(frames="none"),
        log_s=3600.0,
    )
    watch = HitsWatch(plan, source=source, display=display)
    with Probe(watch) as probe:
        result = watch.run()
    return probe.result(result.counts)


def over_socket(rate: float, seconds: float) -> Run:
    """Watch frames that another process on the same cores sends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    sender = multiprocessing.get_context("spawn").Process(
        target=send_frames, args=(endpoint, int(rate * seconds), rate)
    )
    sender.start()
    try:
        return run(Socket(endpoint))
    finally:
        sender.kill()
        sender.join()


def add_rate(report: Report, what: str, found: Run) -> None:
    """Put a rate beside its bar."""
    report.add(f"{what}: frames/s scored", f"{found.rate:.0f}", bar=f">= {RATE:g}", met=found.rate >= 0.99 * RATE)
    report.add(f"{what}: ledger", found.counts.sentence(), bar="adds up", met=found.exact)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=("rates", "long"), help="one half of the settings")
    parser.add_argument("--frames", type=int, default=LONG, help="of the long run; fewer is not the bar")
    parser.add_argument("--model", default="default", help="of the long run; faults_peer:Brightness: the engine alone")


def main() -> None:
    """Run every setting once, print the bars."""
    given = arguments(__doc__, more=_own)
    seconds = QUICK_SECONDS if given.quick else SECONDS
    report = Report(title="live: friedel watch, from arrival to score", quick=given.quick or given.frames < LONG)
    if given.only != "long":
        _add_rates(report, seconds)
    if given.only != "rates":
        _add_long(report, QUICK_LONG if given.quick else given.frames, given.model)
    report.finish()


def _add_rates(report: Report, seconds: float) -> None:
    add_rate(report, "sender on the same cores, socket", over_socket(RATE, seconds))
    free = run(FromNowhere(int(RATE * seconds), None))
    add_rate(report, "without a sender, as fast as it goes", free)
    half = run(FromNowhere(int(RATE / 2 * seconds), RATE / 2))
    p99, overall = half.counts.latency_p99_s, half.counts.latency_p99_overall_s
    report.add("latency at half that rate, p99, ms", f"{p99 * 1e3:.1f}", bar="<= 50", met=p99 <= P99_S)
    report.add("the same with the first seconds, ms", f"{overall * 1e3:.1f}")
    report.add("half rate: ledger", half.counts.sentence(), bar="adds up", met=half.exact)
    report.note("latency: the latest 8192 frames; the first ones wait until the run's constants are measured")
    _add_display(report, free, seconds)


def _add_display(report: Report, free: Run, seconds: float) -> None:
    display = Display()
    try:
        shown = run(FromNowhere(int(RATE * seconds), None), display=display)
    finally:
        display.close()
    less = 1 - shown.rate / max(free.rate, 1e-9)
    report.add("rate lost to an open display", f"{less:.1%}", bar="< 5 %", met=less < DISPLAY_SHARE)


def _add_long(report: Report, n_frames: int, model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        long = run(FromNowhere(n_frames, None, edge=LONG_EDGE), folder=Path(folder) / "out", model=model)
    left = [path for path in long.blocks if path.exists()]
    settled = [memory for index, memory in enumerate(long.memory) if index >= _PREFETCH_S]
    if len(settled) > 3:
        third = len(settled) // 3
        early, late = sum(settled[:third]) / third, sum(settled[-third:]) / third
        growth = late / early - 1
        report.add("memory, last third against first", f"{growth:+.1%}", bar="within 2 %", met=growth < MEMORY_SHARE)
        report.add("memory in all, MiB", f"{late:.0f}")
    report.add("blocks left in /dev/shm", f"{len(left)}", bar="0", met=not left)
    report.add(f"frames/s, {model}", f"{long.rate:.0f}")
    exact = long.exact and long.counts.processed == n_frames
    report.add(f"{n_frames} frames: ledger", long.counts.sentence(), bar="exact", met=exact)


if __name__ == "__main__":
    main()
