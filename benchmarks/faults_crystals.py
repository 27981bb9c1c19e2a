"""The campaign's faults of a crystal watch: its imaging process killed or stopped, the watch ended at any moment.

The scan is written frame by frame as a beamline writes it; a random moment may lie in the scan or in its final image.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from faults_watch import Command, need, until

from friedel.bcdi.live.demo import RockingBeamline, rocking_beamline

Rng = np.random.Generator
_SHAPE = (48, 48, 48)
_FRAMES_PER_S = 16.0
# Short, and still some seconds in which the final image can be struck.
_FINAL = {"start": "random", "starts": 1, "schedule": "300*HIO+20*ER", "rounds": 1}


class _Beamtime:
    """A scan that is being written, and the watch of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.out = folder / "out"
        self.beamline: RockingBeamline = rocking_beamline(self.out, seed=seed, shape=_SHAPE)
        plan = self.beamline.plan
        quick = {"phasing": plan.phasing.read(_FINAL), "images": plan.images.read({"model": None})}
        self._plan = folder / "plan.yaml"
        self._plan.write_text(plan.model_copy(update=quick).text())

    def watch(self) -> Command:
        return Command("watch", "--crystals", "--plan", str(self._plan), folder=self.out)

    def until_final(self, command: Command) -> None:
        """Wait for the final image of the scan."""
        until(lambda: command.ended or list(self.out.rglob("*.cxi")), "the final image is there")
        until(lambda: command.ended or not self._unfinished(), "it is whole")

    def ended(self, command: Command, *, code: int = 0) -> None:
        """Make sure that it left as it should, and nothing half-written."""
        said = command.leave()
        need(command.process.returncode == code, f"exit code {command.process.returncode}: {said[-300:]}")
        need(not self._unfinished(), "something half-written is left")

    def _unfinished(self) -> list[Path]:
        return [path for path in self.out.rglob("*unfinished*") if "beamline" not in path.parts]


def kill_imager(rng: Rng, folder: Path) -> None:
    """Kill the imaging process: its successor has every frame, and the final image comes."""
    _through(rng, folder, lambda pid: os.kill(pid, signal.SIGKILL))


def stop_imager(rng: Rng, folder: Path) -> None:
    """Stop the imaging process for a while: the scan is received all the same."""

    def pause(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(float(rng.uniform(0.5, 3)))
        os.kill(pid, signal.SIGCONT)

    _through(rng, folder, pause)


def _through(rng: Rng, folder: Path, strike: Callable[[int], None]) -> None:
    scan = _Beamtime(folder, int(rng.integers(1000)))
    n = _SHAPE[0]
    command = scan.watch()
    try:
        with scan.beamline.running(_FRAMES_PER_S) as go:
            go.set()
            command.until_scored(int(rng.integers(1, n + 1)))
            until(lambda: command.ended or command.look(), "an imaging process is there")
            for pid in command.look().values():
                strike(pid)
            scan.until_final(command)
        command.look()
        command.signal(signal.SIGINT)
        scan.ended(command)
        counts = command.counts()[1]
    finally:
        command.end()
    need((counts.seen, counts.processed, counts.unsaved) == (n, n, 0), counts.sentence())


def end_scan(rng: Rng, folder: Path) -> None:
    """End the watch by Ctrl-C, SIGTERM or SIGHUP in the scan or its final image: cleanly, all frames accounted for."""
    scan = _Beamtime(folder, int(rng.integers(1000)))
    command = scan.watch()
    try:
        with scan.beamline.running(_FRAMES_PER_S) as go:
            go.set()
            command.until_scored(int(rng.integers(1, _SHAPE[0] + 1)))
            time.sleep(float(rng.uniform(0, 1)))
            command.look()
            command.signal(int(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])))
            scan.ended(command)
        command.counts()
    finally:
        command.end()


def kill_and_see_again(rng: Rng, folder: Path) -> None:
    """Kill everything in the scan or its final image; the same command makes the final image."""
    scan = _Beamtime(folder, int(rng.integers(1000)))
    command = scan.watch()
    second = None
    try:
        with scan.beamline.running(_FRAMES_PER_S) as go:
            go.set()
            command.until_scored(int(rng.integers(1, _SHAPE[0] + 1)))
            for pid in [command.process.pid, *command.look().values()]:
                os.kill(pid, signal.SIGKILL)
            second = scan.watch()
            scan.until_final(second)
        second.look()
        second.signal(signal.SIGINT)
        scan.ended(second)
        counts = second.counts()
    finally:
        for one in (command, second):
            if one is not None:
                one.end()
    last = counts[max(counts)]
    need((last.seen, last.processed, last.unsaved) == (_SHAPE[0], _SHAPE[0], 0), last.sentence())


CRYSTALS = (kill_imager, end_scan, kill_and_see_again, stop_imager)
