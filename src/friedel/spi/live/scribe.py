"""The writing process as the watch sees it: hand over batches, hear what is written, replace it if it dies.

Never more than a few batches are on the way, so that the pipe can't fill up and hold up the watch; the others wait
here. If too many wait, or the writer can't write, frames count as unsaved: scoring never waits for a disk.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from friedel.core.observer import Observer, Warned
from friedel.spi.live.crew import spawn
from friedel.spi.live.plan import KeepOptions
from friedel.spi.live.writing import Begun, Finish, Finished, NoteLedger, Open, Write, Written, run_writer
from friedel.stream.batches import Batch
from friedel.stream.ledger import Ledger

_ON_THE_WAY = 8
_MOST_WAITING = 4096
_DEATHS = 3


@dataclass(eq=False)
class _Job:
    order: Write
    batch: Batch | None


@dataclass(eq=False)
class Scribe:
    """The writing process.

    Attributes
    ----------
    folder : Path
        Where it writes.
    options : KeepOptions
        What it writes.
    ledger : Ledger
        Counts what isn't written.
    observer : Observer
        Hears why.
    free : function
        Called with a batch whose frames aren't needed any more.
    finished : Finished or None
        What the process said when all files were closed.
    refused : str
        Why nothing can be written just now; empty if it can.
    ready : bool
        The process is there.
    """

    folder: Path
    options: KeepOptions
    ledger: Ledger
    observer: Observer
    free: Callable[[Batch], None]
    finished: Finished | None = None
    refused: str = ""
    ready: bool = False
    _waiting: deque[_Job] = field(default_factory=deque)
    _sent: dict[int, _Job] = field(default_factory=dict)
    _open: Open | None = None
    _finishing: Finish | None = None
    _deaths: int = 0

    def __post_init__(self) -> None:
        self._process: BaseProcess
        self.orders: Connection
        self._start()

    @property
    def idle(self) -> bool:
        """Whether everything handed over is written or given up."""
        return not self._waiting and not self._sent

    def open(self, order: Open) -> None:
        """Begin a part for another kind of frames; everything must be written before."""
        self._open = order
        self._send(order)

    def write(self, order: Write, batch: Batch | None) -> None:
        """Hand over a batch; ``batch`` is given free when its frames are written."""
        if len(self._waiting) >= _MOST_WAITING or self._deaths >= _DEATHS:
            self._give_up(_Job(order, batch), "the disk can't keep up" if self._deaths < _DEATHS else self.refused)
            return
        self._waiting.append(_Job(order, batch))
        self._send_some()

    def note(self, order: NoteLedger) -> None:
        """Hand over a row of the ledger, unless the writer is far behind: the next one says more."""
        if len(self._sent) < _ON_THE_WAY:
            self._send(order)

    def finish(self, order: Finish) -> None:
        """Have all files closed; `finished` then says which there are."""
        self._finishing = order
        self._send(order)

    def hear(self) -> None:
        """Take an answer; if the process is dead, start another."""
        try:
            answer = self.orders.recv()
        except (EOFError, OSError):
            self._replace()
            return
        if isinstance(answer, Begun):
            self.ready = True
        elif isinstance(answer, Finished):
            self.finished = answer
        elif isinstance(answer, Written) and (job := self._sent.pop(answer.ticket, None)) is not None:
            self._deaths = 0
            self._settle(job, answer.refused)
            self._send_some()

    def stop(self) -> None:
        """End the process."""
        self.orders.close()
        self._process.join(10.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(2.0)

    def _start(self) -> None:
        self._process, self.orders = spawn(run_writer, self.folder, self.options, name="friedel writer")

    def _send(self, order: Any) -> None:
        try:
            self.orders.send(order)
        except OSError:  # it is dead, which its pipe will show
            return

    def _send_some(self) -> None:
        while self._waiting and len(self._sent) < _ON_THE_WAY:
            job = self._waiting.popleft()
            self._sent[job.order.ticket] = job
            self._send(job.order)

    def _settle(self, job: _Job, refused: str) -> None:
        if refused:
            self._give_up(job, refused)
            return
        if self.refused:
            self.observer(Warned("results", "are being written again"))
            self.refused = ""
        self._let_go(job)

    def _give_up(self, job: _Job, reason: str) -> None:
        self.ledger.unsaved(len(job.order.scored.numbers))
        if not self.refused:
            text = f"{self.folder}: not written: {reason}; scoring goes on, losses are counted"
            self.observer(Warned("results", text))
        self.refused = reason
        self._let_go(job)

    def _let_go(self, job: _Job) -> None:
        if job.batch is not None:
            self.free(job.batch)

    def _replace(self) -> None:
        self._deaths += 1
        self._process.join(2.0)
        self.orders.close()
        lost = [*self._sent.values()]
        self._sent.clear()
        if self._deaths >= _DEATHS:
            for job in (*lost, *self._waiting):
                self._give_up(job, f"the writing process died {_DEATHS} times")
            self._waiting.clear()
        else:
            self.observer(Warned("results", "the writing process died; another goes on in a new part"))
            # What the dead one wrote is in its part; the new one reads that, and writes nothing twice.
            self._waiting.extendleft(reversed(lost))
        self._start()
        if self._open is not None:
            self._send(self._open)
        self._send_some()
        if self._finishing is not None:
            self._send(self._finishing)
