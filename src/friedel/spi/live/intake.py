"""Between receiver and scorers: what a series' frames are, and the ring made for them. Counts nothing."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.observer import Observer, Warned
from friedel.spi.live.plan import QueueOptions
from friedel.stream.batches import Batches, make_ring
from friedel.stream.ledger import Ledger
from friedel.stream.sources.events import Begun

_POLL_S = 0.05  # s between two looks whether the last ring is empty, when frames of another shape come
SMALLEST = 64
"""`SMALLEST` of `friedel.spi.hits.preparation.prepare`, repeated because that imports torch, which this process has no
other need of."""


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
    observer : Observer
        Hears if memory is short.
    """

    def __init__(
        self, ledger: Ledger, options: QueueOptions, mask: NDArray[np.bool_] | None, observer: Observer
    ) -> None:
        self._observer = observer
        self._ledger, self._options, self._given_mask = ledger, options, mask
        self._own_mask: NDArray[np.bool_] | None = None
        self._settled = False
        self.stopping = threading.Event()
        self.draining = self.patient = False
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
        shape = (frames.shape[1], frames.shape[2])
        if not self._settled and (reason := self._mask_mismatch(shape)):
            return reason
        if not self._settled:
            self._settle(shape, frames.dtype.newbyteorder("="))
        assert self.batches is not None
        layout = self.batches.ring.layout
        if frames.shape[1:] != layout.shape:
            return f"shape {tuple(frames.shape[1:])} where the series has {layout.shape}"
        if frames.dtype.newbyteorder("=") != np.dtype(layout.dtype):
            return f"{frames.dtype} where the series has {np.dtype(layout.dtype)}"
        return ""

    def accept(self, frames: NDArray[Any], numbers: NDArray[np.int64], *, series: int, timestamp: float) -> None:
        """Put frames into the ring; see `FrameKind`.

        Parameters
        ----------
        frames, numbers, series, timestamp
            As for `friedel.stream.batches.Batches.put`.
        """
        assert self.batches is not None
        self.batches.put(frames, numbers, series=series, timestamp=timestamp)

    def room(self, timeout_s: float) -> bool:
        """Wait for a free slot; return whether there is one."""
        return self.batches is None or self.batches.wait_for_room(timeout_s)

    def _settle(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        mask = self._joined_mask()
        before = None if self.batches is None else self.batches.ring.layout
        same = before is not None and (before.shape, np.dtype(before.dtype)) == (shape, dtype)
        if not same or not _equal(mask, self.mask):
            self._drain()
            wanted = self._options.memory_mb << 20
            ring = make_ring(shape, dtype, frames_per_slot=self._options.batch, n_bytes=wanted)
            if ring.n_bytes < wanted // 2:
                text = f"{ring.n_bytes >> 20} MiB of it for frames that wait, where the plan says {wanted >> 20}"
                self._observer(Warned("shared memory", f"is short: {text}; overload will come sooner"))
            self.batches = Batches(
                ring, self._ledger, sample_frames=self._options.sample, patient=self.patient, stopping=self.stopping
            )
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

    def _mask_mismatch(self, shape: tuple[int, int]) -> str:
        """Say whose mask doesn't fit frames of this shape; empty if they do.

        Raises
        ------
        InputError
            If it is the given one, and no frame has come that it fits.
        """
        for whose, mask in (("source's", self._own_mask), ("given", self._given_mask)):
            if mask is None or mask.shape == shape:
                continue
            text = f"the {whose} mask is {mask.shape}, the frames are {shape}"
            if whose == "given" and self.batches is None:
                raise InputError(f"{text}; give the mask of these frames")
            return text
        return ""

    def _joined_mask(self) -> NDArray[np.bool_] | None:
        masks = [mask for mask in (self._given_mask, self._own_mask) if mask is not None]
        return np.logical_and.reduce(masks) if masks else None


def _equal(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
