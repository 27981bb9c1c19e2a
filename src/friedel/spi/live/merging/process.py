"""The merging process: it reads the hits as they are written, lets the intensity grow, and sends what a page shows.

It reads files and holds no frame that another process waits for: a watch loses nothing by it, whatever becomes of it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from friedel.core.errors import FriedelError
from friedel.core.observer import Observer, Warned
from friedel.spi.live.merging.hits import WrittenHits, leave_detector
from friedel.spi.live.plan import LiveMergeOptions
from friedel.spi.live.view import MergeView
from friedel.spi.live.writer import STEM
from friedel.spi.merge.inputs import detector_for
from friedel.spi.merge.merge import sampled_pixels
from friedel.spi.orient.growing import GrowingMerge, Growth
from friedel.spi.orient.solve import OrientOptions
from friedel.stream.processes import Supervised, spawn

_POLL_S = 1.0  # s between two looks for new hits: the files are flushed twice a second
_BLOCK = 256  # hits read at a time
_NICER = 5  # about a third of the share of the processes that score and write: the intensity may wait, frames may not
_DEATHS = 3  # of the process before the watch goes on without it
_LEAVE_S = 1.0
_COVERAGE = (12, 24)
"""Cells of equal solid angle in the map of views: in the cosine of the polar angle, and in azimuth."""


@dataclass(frozen=True)
class CantMerge:
    """No merge can be made of these hits, and why."""

    reason: str


def run_merger(orders: Connection, folder: Path, options: LiveMergeOptions, adu_per_photon: float | None) -> None:
    """Merge what comes until the pipe is closed; the main function of the merging process.

    Parameters
    ----------
    orders : Connection
        Brings nothing; takes `MergeView` and `CantMerge`.
    folder : Path
        Of the watch.
    options : LiveMergeOptions
        Detector, symmetry, when to begin.
    adu_per_photon : float or None
        As for `WrittenHits`.
    """
    from friedel.core.machine.memory import keep_freed_memory

    keep_freed_memory()
    os.nice(_NICER)
    hits, growing, view = WrittenHits(folder, adu_per_photon), None, MergeView()
    held: list[sp.csr_matrix] = []
    try:
        while True:
            if orders.poll(_POLL_S):
                orders.recv()  # nothing is sent: this raises EOFError, when the watch has closed the pipe
            new = list(iter(lambda: hits.new(_BLOCK), None))
            held += new
            if growing is None and sum(part.shape[0] for part in held) >= options.first:
                growing = _begun(folder, options, sp.vstack(held, format="csr"))
            if growing is None:
                if new:
                    n_held, first = sum(part.shape[0] for part in held), options.first
                    text = f"It begins with {first} hits; so far there are {n_held}"
                    orders.send(replace(view, n_waiting=n_held, sentence=text))
                continue
            for photons in held:
                growing.add(photons)
            held.clear()
            if not len(view.counts):
                text = f"The first {growing.n_frames} hits are being oriented"
                orders.send(replace(view, n_waiting=growing.waiting, sentence=text))
            grown = growing.step()
            if grown is not None:
                view = _shown(view, grown)
            if new or grown is not None:
                view = replace(view, n_frames=growing.n_frames - growing.waiting, n_waiting=growing.waiting)
                orders.send(view)
    except FriedelError as error:
        orders.send(CantMerge(str(error)))
        while True:  # until the watch closes the pipe
            orders.recv()


def _begun(folder: Path, options: LiveMergeOptions, photons: sp.csr_matrix) -> GrowingMerge:
    if options.detector is None:
        leave_detector(folder)
    detector = detector_for(
        folder / f"{STEM}.emc", options.detector, distance=options.distance, polarisation=options.polarisation
    )
    pixels, _ = sampled_pixels(photons, detector)
    return GrowingMerge(pixels, OrientOptions(symmetry=options.symmetry, seed=options.seed), first=options.first)


def _shown(before: MergeView, grown: Growth) -> MergeView:
    return replace(
        before,
        sentence=grown.sentence,
        counts=np.append(before.counts, grown.n_frames),
        halves=np.append(before.halves, np.float32(grown.quality.mean_halves)),
        correlations=np.append(before.correlations, np.float32(grown.quality.mean_corrected)),
        slices=slices_of(grown.intensity),
        coverage=coverage_of(grown.views),
    )


def slices_of(intensity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the three slices through an intensity's origin, ``(3, n, n)``: logarithm, over four decades."""
    n = intensity.shape[0] // 2
    planes = np.stack([intensity[n], intensity[:, n], intensity[:, :, n]])
    top = float(np.percentile(planes, 99.8))
    decades = np.log10(np.clip(planes / max(top, 1e-30), 1e-4, 1.0))
    return np.rint(255 * (1 + decades / 4)).astype(np.uint8)


def coverage_of(views: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many frames looked along each cell of the sphere, ``(12, 24)``, cells of equal solid angle."""
    polar = np.clip((views[:, 2] + 1) / 2 * _COVERAGE[0], 0, _COVERAGE[0] - 1e-6).astype(int)
    turn = np.arctan2(views[:, 1], views[:, 0]) / (2 * np.pi) % 1.0
    azimuth = np.minimum((turn * _COVERAGE[1]).astype(int), _COVERAGE[1] - 1)
    counts = np.zeros(_COVERAGE, np.int64)
    np.add.at(counts, (polar, azimuth), 1)
    return counts


@dataclass(eq=False)
class Merger:
    """The merging process as the watch sees it.

    Attributes
    ----------
    folder : Path
        Of the watch.
    options : LiveMergeOptions
        Detector, symmetry, when to begin.
    adu_per_photon : float or None
        As for `WrittenHits`.
    observer : Observer
        Hears if it can't merge, or dies.
    wake : function
        Called, from a thread, when there is something to hear.
    view : MergeView
        What it has come to.
    """

    folder: Path
    options: LiveMergeOptions
    adu_per_photon: float | None
    observer: Observer
    wake: Callable[[], None]
    view: MergeView = field(default_factory=MergeView)
    _deaths: int = 0
    _process: Supervised | None = None

    def __post_init__(self) -> None:
        self._start()

    def hear(self) -> None:
        """Take what it has said; begin another process if it has died."""
        if self._process is None:
            return
        for answer in self._process.heard():
            if isinstance(answer, MergeView):
                self.view = answer
            elif isinstance(answer, CantMerge):
                self.observer(Warned("merge", f"the hits aren't merged: {answer.reason}"))
                self.view = replace(self.view, sentence=f"Not merged: {answer.reason}")
                self.stop()
                return
        if self._process.gone:
            self._deaths += 1
            self.stop()
            if self._deaths >= _DEATHS:
                self.observer(Warned("merge", f"the merging process died {_DEATHS} times: the watch goes on without"))
                self.view = replace(self.view, sentence="The merging process died; hits are kept and can be merged")
                return
            self.observer(Warned("merge", "the merging process died; another one begins with all hits"))
            self._start()

    def conclude(self, sentence: str) -> None:
        """End it, and leave these words behind what it had come to."""
        self.hear()
        self.stop()
        self.view = replace(self.view, n_waiting=0, sentence=f"{self.view.sentence}. {sentence}")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop(_LEAVE_S)
            self._process = None

    def _start(self) -> None:
        self._process = spawn(
            run_merger, self.folder, self.options, self.adu_per_photon, name="merges hits", wake=self.wake
        )
