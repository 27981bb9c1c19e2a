"""Doubles that processes of the live tests import by name: a scorer that needs no network, and made-up runs."""

import os
import signal
import time
from pathlib import Path

import h5py
import numpy as np

from friedel.spi.live import writer
from friedel.spi.live.growing import open_growing
from friedel.spi.live.plan import KeepOptions, QueueOptions, WatchPlan
from friedel.spi.records import HitScores
from friedel.stream.sources.events import Begun, Ended

EDGE = 64
"""The smallest frames there are: tests of the data path need no larger ones."""


class Brightness:
    """Scores a frame by its first pixel over 100; frames may carry orders to the process that scores them."""

    name = "brightness 1"
    slow_s = 0.0

    def measure(self, frames, mask):
        return {"n": len(frames), "sum": float(frames.sum(dtype=np.float64))}

    def score(self, frames, mask, *, run):
        assert run is not None
        time.sleep(self.slow_s)
        if (frames[:, 0, 1] == 666).any():
            _die_once(int(frames[frames[:, 0, 1] == 666][0, 0, 2]))
        if (frames[:, 0, 1] == 777).any():
            raise ValueError("frames no model can bear")
        single = np.clip(frames[:, 0, 0].astype(np.float32) / 100, 0, 1)
        n = len(frames)
        return HitScores(
            single=single, fringes=single * 10, out_of_distribution=np.zeros(n, np.float32),
            reject_band=(single > 0.4) & (single < 0.6),
            good=single >= 0.5, status=np.zeros(n, np.uint8), model=self.name,
        )  # fmt: skip


class SlowBrightness(Brightness):
    slow_s = 0.1


def _die_once(mark):
    """Kill this process, unless one has died of this mark already; mark 0 kills every time."""
    trace = Path(os.environ["FRIEDEL_TEST_TRACES"]) / str(mark)
    if mark and trace.exists():
        return
    trace.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def writer_that_dies_over_frame_70(orders, *arguments):
    """Run the writing process, which ends at once when it is to write this frame."""
    write = writer._Stage._write

    def die(stage, order):
        if 70 in order.scored.numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        write(stage, order)

    writer._Stage._write = die
    writer.run_writer(orders, *arguments)


def writer_that_is_dead(orders, *arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def brightness():
    return Brightness()


def slow_brightness():
    return SlowBrightness()


def frames(n, *, seed=0, edge=EDGE, dtype=np.uint16):
    """Return made-up frames; their first pixel, 0 … 99, is what `Brightness` goes by."""
    rng = np.random.default_rng(seed)
    made = rng.poisson(0.5, (n, edge, edge)).astype(dtype)
    made[:, 0, 0] = rng.integers(0, 100, n)
    made[:, 0, 1:3] = 0
    return made


def expected_hits(stack):
    return np.flatnonzero(stack[:, 0, 0] >= 50)


def write_run(path, stack):
    with h5py.File(path, "w") as file:
        file["entry_1/data_1/data"] = stack
    return path


def plan(tmp_path, uri, *, model="live_doubles:brightness", **more):
    queue = {"workers": 2, "batch": 16, "memory_mb": 4, "sample": 32, "settle_s": 0.5} | more.pop("queue", {})
    keep = {"flush_s": 0.05, "keep_free_mb": 0} | more.pop("keep", {})
    return WatchPlan(
        source=uri, model=model, output=tmp_path / "out", queue=QueueOptions(**queue), keep=KeepOptions(**keep), **more
    )


class Scripted:
    """A source that tells what it is given; a number is a pause in seconds, a function is called."""

    uri = "scripted://"

    def __init__(self, *events, patient=False):
        self.patient = patient
        self._events = [Begun(series="s", lasting=True), *events]

    def open(self):
        pass

    def receive(self, timeout_s):
        if not self._events:
            return Ended()
        event = self._events.pop(0)
        if isinstance(event, float):
            time.sleep(min(event, timeout_s))
            if event > timeout_s:
                self._events.insert(0, event - timeout_s)
            return None
        if callable(event):
            event()
            return None
        return event

    def close(self):
        pass


def rows(path):
    with open_growing(path) as file:  # also what a killed writer left
        return file["entry_1/result_1/number"][()]
