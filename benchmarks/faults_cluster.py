"""The campaign's faults of several machines: Dask's scheduler and workers, processes of loopback, killed or cut off.

A watch goes on without a frame lost, on the workers that are left or on its own machine; files are classified by what
is left, or by the same command given again.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from faults_peer import free_port, write_run
from faults_watch import HERE, ROOMY_S, WatchCommand, need, until

Rng = np.random.Generator
FRAMES, RATE = 240, 100
FILES, EACH = 4, 60
_LONGEST_CUT_S = 8.0  # well below what a watch takes for a lost scheduler


class Machines:
    """A scheduler of Dask and two workers, each a process of its own that nobody starts again."""

    def __init__(self) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-show")
        self.workers = [
            self._start("dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
            for _ in range(2)
        ]

    def __enter__(self) -> "Machines":
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    @staticmethod
    def _start(program: str, *words: str) -> "subprocess.Popen[bytes]":
        search = os.pathsep.join([str(HERE), *(entry for entry in sys.path if entry)])
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *words],
            env=os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def worker_killed(rng: Rng, folder: Path) -> None:
    """Kill one of two workers under a watch: the other scores what it had."""
    _watch_through(rng, folder, lambda machines: machines.workers[int(rng.integers(2))].kill())


def all_workers_killed(rng: Rng, folder: Path) -> None:
    """Kill both workers under a watch: scoring goes on on its own machine."""

    def kill(machines: Machines) -> None:
        for worker in machines.workers:
            worker.kill()

    _watch_through(rng, folder, kill)


def scheduler_killed(rng: Rng, folder: Path) -> None:
    """Kill the scheduler under a watch: scoring goes on on its own machine."""
    _watch_through(rng, folder, lambda machines: machines.scheduler.kill())


def network_cut(rng: Rng, folder: Path) -> None:
    """Let scheduler or a worker be unheard for some seconds: what waited for it is scored then, or by another."""

    def cut(machines: Machines) -> None:
        process = (machines.scheduler, *machines.workers)[int(rng.integers(3))]
        process.send_signal(signal.SIGSTOP)
        time.sleep(float(rng.uniform(1, _LONGEST_CUT_S)))
        process.send_signal(signal.SIGCONT)

    _watch_through(rng, folder, cut)


def _watch_through(rng: Rng, folder: Path, strike: Callable[[Machines], None]) -> None:
    uri = f"file://{write_run(folder / 'run.h5', FRAMES)}?rate={RATE}"
    with Machines() as machines:
        command = WatchCommand(uri, folder / "out", "--set", f"cluster.scheduler={machines.address}")
        try:
            command.until_scored(int(rng.integers(1, FRAMES // 2)))
            strike(machines)
            said = command.leave()
            need(command.process.returncode == 0, f"exit code {command.process.returncode}: {said[-300:]}")
            counts = command.check(FRAMES)
        finally:
            command.end()
    need(counts.processed == FRAMES and not counts.unsaved, counts.sentence())


def many_files(rng: Rng, folder: Path) -> None:
    """Kill a worker or the scheduler while files are classified; then the same command without: each frame once."""
    runs = [write_run(folder / f"run{number}.h5", EACH, seed=number) for number in range(FILES)]
    words = ["classify", *map(str, runs), "-o", str(folder / "out")]
    with Machines() as machines:
        first = _friedel(*words, "--set", f"cluster.scheduler={machines.address}")
        try:
            time.sleep(float(rng.uniform(2, 12)))
            victim = (machines.scheduler, *machines.workers)[int(rng.integers(3))]
            victim.kill()
            out, err = first.communicate(timeout=ROOMY_S)
        finally:
            first.kill()
    need("Traceback" not in err, f"a traceback: {err[-1500:]}")
    need(first.returncode in (0, 2), f"exit code {first.returncode}: {(out + err)[-300:]}")
    if first.returncode == 2:
        need("again" in err, f"it doesn't say how to go on: {err[-300:]}")
    second = _friedel(*words)
    out, err = second.communicate(timeout=ROOMY_S)
    need(second.returncode == 0, f"the second: {(out + err)[-300:]}")
    summary = json.loads((folder / "out" / "summary.json").read_text())
    need(summary["frames"] == FILES * EACH, f"{summary['frames']} frames in the results, {FILES * EACH} in the files")
    until(lambda: not list((folder / "out").glob("*unfinished*")), "half-written results go", 1.0)


def _friedel(*words: str) -> "subprocess.Popen[str]":
    search = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(
        [sys.executable, "-c", "from friedel.cli.main import main; main()", *words],
        env=os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


CLUSTER = (worker_killed, scheduler_killed, many_files, all_workers_killed, network_cut)
