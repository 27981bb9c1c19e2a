"""Frames in shared memory: each is written once, by the receiver, and read where it lies by every later stage.

The ring is a row of slots, each with room for a batch. Which slot is whose is not written here: the one process that
owns the ring keeps account (`friedel.live.batches`), the others touch only slots they were handed.
"""

import contextlib
from multiprocessing import shared_memory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from friedel.live.display import attach

# A slot is taken by a batch of any size, and held while its hits are written: few slots would soon be all taken.
_SLOTS, _FEWEST = 64, 8


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
    memory : SharedMemory
        The memory.
    layout : RingLayout
        How it is divided.
    owner : bool
        Remove the memory on `close`.
    """

    def __init__(self, memory: shared_memory.SharedMemory, layout: RingLayout, *, owner: bool) -> None:
        self.layout = layout
        self._memory, self._owner = memory, owner
        shape = (layout.n_slots, layout.frames_per_slot, *layout.shape)
        self._frames: NDArray[np.generic] | None = np.ndarray(shape, np.dtype(layout.dtype), memory.buf)

    def slot(self, number: int) -> NDArray[np.generic]:
        """Return a slot's frames, ``(frames_per_slot, y, x)``: a view of the shared memory."""
        assert self._frames is not None, "the ring is closed"
        return self._frames[number]

    def close(self) -> None:
        """Let go of the memory. Views of it must not be used any more."""
        self._frames = None
        with contextlib.suppress(BufferError):  # a view is still alive; the memory goes with it
            self._memory.close()
        if self._owner:
            self._memory.unlink()
            self._owner = False


def make_ring(shape: tuple[int, int], dtype: np.dtype[np.generic], *, frames_per_slot: int, n_bytes: int) -> FrameRing:
    """Make a ring of at most ``n_bytes``; slots of large frames hold fewer of them, so that there are enough slots."""
    frame_bytes = shape[0] * shape[1] * dtype.itemsize
    frames_per_slot = min(frames_per_slot, max(n_bytes // (_SLOTS * frame_bytes), 1))
    slot_bytes = frames_per_slot * frame_bytes
    n_slots = max(n_bytes // slot_bytes, _FEWEST)
    memory = shared_memory.SharedMemory(create=True, size=n_slots * slot_bytes)
    return FrameRing(memory, RingLayout(memory.name, n_slots, frames_per_slot, shape, dtype.str), owner=True)


def open_ring(layout: RingLayout) -> FrameRing:
    """Open a ring that another process made."""
    return FrameRing(attach(layout.name), layout, owner=False)
