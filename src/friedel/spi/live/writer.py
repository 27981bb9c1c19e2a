"""The writing stage: a process that puts scores and selected frames into the run's files, and nothing else.

What is written is flushed, entered in the ledger, and only then acknowledged. If the process dies, another one goes on
in a new part with all that wasn't acknowledged. If the disk is full it says so for each batch it can't write, and goes
on as soon as there is room.
"""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import FriedelError
from friedel.spi.frames.emc import SparseFrame, sparse, to_photons, write_emc
from friedel.spi.live.growing import (
    DATA,
    GrowingRun,
    RunStart,
    ScoredFrames,
    mend,
    next_part,
    open_growing,
    parts,
    read_mask,
    read_numbers,
    require_room,
)
from friedel.spi.live.plan import KeepOptions
from friedel.stream.arrivals import among
from friedel.stream.batches import FrameRing, RingLayout, open_ring
from friedel.stream.ledger_file import Account, WrittenBatch
from friedel.stream.processes import Ready

STEM = "hits"
_BLOCK = 64  # frames read back at a time for Dragonfly's file
_RETRY_S = 1.0  # s after a refusal by the disk before a new part is tried
# What HDF5 and SQLite raise when the disk refuses.
_CANT = (OSError, RuntimeError, FriedelError)


@dataclass(frozen=True, eq=False)
class OpenPart:
    """Begin a part for these frames."""

    layout: RingLayout
    start: RunStart


@dataclass(frozen=True, eq=False)
class WriteBatch:
    """Write a batch: ``scored`` without its frames, which lie in the slot."""

    ticket: int
    slot: int | None
    scored: ScoredFrames


@dataclass(frozen=True)
class NoteLedger:
    """Add a row to the ledger in the file, and a line to the log."""

    row: tuple[float, ...]
    line: str


@dataclass(frozen=True)
class FinishFiles:
    """Close the file, and write the hits for Dragonfly."""


@dataclass(frozen=True)
class Flushed:
    """Batches are on disk, and in the ledger."""

    tickets: tuple[int, ...]


@dataclass(frozen=True)
class Refused:
    """Batches can't be written, and why."""

    tickets: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Finished:
    """All files are closed."""

    files: dict[str, str]
    refused: str = ""


@dataclass(frozen=True)
class Spoilt:
    """HDF5 can't close its file: the process leaves, and its successor mends the file."""


def run_writer(orders: Connection, folder: Path, options: KeepOptions, session: int) -> None:
    """Carry out orders until the pipe is closed; the main function of the writing process.

    Parameters
    ----------
    orders : Connection
        Brings `OpenPart`, `WriteBatch`, `NoteLedger` and `FinishFiles`; takes `Flushed`, `Refused` and `Finished`.
    folder : Path
        Of the results.
    options : KeepOptions
        What is written, and how often it is flushed.
    session : int
        The session's number in the ledger.
    """
    # HDF5 complains again, as each of its objects goes, of what a disk refused and was told already.
    sys.unraisablehook, sys.excepthook = _say_nothing, _say_nothing
    try:
        stage = _Stage(folder, options, session)
    except FriedelError as error:  # the folder is gone
        orders.send(Refused((), str(error)))
        return
    try:
        orders.send(Ready())
        while True:
            due = stage.until_flush()
            if due == 0.0 or not orders.poll(due):
                _send_all(orders, stage.flush())
            else:
                _send_all(orders, stage.obey(orders.recv()))
    finally:
        stage.close()
        if stage.spoilt:  # …and once more as Python ends, where no hook hears it
            os._exit(0)


def _say_nothing(*_: Any) -> None:
    """Leave it unsaid."""


def _send_all(orders: Connection, answers: list[Any]) -> None:
    for answer in answers:
        orders.send(answer)


class _Stage:
    """The open part, what in it isn't flushed, and what earlier parts hold."""

    def __init__(self, folder: Path, options: KeepOptions, session: int) -> None:
        self._folder, self._options, self._session = folder, options, session
        self._account = Account(folder)
        self._ring: FrameRing | None = None
        self._start: RunStart | None = None
        self._part: GrowingRun | None = None
        self._kept: dict[str, NDArray[np.int64]] = {}
        self._pending: list[tuple[int, WrittenBatch]] = []
        self._slots = 0
        self._flushed, self._noted = time.monotonic(), False
        self._refused, self._again = "", 0.0
        self.spoilt = False

    def obey(self, order: Any) -> list[Any]:
        """Carry out one order; return the answers."""
        match order:
            case OpenPart():
                return self._open(order)
            case WriteBatch():
                return self._answer(order)
            case NoteLedger():
                self._note(order)
            case FinishFiles():
                answers = self.flush()
                return [*answers, Spoilt() if self.spoilt else self._finish()]
        return []

    def until_flush(self) -> float | None:
        """Return after how long what is written must be flushed, s; None if there is nothing.

        Batches that hold slots of a small ring aren't kept waiting: the receiver needs the room.
        """
        if not self._pending and not self._noted:
            return None
        if self._ring is not None and self._slots >= max(self._ring.layout.n_slots // 4, 1):
            return 0.0
        return max(self._flushed + self._options.flush_s - time.monotonic(), 0.0)

    def flush(self) -> list[Any]:
        """Put on disk what is written, enter it in the ledger; return what is to be said."""
        pending, self._pending = self._pending, []
        self._flushed, self._noted, self._slots = time.monotonic(), False, 0
        tickets = tuple(ticket for ticket, _ in pending)
        try:
            if self._part is not None:
                self._part.flush()
            if pending:
                self._account.written(self._session, [batch for _, batch in pending])
        except _CANT as error:  # what isn't in the ledger isn't written: another part begins
            self._refuse(error)
            return [Refused(tickets, self._refused)] if tickets else []
        return [Flushed(tickets)] if tickets else []

    def close(self) -> None:
        """Close the part and let go of the ring."""
        self._abandon()
        self._account.close()
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _refuse(self, error: Exception) -> None:
        """Give up the part, and begin no other for `_RETRY_S`: on a full disk each batch would else leave a file."""
        self._abandon()
        self.spoilt = True
        if time.monotonic() >= self._again:
            self._refused, self._again = _reason(error), time.monotonic() + _RETRY_S

    def _abandon(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            with contextlib.suppress(OSError, RuntimeError):  # what it couldn't write before it can't write now
                part.close()

    def _open(self, order: OpenPart) -> list[Any]:
        answers = self.flush()
        self._abandon()
        if self._ring is not None:
            self._ring.close()
        self._ring, self._start = open_ring(order.layout), order.start
        self._kept = written_in(self._folder, self._account)
        return answers

    def _answer(self, order: WriteBatch) -> list[Any]:
        try:
            self._write(order)
        except _CANT as error:
            answers = self.flush()
            self._refuse(error)  # the part may hold some of the batch
            return [*answers, Refused((order.ticket,), self._refused)]
        return []

    def _write(self, order: WriteBatch) -> None:
        assert self._ring is not None
        assert self._start is not None
        if time.monotonic() < self._again:
            raise OSError(errno.ENOSPC, self._refused)
        if self._part is None:
            path, room = next_part(self._folder, STEM), self._options.keep_free_mb << 20
            require_room(self._folder, 1 << 20, keep_free=room)
            self._account.begin_part(self._session, path.name)
            self._part = GrowingRun(path, self._start, keep_free_bytes=room)
        scored = order.scored
        frames = None if order.slot is None else self._ring.slot(order.slot)[: len(scored.numbers)]
        picked = _picked(scored, ~among(scored.numbers, self._kept.get(scored.series)), frames)
        self._part.append(picked)
        self._slots += order.slot is not None
        batch = WrittenBatch(
            part=self._part.path.name, series=scored.series, numbers=picked.numbers,
            until=self._part.rows, pictures=self._part.pictures,
        )  # fmt: skip
        self._pending.append((order.ticket, batch))

    def _note(self, order: NoteLedger) -> None:
        try:
            with (self._folder / "watch.log").open("a", encoding="utf-8") as log:
                log.write(order.line + "\n")
            if self._part is not None:
                self._part.note_ledger(order.row)
                self._noted = True
        except _CANT:  # a full disk: the counts are still on the page, and come again with the next row
            return

    def _finish(self) -> Finished:
        self._abandon()
        refused = mend_parts(self._folder, self._account)
        files = {f"part {number}": str(path) for number, path in enumerate(parts(self._folder, STEM), start=1)}
        try:
            written = write_hits_emc(self._folder, self._options)
        except OSError as error:
            return Finished(files, _reason(error))
        return Finished(files | ({} if written is None else {"photons": str(written)}), refused)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


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


def written_in(folder: Path, account: Account) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of all frames that are written in a folder, sorted, by series.

    The ledger says so; of files that it doesn't know (older ones, or another's ledger) what they hold counts.

    Raises
    ------
    InputError
        If such a file is damaged.
    """
    found = {series: [numbers] for series, numbers in account.done().items()}
    known = account.parts()
    for path in parts(folder, STEM):
        if path.name not in known:
            for series, numbers in read_numbers(path).items():
                found.setdefault(series, []).append(numbers)
    return {series: np.unique(np.concatenate(some)) for series, some in found.items()}


def mend_parts(folder: Path, account: Account) -> str:
    """Make ordinary files of the parts whose writers were killed, without what isn't in the ledger.

    Returns
    -------
    str
        Why one couldn't be; empty if all could. It then stays as it was, and the next end of a watch tries again.
    """
    known, refused = account.parts(), ""
    for path in parts(folder, STEM):
        try:
            if path.name in known:
                rows, pictures = known[path.name]
                mend(path, rows=rows, pictures=pictures)
        except OSError as error:
            refused = f"{path.name} was left by a killed writer and can't be put in order ({_reason(error)})"
    return refused


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
            mask = read_mask(file)
            for first in range(0, len(data), _BLOCK):
                for frame in data[first : first + _BLOCK]:
                    yield sparse(to_photons(frame, mask, adu_per_photon=adu_per_photon))
