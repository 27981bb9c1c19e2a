"""A day of rocking scans, one after another and faster than a beamline, through `friedel watch --crystals`.

Twelve hours at a scan a minute and a half are 480 scans; a detector on loopback sends them by SIMPLON, the next one
as soon as the last but one has its final image. Bars: memory of the watch flat within 2 % (last third of the scans
against the second), ledger exact, a final image of every scan, no process and no shared memory left. The images are
phased briefly: how good they are is `crystals.py`'s matter.
"""

import argparse
import json
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from faults_peer import Detector, free_port
from faults_watch import Command, need, until
from report import Report, arguments

from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.live.plan import CrystalWatchPlan

SCANS, QUICK_SCANS = 480, 4
SHAPE = (48, 48, 48)
MEMORY_SHARE = 0.02
_PATIENCE_S = 300.0
_FINAL = {"start": "random", "starts": 1, "schedule": "20*HIO+5*ER", "rounds": 1, "refine": {"steps": 5}}


def _memory_mib(pid: int) -> float:
    """Return the memory that a process has to itself, MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    wanted = ("Private_Clean:", "Private_Dirty:")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(wanted)) / 2**10


def _finished(folder: Path) -> int:
    return len(list(folder.glob("[0-9]*_*/report.html")))


def _send(detector: Detector, series: int, frames: np.ndarray) -> None:
    header = {"htype": "dheader-1.0", "series": series, "header_detail": "basic"}
    detector.raw([json.dumps(header).encode(), json.dumps({"nimages": len(frames), "ntrigger": 1}).encode()])
    for number, frame in enumerate(frames):
        detector.frame(number, frame, series)


def _await(command: Command, folder: Path, n_scans: int) -> None:
    until(lambda: command.ended or _finished(folder) >= n_scans, f"{n_scans} final images", _PATIENCE_S)


def _watch(folder: Path, n_scans: int, limit_s: float, report: Report) -> None:
    plan, detector = folder / "plan.yaml", Detector(1, free_port())
    quick = {"phasing": _FINAL, "images": {"model": None, "members": 1, "seconds": 0.1}, "prepare": {"shape": SHAPE}}
    plan.write_text(CrystalWatchPlan.read(quick).text(), encoding="utf-8")
    scans = [simulate_demo_scan(seed=seed, shape=SHAPE).scan.frames.astype(np.uint32) for seed in range(4)]
    out, began, memory, children, sent = folder / "out", time.monotonic(), [], [], 0
    command = Command("watch", "--crystals", detector.uri, "--plan", str(plan), "-o", str(out), folder=out)
    try:
        while sent < n_scans and time.monotonic() - began < limit_s:
            _send(detector, sent + 1, scans[sent % len(scans)])
            sent += 1
            _await(command, out, sent - 1)
            need(not command.ended, "it ended early")
            memory.append(_memory_mib(command.process.pid))
            children.append(len(command.look()))
        _await(command, out, sent)
        until(lambda: command.ledger["seen"] >= detector.sent, "all frames are seen")
        seconds = time.monotonic() - began
        command.signal(signal.SIGINT)
        command.leave()
        counts = command.counts()[1]
    finally:
        command.end()
        detector.close()
    report.add("scans sent · final images · s", f"{sent} · {_finished(out)} · {seconds:.0f}", bar="all", met=True)
    exact = (counts.seen, counts.processed, counts.unsaved) == (detector.sent, detector.sent, 0)
    report.add("ledger", counts.sentence(), bar=f"{detector.sent}, none unsaved", met=exact)
    third = max(sent // 3, 1)
    middle, late = float(np.median(memory[third : 2 * third])), float(np.median(memory[-third:]))
    growth = late / middle - 1
    report.add("the watch's memory, last third against second", f"{growth:+.1%}", bar="2 %", met=growth < MEMORY_SHARE)
    report.add("the same, MiB", f"{middle:.1f} → {late:.1f}")
    report.add("processes beside it, most", f"{max(children)}")
    left = [block for block in command.memory if block.exists()]
    alive = [pid for pid in command.family if Path(f"/proc/{pid}").exists()]
    report.add(
        "left: processes · shared memory", f"{len(alive)} · {len(left)}", bar="0 · 0", met=not alive and not left
    )


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scans", type=int, default=SCANS, help="fewer is not the bar")
    parser.add_argument("--limit", type=float, default=float("inf"), help="send no more scans after so many seconds")


def main() -> None:
    """Watch the scans, print the bars."""
    given = arguments(__doc__, more=_own)
    n_scans = QUICK_SCANS if given.quick else given.scans
    report = Report(title="live scans: a day of rocking scans", quick=n_scans < SCANS or given.limit < float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        _watch(Path(folder), n_scans, given.limit, report)
    report.finish()


if __name__ == "__main__":
    main()
