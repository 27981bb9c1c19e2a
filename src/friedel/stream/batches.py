"""Which batch is where: the account of the ring's slots, kept by the one process that owns it.

A batch is filled by the receiver, waits, goes to a scorer, perhaps to the writer, and its slot is free again. When the
ring is full, *the oldest waiting batch is dropped*, and its frames are counted. A batch that a scorer holds is never
dropped.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from friedel.stream.ledger import Ledger
from friedel.stream.shared import SharedBlock, free_bytes

# A slot is taken by a batch of any size, and held while its hits are written: few slots would soon be all taken.
_SLOTS, _FEWEST = 64, 8
# Of what shared memory is free, the ring takes at most this share: others need some too.
_SHARE = 0.7


class RingLayout(NamedTuple):
    """What another process needs to find its way: the memory's name, and how it is divided."""

    name: str
    n_slots: int
    frames_per_slot: int
    shape: tuple[int, int]
    dtype: str


class FrameRing:
    """Slots for batches of frames.

    Parameters
    ----------
    memory : SharedBlock
        The memory.
    layout : RingLayout
        How it is divided.
    """

    def __init__(self, memory: SharedBlock, layout: RingLayout) -> None:
        self.layout = layout
        self._memory = memory
        shape = (layout.n_slots, layout.frames_per_slot, *layout.shape)
        self._frames: NDArray[np.generic] | None = np.ndarray(shape, np.dtype(layout.dtype), memory.buffer)

    @property
    def n_bytes(self) -> int:
        """Memory of all slots."""
        return self._memory.size

    def slot(self, number: int) -> NDArray[np.generic]:
        """Return a slot's frames, ``(frames_per_slot, y, x)``: a view of the shared memory."""
        assert self._frames is not None, "the ring is closed"
        return self._frames[number]

    def close(self) -> None:
        """Let go of the memory. Views of it must not be used any more."""
        self._frames = None
        self._memory.close()


def make_ring(shape: tuple[int, int], dtype: np.dtype[np.generic], *, frames_per_slot: int, n_bytes: int) -> FrameRing:
    """Make a ring of at most ``n_bytes``; slots of large frames hold fewer of them, so that there are enough slots.

    Where less shared memory is free the ring is smaller.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a frame.
    dtype : dtype
        Of its pixels.
    frames_per_slot : int
        Most frames of a batch.
    n_bytes : int
        Most memory, bytes.

    Raises
    ------
    InputError
        If not even a few slots of one frame can be had.
    """
    frame_bytes = shape[0] * shape[1] * dtype.itemsize
    n_bytes = min(n_bytes, int(_SHARE * free_bytes()))
    frames_per_slot = min(frames_per_slot, max(n_bytes // (_SLOTS * frame_bytes), 1))
    slot_bytes = frames_per_slot * frame_bytes
    n_slots = max(n_bytes // slot_bytes, _FEWEST)
    memory = SharedBlock(n_bytes=n_slots * slot_bytes)
    return FrameRing(memory, RingLayout(memory.name, n_slots, frames_per_slot, shape, dtype.str))


def open_ring(layout: RingLayout) -> FrameRing:
    """Open a ring that another process made."""
    return FrameRing(SharedBlock(layout.name), layout)


OVERLOAD = "overload: the oldest waiting batch made room"
NO_ROOM = "overload: no batch waited that could make room"
ENDED = "the watch was stopped"
_LOOK_S = 0.1  # s; how often a receiver that waits for room looks whether the watch is being stopped


@dataclass(eq=False, kw_only=True)
class Batch:
    """Frames of one slot.

    Attributes
    ----------
    ticket : int
        A number that no other batch has.
    slot : int
        Where its frames lie.
    series : int
        Number of its series.
    numbers : (capacity,) int64
        The frames' numbers in the series; the first ``n`` count.
    timestamps, arrivals : (capacity,) float64
        The source's times, s since the epoch; times of arrival by the monotonic clock, s.
    n : int
        Frames in it.
    attempts : int
        Scorers it was given to.
    sample : bool
        Its frames are wanted for the run's constants: it isn't dropped.
    """

    ticket: int
    slot: int
    series: int
    numbers: NDArray[np.int64]
    timestamps: NDArray[np.float64]
    arrivals: NDArray[np.float64]
    n: int = 0
    attempts: int = 0
    sample: bool = False


@dataclass(eq=False)
class Batches:
    """The slots of one ring.

    Attributes
    ----------
    ring : FrameRing
        The memory.
    ledger : Ledger
        Counts what is dropped.
    sample_frames : int
        Number of first frames that are kept, even when the ring is full, until `release_sample`.
    patient : bool
        The source's frames can be read later: `put` waits for room and drops nothing.
    stopping : Event
        Once it is set, `put` no longer waits.
    """

    ring: FrameRing
    ledger: Ledger
    sample_frames: int = 0
    patient: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    sampled: int = 0
    _free: deque[int] = field(default_factory=deque)
    _waiting: deque[Batch] = field(default_factory=deque)
    _filling: Batch | None = None
    _tickets: int = 0

    def __post_init__(self) -> None:
        self._room = threading.Condition()
        self._free.extend(range(self.ring.layout.n_slots))

    @property
    def depth(self) -> int:
        """Batches that wait, the one being filled included."""
        return len(self._waiting) + (self._filling is not None)

    @property
    def idle(self) -> bool:
        """Whether every slot is free."""
        with self._room:
            return len(self._free) == self.ring.layout.n_slots

    def put(self, frames: NDArray[Any], numbers: NDArray[np.int64], *, series: int, timestamp: float) -> None:
        """Copy frames, counted as waiting already, into the ring; where it is full, make room.

        Parameters
        ----------
        frames : (n, y, x), the ring's dtype
            The frames.
        numbers : (n,) int64
            Their numbers in the series.
        series : int
            The series' number; a batch holds frames of one.
        timestamp : float
            The source's time, s since the epoch; NaN if it gives none.
        """
        arrival, done = time.monotonic(), 0
        while done < len(frames):
            with self._room:
                batch = self._open_batch(series)
                if batch is None:
                    self.ledger.dropped(len(frames) - done, ENDED if self.stopping.is_set() else NO_ROOM)
                    return
                done += self._fill(batch, frames[done:], numbers[done:], timestamp, arrival)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until a slot is free, at most so long; return whether one is."""
        with self._room:
            return self._room.wait_for(lambda: len(self._free) > 1, timeout_s)

    def take(self) -> Batch | None:
        """Return the oldest batch that waits, or the one being filled; None if there is nothing."""
        with self._room:
            if self._waiting:
                return self._waiting.popleft()
            batch, self._filling = self._filling, None
            return batch

    def give_back(self, batch: Batch) -> None:
        """Put a batch back, to be the next one taken."""
        with self._room:
            self._waiting.appendleft(batch)

    def free(self, batch: Batch) -> None:
        """Give a batch's slot free."""
        with self._room:
            self._free.append(batch.slot)
            self._room.notify_all()

    def sample(self) -> list[Batch]:
        """Return the batches that hold the sample, in order; they stay where they are."""
        with self._room:
            held = [*self._waiting, *([self._filling] if self._filling else [])]
            return [batch for batch in held if batch.sample]

    def release_sample(self) -> None:
        """Treat the sample's batches like all others from now on."""
        with self._room:
            self.sample_frames = 0
            for batch in (*self._waiting, *([self._filling] if self._filling else [])):
                batch.sample = False

    def drop_all(self, reason: str) -> None:
        """Drop whatever waits."""
        while (batch := self.take()) is not None:
            self.ledger.dropped(batch.n, reason)
            self.free(batch)

    def _open_batch(self, series: int) -> Batch | None:
        """Return the batch to fill next, closing the last one if it is full or of another series."""
        batch = self._filling
        if batch is not None and (batch.n == len(batch.numbers) or batch.series != series):
            self._waiting.append(batch)
            batch = self._filling = None
        if batch is None and (self._free or (self._came_free() if self.patient else self._shed())):
            batch = self._filling = self._new_batch(self._free.popleft(), series)
        return batch

    def _new_batch(self, slot: int, series: int) -> Batch:
        capacity = self.ring.layout.frames_per_slot
        self._tickets += 1
        return Batch(
            ticket=self._tickets,
            slot=slot,
            series=series,
            numbers=np.zeros(capacity, np.int64),
            timestamps=np.zeros(capacity),
            arrivals=np.zeros(capacity),
            sample=self.sampled < self.sample_frames,
        )

    def _fill(
        self, batch: Batch, frames: NDArray[Any], numbers: NDArray[np.int64], timestamp: float, arrival: float
    ) -> int:
        part = slice(batch.n, min(batch.n + len(frames), len(batch.numbers)))
        count = part.stop - part.start
        self.ring.slot(batch.slot)[part] = frames[:count]
        batch.numbers[part] = numbers[:count]
        batch.timestamps[part], batch.arrivals[part] = timestamp, arrival
        batch.n = part.stop
        self.sampled += count * batch.sample
        return count

    def _came_free(self) -> bool:
        """Wait for a free slot; return whether there is one, or the watch is being stopped."""
        while not self._free and not self.stopping.is_set():
            self._room.wait(_LOOK_S)
        return bool(self._free)

    def _shed(self) -> bool:
        """Drop the oldest waiting batch; return whether there was one."""
        for index, batch in enumerate(self._waiting):
            if not batch.sample:
                del self._waiting[index]
                self.ledger.dropped(batch.n, OVERLOAD)
                self._free.append(batch.slot)
                return True
        return False
