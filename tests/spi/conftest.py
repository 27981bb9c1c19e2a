"""A stand-in for the model: quick, deterministic, and it remembers which frames it was asked about."""

import threading

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.records import FrameStatus, HitScores


class StandIn:
    """Scores a frame by its first pixel, where these tests write the frame's number (plus one)."""

    def __init__(self, *, stop_after=None, error=KeyboardInterrupt, name="stand-in 0123"):
        self.asked, self.masks, self.runs, self.threads = [], [], [], set()
        self.lock = threading.Lock()
        self.stop_after, self.error, self.name = stop_after, error, name

    def measure(self, frames, mask):
        return len(frames), int(frames.max(initial=0))

    def score(self, frames, mask, *, run):
        self.runs.append(run)
        if self.stop_after is not None and len(self.asked) + len(frames) > self.stop_after:
            raise self.error
        numbers = np.nan_to_num(frames[:, 0, 0].astype(np.float64)).astype(int) - 1
        with self.lock:  # batches are scored in several threads
            self.asked += numbers.tolist()
        self.masks.append(mask)
        self.threads.add(threading.current_thread().name)
        single = ((numbers * 37 % 100) / 99).astype(np.float32)
        status = np.where(numbers < 0, FrameStatus.CONSTANT, FrameStatus.SCORED).astype(np.uint8)
        return HitScores(
            single=np.where(numbers < 0, 0, single).astype(np.float32),
            fringes=(single * 5).astype(np.float32),
            out_of_distribution=(single**2 * 1.1).astype(np.float32),
            reject_band=np.abs(single - 0.5) < 0.1,
            good=(single > 0.7) & (numbers >= 0),
            status=status,
            model=self.name,
        )


class Refusing:
    """A model that can't take the frames at all."""

    name = "refusing"

    def measure(self, frames, mask):
        raise InputError("frames of (8, 8) are too small; at least 64 × 64 is needed")


@pytest.fixture(scope="session")
def stand_in():
    return StandIn


@pytest.fixture
def refusing():
    return Refusing()


@pytest.fixture
def numbered():
    """Return a maker of frames whose first pixel is their number plus one."""

    def make(count, shape=(12, 10), *, first=0, dtype=np.uint16):
        frames = np.random.default_rng(first + 1).poisson(2.0, (count, *shape)).astype(dtype)
        frames[:, 0, 0] = np.arange(first + 1, first + count + 1)
        return frames

    return make
