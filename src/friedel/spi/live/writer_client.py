"""The writing process as the watch sees it: hand over batches, hear what is on disk, replace it if it dies.

A batch is let go of only when the process says that it is flushed: until then a successor gets it again. If too many
wait, or the writer can't write, frames count as unsaved: scoring never waits for a disk.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

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
_DEATHS = 3  # of the writer in a row before frames count as unsaved for good
_LEAVE_S = 10.0  # s to close its files before it is killed


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
        if self._deaths >= _DEATHS or len(self._jobs) >= _MOST_WAITING:
            self._give_up(job, self.refused if self._deaths >= _DEATHS else "the disk can't keep up")
            return
        self._jobs[order.ticket] = job
        self.process.tell(order)

    def note(self, order: NoteLedger) -> None:
        """Hand over a row of the ledger."""
        self.process.tell(order)

    def finish(self, order: FinishFiles) -> None:
        """Have all files closed; `finished` then says which there are."""
        self._finishing = order
        self.process.tell(order)

    def hear(self) -> None:
        """Take its answers; if it is dead, start another."""
        for answer in self.process.heard():
            match answer:
                case Flushed():
                    self._deaths = 0
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
        if self.process.gone and self.finished is None:
            self._replace()

    def stop(self) -> None:
        """End the process."""
        self.process.stop(_LEAVE_S)

    def _started(self) -> Supervised:
        return spawn(
            run_writer, self.folder, self.options, self.session, name="friedel writer", wake=self.wake
        )  # fmt: skip

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

    def _replace(self) -> None:
        self._deaths += 1
        if self._deaths >= _DEATHS:
            for job in self._jobs.values():
                self._give_up(job, self._unusable or f"the writing process died {_DEATHS} times")
            self._jobs.clear()
        else:
            why = f"can't go on ({self._unusable})" if self._unusable else "died"
            self.observer(Warned("results", f"the writing process {why}; another goes on in a new part"))
        self._renew()

    def _renew(self) -> None:
        self.process.stop(0.0)
        self.process = self._started()
        if self._open is not None:
            self.process.tell(self._open)
        # What the dead one flushed is in the ledger; the new one reads that, and writes nothing twice.
        for job in self._jobs.values():
            self.process.tell(job.order)
        if self._finishing is not None:
            self.process.tell(self._finishing)
