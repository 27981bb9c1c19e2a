"""The writing process as the watch sees it: hand over batches, hear what is on disk, replace it if it dies.

A batch is let go of only when the process says that it is flushed: until then a successor gets it again. If too many
wait, or the writer can't write, frames count as unsaved: scoring never waits for a disk.

When it dies a second time with nothing flushed between, its successors get one batch at a time: so the one over which
they die is found, and counted as unsaved after the third death. If they go on dying the watch ends.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from friedel.core.errors import FriedelError
from friedel.core.observer import Observer, Warned
from friedel.spi.live.plan import KeepOptions
from friedel.spi.live.writer import (
    Finished,
    FinishFiles,
    Flushed,
    NoteLedger,
    OpenPart,
    Refused,
    Spoilt,
    WriteBatch,
    run_writer,
)
from friedel.stream.batches import Batch
from friedel.stream.ledger import Ledger
from friedel.stream.processes import Supervised, spawn

_MOST_WAITING = 4096  # batches handed over and not yet on disk; beyond, frames count as unsaved
# Deaths with nothing flushed between. After so many the batch over which it died is given up (two can be accidents);
# after twice as many, or when there was no batch, the next won't do better.
_DEATHS = 3
_SUSPECT = _DEATHS - 1  # deaths after which its successor gets one batch at a time
_LIVED_S = 60.0  # s; the death of one that lived so long stands alone, whatever it had flushed
_LEAVE_S = 10.0  # s to close its files before it is killed
# s that a writer may stand still (SIGSTOP) with batches to write; then another writes what it hasn't. Once the watch is
# to end, well below the time for the drain. Choices.
_STILL_S, _STILL_AT_END_S = 10.0, 2.0
_GLANCE_S = 0.5  # s between two looks whether it does


@dataclass(eq=False)
class _Job:
    order: WriteBatch
    batch: Batch | None


@dataclass(eq=False)
class WriterClient:
    """The writing process.

    Attributes
    ----------
    folder : Path
        Where it writes.
    options : KeepOptions
        What it writes.
    session : int
        Of the ledger.
    ledger : Ledger
        Counts what isn't written.
    observer : Observer
        Hears why.
    free : function
        Called with a batch whose frames aren't needed any more.
    wake : function
        Called, from a thread, when there is something to hear.
    finished : Finished or None
        What the process said when all files were closed.
    refused : str
        Why nothing can be written just now; empty if it can.
    """

    folder: Path
    options: KeepOptions
    session: int
    ledger: Ledger
    observer: Observer
    free: Callable[[Batch], None]
    wake: Callable[[], None]
    finished: Finished | None = None
    refused: str = ""
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _open: OpenPart | None = None
    _finishing: FinishFiles | None = None
    _deaths: int = 0
    _held: deque[_Job] = field(default_factory=deque)
    _began: float = 0.0
    _over: str = ""
    _still_since: float | None = None
    _look_again: float = 0.0
    _ending: bool = False
    _unusable: str = ""

    def __post_init__(self) -> None:
        self.process: Supervised = self._started()

    @property
    def ready(self) -> bool:
        """Whether the process is there."""
        return self.process.ready

    @property
    def idle(self) -> bool:
        """Whether everything handed over is on disk or given up."""
        return not self._jobs

    def open(self, order: OpenPart) -> None:
        """Begin a part for another kind of frames; everything must be written before."""
        self._open = order
        self.process.tell(order)

    def write(self, order: WriteBatch, batch: Batch | None) -> None:
        """Hand over a batch; ``batch`` is given free when its frames are on disk."""
        job = _Job(order, batch)
        if self._over or len(self._jobs) >= _MOST_WAITING:
            self._give_up(job, self._over or "the disk can't keep up")
            return
        self._jobs[order.ticket] = job
        self._held.append(job)
        self._go_on()

    def note(self, order: NoteLedger) -> None:
        """Hand over a row of the ledger."""
        self.process.tell(order)

    def hurry(self) -> None:
        """From now on soon replace a process that stands still: the watch is to end."""
        self._ending = True

    def finish(self, order: FinishFiles) -> None:
        """Have all files closed; `finished` then says which there are."""
        self._ending = True
        self._finishing = order
        for job in self._held:  # those of a writer that dies over one of them
            self._give_up(self._jobs.pop(job.order.ticket), "the watch was stopped")
        self._held.clear()
        if self._over:
            self._renew()
        else:
            self.process.tell(order)

    def give_up_all(self, reason: str) -> None:
        """Count all that isn't acknowledged as unsaved."""
        for job in self._jobs.values():
            self._give_up(job, reason)
        self._jobs.clear()
        self._held.clear()

    def hear(self) -> None:
        """Take its answers; if it is dead, start another.

        Raises
        ------
        FriedelError
            If one after another dies.
        """
        for answer in self.process.heard():
            match answer:
                case Flushed():
                    self._deaths = 0
                    self._unusable = ""
                    for ticket in answer.tickets:
                        self._acknowledge(ticket)
                case Refused():
                    self._unusable = "" if answer.tickets else answer.reason
                    for ticket in answer.tickets:
                        self._give_up(self._jobs.pop(ticket, None), answer.reason)
                case Finished():
                    self.finished = answer
                case Spoilt():
                    self._renew()
                    return
        if self.process.gone and self.finished is None and not self._over:
            self._replace()
        elif self.finished is None and (self._ending or self._jobs) and self._stands_still():
            self.observer(Warned("results", "the writing process was stopped; another writes what it hadn't yet"))
            self._renew()
        self._go_on()

    @property
    def gone(self) -> bool:
        """Whether it has died so often that there is no other, nor any answer to come."""
        return bool(self._over) and self.process.gone

    def stop(self) -> None:
        """End the process."""
        self.process.stop(_LEAVE_S)

    def _stands_still(self) -> bool:
        now = time.monotonic()
        if now >= self._look_again:
            self._look_again = now + _GLANCE_S
            if not self.process.halted:
                self._still_since = None
            elif self._still_since is None:
                self._still_since = now
        patience = _STILL_AT_END_S if self._ending else _STILL_S
        return self._still_since is not None and now - self._still_since > patience

    def _started(self) -> Supervised:
        self._began = time.monotonic()
        return spawn(run_writer, self.folder, self.options, self.session, name="friedel writer", wake=self.wake)

    def _acknowledge(self, ticket: int) -> None:
        job = self._jobs.pop(ticket, None)
        if self.refused:
            self.observer(Warned("results", "are being written again"))
            self.refused = ""
        if job is not None and job.batch is not None:
            self.free(job.batch)

    def _give_up(self, job: _Job | None, reason: str) -> None:
        if job is None:
            return
        self.ledger.unsaved(len(job.order.scored.numbers))
        if not self.refused:
            text = f"{self.folder}: not written: {reason}; scoring goes on, losses are counted"
            self.observer(Warned("results", text))
        self.refused = reason
        if job.batch is not None:
            self.free(job.batch)

    def _go_on(self) -> None:
        """Tell the process what it hasn't been told: all of it, or the next batch if others died over one."""
        while self._held and (self._deaths < _SUSPECT or len(self._jobs) == len(self._held)):
            self.process.tell(self._held.popleft().order)

    def _replace(self) -> None:
        """Start another, but for one that dies again and again.

        Raises
        ------
        FriedelError
            If that is so.
        """
        self._deaths = 1 if time.monotonic() - self._began > _LIVED_S else self._deaths + 1
        why = f"can't go on ({self._unusable})" if self._unusable else "died"
        at_work = len(self._jobs) > len(self._held)
        if self._deaths >= _DEATHS and not (at_work and self._deaths < 2 * _DEATHS):
            self._over = f"the writing process {why} {self._deaths} times, with nothing written between"
            self.process.stop(0.0)
            self.give_up_all(self._over)
            raise FriedelError(f"{self.folder}: {self._over}; the watch ends. What was written before is kept")
        if self._deaths >= _DEATHS:
            ticket = next(iter(self._jobs))
            self._give_up(self._jobs.pop(ticket), f"the writing process {why} {_DEATHS} times over them")
        self.observer(Warned("results", f"the writing process {why}; another goes on in a new part"))
        self._renew()

    def _renew(self) -> None:
        self._still_since = None
        self.process.stop(0.0)
        self.process = self._started()
        if self._open is not None:
            self.process.tell(self._open)
        # What the dead one flushed is in the ledger; the new one reads that, and writes nothing twice.
        self._held = deque(self._jobs.values())
        self._go_on()
        if self._finishing is not None:
            self.process.tell(self._finishing)
