"""Between receiver and scorers: what a series' frames are, and the ring made for them. Counts nothing."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.spi.live.plan import QueueOptions
from friedel.stream.batches import Batches, make_ring
from friedel.stream.ledger import Ledger
from friedel.stream.sources.events import Begun

_POLL_S = 0.05
SMALLEST = 64
"""`friedel.spi.hits.prepare.SMALLEST`, which can't be imported without torch: this process has no other need of it."""


class Intake:
    """The ring that fits the present series. The first frames of a series say what fits; a new series may differ.

    Parameters
    ----------
    ledger : Ledger
        Counts what the ring drops.
    options : QueueOptions
        Size of ring and sample.
    mask : (y, x) bool or None
        The mask given for all frames; the series' own narrows it.
    """

    def __init__(self, ledger: Ledger, options: QueueOptions, mask: NDArray[np.bool_] | None) -> None:
        self._ledger, self._options, self._given_mask = ledger, options, mask
        self._own_mask: NDArray[np.bool_] | None = None
        self._settled = False
        self.stopping = threading.Event()
        self.draining = False
        self.batches: Batches | None = None
        self.mask: NDArray[np.bool_] | None = None
        self.generation = 0

    def begin(self, begun: Begun) -> None:
        """Let the next frames say what fits."""
        self._own_mask, self._settled = begun.mask, False

    def mismatch(self, frames: NDArray[Any]) -> str:
        """Say why frames don't fit the series; empty if they do."""
        if frames.ndim != 3 or frames.dtype.kind not in "uif":
            return f"{frames.dtype} of {frames.ndim} axes is no frame"
        if min(frames.shape[1:]) < SMALLEST:
            return f"smaller than {SMALLEST} × {SMALLEST} pixels"
        if not self._settled:
            self._settle((frames.shape[1], frames.shape[2]), frames.dtype.newbyteorder("="))
        assert self.batches is not None
        layout = self.batches.ring.layout
        if frames.shape[1:] != layout.shape:
            return f"shape {tuple(frames.shape[1:])} where the series has {layout.shape}"
        if frames.dtype.newbyteorder("=") != np.dtype(layout.dtype):
            return f"{frames.dtype} where the series has {np.dtype(layout.dtype)}"
        return ""

    def accept(self, frames: NDArray[Any], numbers: NDArray[np.int64], *, series: int, timestamp: float) -> None:
        """Put frames into the ring."""
        assert self.batches is not None
        self.batches.put(frames, numbers, series=series, timestamp=timestamp)

    def room(self, timeout_s: float) -> bool:
        """Wait for a free slot; return whether there is one."""
        return self.batches is None or self.batches.wait_for_room(timeout_s)

    def _settle(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        mask = self._joined_mask(shape)
        before = None if self.batches is None else self.batches.ring.layout
        same = before is not None and (before.shape, np.dtype(before.dtype)) == (shape, dtype)
        if not same or not _equal(mask, self.mask):
            self._drain()
            ring = make_ring(shape, dtype, frames_per_slot=self._options.batch, n_bytes=self._options.memory_mb << 20)
            self.batches = Batches(ring, self._ledger, sample_frames=self._options.sample)
            self.mask = mask
            self.generation += 1
        self._settled = True

    def _drain(self) -> None:
        """Wait until the last ring is empty, then remove it."""
        if self.batches is None:
            return
        self.draining = True
        while not self.batches.idle and not self.stopping.wait(_POLL_S):
            pass
        self.draining = False
        self.batches.ring.close()

    def _joined_mask(self, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        masks = [mask for mask in (self._given_mask, self._own_mask) if mask is not None]
        for mask in masks:
            if mask.shape != shape:
                raise InputError(f"the mask is {mask.shape}, the frames are {shape}; give the mask of these frames")
        return np.logical_and.reduce(masks) if masks else None


def _equal(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
