"""The writing stage: a process that puts scores and selected frames into the run's files, and nothing else.

If it dies, another one goes on in a new part; it first reads what the earlier parts hold, so nothing is written twice.
If the disk is full it says so for each batch it can't write, and goes on as soon as there is room.
"""

import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import FriedelError
from friedel.spi.frames.emc import SparseFrame, sparse, to_photons, write_emc
from friedel.spi.live.plan import KeepOptions
from friedel.spi.scores.growing_run import (
    DATA,
    GrowingRun,
    RunStart,
    ScoredFrames,
    next_part,
    open_growing,
    parts,
    read_numbers,
)
from friedel.stream.arrivals import among
from friedel.stream.batches import FrameRing, RingLayout, open_ring

STEM = "hits"
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Open:
    """Begin a part for these frames."""

    layout: RingLayout
    start: RunStart


@dataclass(frozen=True, eq=False)
class Write:
    """Write a batch: ``scored`` without its frames, which lie in the slot."""

    ticket: int
    slot: int | None
    scored: ScoredFrames


@dataclass(frozen=True)
class NoteLedger:
    """Add a row to the ledger in the file, and a line to the log."""

    row: tuple[float, ...]
    line: str


@dataclass(frozen=True, eq=False)
class Finish:
    """Close the file, write the hits for Dragonfly and the summary."""

    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """A batch is written, or not: then ``refused`` says why."""

    ticket: int
    refused: str = ""


@dataclass(frozen=True)
class Begun:
    """The process is there."""


@dataclass(frozen=True)
class Finished:
    """All files are closed."""

    files: dict[str, str]
    refused: str = ""


def run_writer(orders: Connection, folder: Path, options: KeepOptions) -> None:
    """Carry out orders until the pipe is closed; the main function of the writing process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stage = _Stage(folder, options)
    try:
        orders.send(Begun())
        while True:
            wait = stage.until_flush()
            if not orders.poll(wait):
                stage.flush()
            elif (answer := stage.obey(orders.recv())) is not None:
                orders.send(answer)
    except (EOFError, OSError):  # the other end is closed
        pass
    finally:
        stage.close()


class _Stage:
    """The open part, and what earlier parts hold."""

    def __init__(self, folder: Path, options: KeepOptions) -> None:
        self._folder, self._options = folder, options
        self._ring: FrameRing | None = None
        self._start: RunStart | None = None
        self._part: GrowingRun | None = None
        self._kept: dict[str, NDArray[np.int64]] = {}
        self._flushed, self._dirty = time.monotonic(), False

    def obey(self, order: Any) -> Any:
        """Carry out one order; return the answer, if it has one."""
        match order:
            case Open():
                self._open(order)
            case Write():
                return self._answer(order)
            case NoteLedger():
                self._note(order)
            case Finish():
                return self._finish(order.summary)
        return None

    def until_flush(self) -> float | None:
        """Return after how long what is written must be made visible, s; None if there is nothing."""
        return max(self._flushed + self._options.flush_s - time.monotonic(), 0.0) if self._dirty else None

    def flush(self) -> None:
        """Make visible what is written."""
        if self._part is not None:
            self._part.flush()
        self._flushed, self._dirty = time.monotonic(), False

    def close(self) -> None:
        """Close the part and let go of the ring."""
        if self._part is not None:
            self._part.close()
            self._part = None
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _open(self, order: Open) -> None:
        self.close()
        self._ring, self._start = open_ring(order.layout), order.start
        self._kept = numbers_in(self._folder)

    def _answer(self, order: Write) -> Written:
        try:
            self._write(order)
        except (OSError, FriedelError) as error:
            return Written(order.ticket, str(getattr(error, "strerror", None) or error))
        return Written(order.ticket)

    def _write(self, order: Write) -> None:
        assert self._ring is not None
        assert self._start is not None
        if self._part is None:
            room = self._options.keep_free_mb << 20
            self._part = GrowingRun(next_part(self._folder, STEM), self._start, keep_free_bytes=room)
        scored = order.scored
        frames = None if order.slot is None else self._ring.slot(order.slot)[: len(scored.numbers)]
        known = among(scored.numbers, self._kept.get(scored.series))
        self._part.append(_picked(scored, ~known, frames))
        self._dirty = True
        if self.until_flush() == 0.0:
            self.flush()

    def _note(self, order: NoteLedger) -> None:
        try:
            with (self._folder / "watch.log").open("a", encoding="utf-8") as log:
                log.write(order.line + "\n")
            if self._part is not None:
                self._part.note_ledger(order.row)
                self._dirty = True
        except OSError:  # a full disk: the counts are still on the page, and come again with the next row
            return

    def _finish(self, summary: Mapping[str, Any]) -> Finished:
        self.close()
        files = {f"part {number}": str(path) for number, path in enumerate(parts(self._folder, STEM), start=1)}
        try:
            path = self._folder / "summary.json"
            path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
            files["summary"] = str(path)
            written = write_hits_emc(self._folder, self._options)
        except OSError as error:
            return Finished(files, str(error.strerror or error))
        return Finished(files | ({} if written is None else {"photons": str(written)}))


def _picked(scored: ScoredFrames, fresh: NDArray[np.bool_], frames: NDArray[Any] | None) -> ScoredFrames:
    return ScoredFrames(
        numbers=scored.numbers[fresh],
        series=scored.series,
        timestamps=scored.timestamps[fresh],
        arrivals=scored.arrivals[fresh],
        scores=scored.scores[fresh],
        selected=scored.selected[fresh],
        frames=None if frames is None else frames[scored.selected & fresh],
    )


def numbers_in(folder: Path) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of all frames that a folder's parts have scores of, sorted, by series.

    Raises
    ------
    InputError
        If a part is damaged.
    """
    found: dict[str, list[NDArray[np.int64]]] = {}
    for path in parts(folder, STEM):
        for series, numbers in read_numbers(path).items():
            found.setdefault(series, []).append(numbers)
    return {series: np.unique(np.concatenate(some)) for series, some in found.items()}


def write_hits_emc(folder: Path, options: KeepOptions) -> Path | None:
    """Write the selected frames of all parts for Dragonfly; None if there are none, or they aren't photons.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    adu, found = options.emc.adu_per_photon, _frames_in(folder)
    if not options.emc.write or not found:
        return None
    (shape, kind), n_frames = next(iter(found)), sum(found.values())
    if len(found) > 1 or (adu is None and kind not in "iu"):
        return None
    path = folder / f"{STEM}.emc"
    write_emc(path, _photons(folder, adu or 1.0), n_frames=n_frames, n_pixels=shape[0] * shape[1])
    return path


def _frames_in(folder: Path) -> dict[tuple[tuple[int, int], str], int]:
    """Return the number of selected frames in the parts, by shape and kind of number."""
    found: dict[tuple[tuple[int, int], str], int] = {}
    for path in parts(folder, STEM):
        with open_growing(path) as file:
            data = file[f"{DATA}/data"]
            key = (data.shape[1:], data.dtype.kind)
            found[key] = found.get(key, 0) + len(data)
    return {key: count for key, count in found.items() if count}


def _photons(folder: Path, adu_per_photon: float) -> Iterator[SparseFrame]:
    for path in parts(folder, STEM):
        with open_growing(path) as file:
            data = file[f"{DATA}/data"]
            mask = file[f"{DATA}/mask"][()] == 0 if f"{DATA}/mask" in file else None
            for first in range(0, len(data), _BLOCK):
                for frame in data[first : first + _BLOCK]:
                    yield sparse(to_photons(frame, mask, adu_per_photon=adu_per_photon))
