"""The scoring processes: start them, hand out batches, replace those that die. What scores mean isn't known here."""

import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from friedel.core.errors import FriedelError, InputError
from friedel.core.machine.threads import cores
from friedel.spi.live.scoring import Failed, Ready, Score, run_scorer
from friedel.stream.batches import Batch

if TYPE_CHECKING:
    from friedel.spi.live.remote import Cluster, Spokesman

_MOST = 4
_LEAVE_S = 2.0
# So many deaths in a row, without a single score between them, are no accident.
_DEATHS = 5


@dataclass(eq=False)
class Worker:
    """One scoring process.

    Attributes
    ----------
    process : Process
        The process.
    orders : Connection
        The pipe to it.
    batch : Batch or None
        What it is scoring.
    since : float
        When it was given that, by the monotonic clock, s.
    ready, busy : bool
        Its model is loaded; it is at work, on a batch or otherwise.
    """

    process: "BaseProcess | Spokesman"
    orders: Connection
    batch: Batch | None = None
    since: float = 0.0
    ready: bool = False
    busy: bool = False


@dataclass(eq=False)
class Crew:
    """All scoring processes of a watch.

    Attributes
    ----------
    model, device : str
        What they load.
    n_workers : int
        How many there shall be.
    cluster : Cluster or None
        Score on other machines instead.
    """

    model: str
    device: str | None
    n_workers: int
    cluster: "Cluster | None" = None
    workers: list[Worker] = field(default_factory=list)
    _standing: dict[type, Any] = field(default_factory=dict)
    _deaths: int = 0

    def start(self) -> None:
        """Start the processes; they are ready when each has said so."""
        count = self.n_workers if self.cluster is None else self.cluster.n_workers
        self.workers = [self._started() for _ in range(count)]

    def tell_all(self, order: Any) -> None:
        """Give an order to every process, and to those that take their places later."""
        self._standing[type(order)] = order
        for worker in self.workers:
            _send(worker, order)

    def forget(self, kind: type) -> None:
        """Don't give the last order of this kind to new processes any more."""
        self._standing.pop(kind, None)

    def idle(self) -> list[Worker]:
        """Return the processes that are ready for work."""
        return [worker for worker in self.workers if worker.ready and not worker.busy]

    def give(self, worker: Worker, order: Any, batch: Batch | None = None) -> None:
        """Set a process to work; if it is dead, that shows when its pipe is read."""
        worker.batch, worker.since, worker.busy = batch, time.monotonic(), True
        _send(worker, order)

    def score(self, worker: Worker, batch: Batch) -> None:
        """Have a process score a batch."""
        batch.attempts += 1
        self.give(worker, Score(batch.ticket, batch.slot, batch.n), batch)

    def answer(self, worker: Worker) -> Any:
        """Return what a process says, or None if it is dead.

        Raises
        ------
        InputError
            If it can't load the model.
        """
        try:
            answer = worker.orders.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, Failed) and answer.fatal:
            raise InputError(answer.reason)
        if isinstance(answer, Ready):
            worker.ready = True
        else:
            worker.busy, self._deaths = False, 0
        return answer

    def replace(self, worker: Worker) -> Batch | None:
        """End a process that is dead or hangs, start another, and return the batch it had.

        Raises
        ------
        FriedelError
            If one after another dies.
        """
        self._deaths += 1
        if self._deaths > _DEATHS:
            raise FriedelError(f"{_DEATHS} scoring processes died one after another; see the system's log (memory?)")
        _end(worker, kill=True)
        self.workers[self.workers.index(worker)] = self._started()
        return worker.batch

    def hanging(self, timeout_s: float) -> list[Worker]:
        """Return the processes that have been at a batch for longer than this."""
        now = time.monotonic()
        return [worker for worker in self.workers if worker.busy and now - worker.since > timeout_s]

    def stop(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.orders.close()
        for worker in self.workers:
            _end(worker, kill=False)
        self.workers = []

    def _started(self) -> Worker:
        process: BaseProcess | Spokesman
        if self.cluster is None:
            process, orders = spawn(run_scorer, self.model, self.device, name="friedel scorer")
        else:
            process, orders = self.cluster.start(self.model, self.device)
        worker = Worker(process, orders)
        for order in self._standing.values():
            _send(worker, order)
        return worker


def spawn(main: Any, *arguments: Any, name: str) -> tuple[BaseProcess, Connection]:
    """Start a process with a pipe as its first argument; return it and this end of the pipe."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=main, args=(there, *arguments), name=name, daemon=True)
    process.start()
    there.close()
    return process, here


def _send(worker: Worker, order: Any) -> None:
    try:
        worker.orders.send(order)
    except OSError:  # it is dead, which its pipe will show
        return


def _end(worker: Worker, *, kill: bool) -> None:
    worker.orders.close()
    if kill:
        worker.process.kill()
    worker.process.join(_LEAVE_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join(_LEAVE_S)


def default_workers() -> int:
    """Return how many scoring processes suit this machine."""
    return min(cores(), _MOST)
