"""The scoring processes: start them, hand out batches, replace those that die. What scores mean isn't known here."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from friedel.core.errors import FriedelError, InputError
from friedel.core.machine.threads import cores
from friedel.spi.live.scoring import Failed, Score, run_scorer
from friedel.stream.batches import Batch
from friedel.stream.processes import Ready, Supervised, spawn

if TYPE_CHECKING:
    from friedel.spi.live.remote import Cluster

_MOST = 4  # scorers by default, one a core up to here: each takes the memory of its own copy of torch
_LEAVE_S = 2.0  # s to leave before a scorer is killed
# So many deaths at one place, without a single score between them, are no accident. Two batches that kill every scorer
# cost a place four.
_DEATHS = 5


@dataclass(eq=False)
class Scorer:
    """One scoring process and what it is at.

    Attributes
    ----------
    process : Supervised
        The process.
    batch : Batch or None
        What it is scoring.
    since : float
        When it was given that, by the monotonic clock, s.
    busy : bool
        It is at work, on a batch or otherwise.
    deaths : int
        Of its predecessors and itself, since one of them last answered.
    """

    process: Supervised
    batch: Batch | None = None
    since: float = 0.0
    busy: bool = False
    deaths: int = 0


@dataclass(eq=False)
class ScoringPool:
    """All scoring processes of a watch.

    Attributes
    ----------
    model, device : str
        What they load.
    n_workers : int
        How many there shall be.
    wake : function
        Called, from threads, when one has something to say.
    cluster : Cluster or None
        Score on other machines instead.
    """

    model: str
    device: str | None
    n_workers: int
    wake: Callable[[], None]
    cluster: "Cluster | None" = None
    scorers: list[Scorer] = field(default_factory=list)
    _standing: dict[type, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start the processes; they are ready when each has said so."""
        count = self.n_workers if self.cluster is None else self.cluster.n_workers
        self.scorers = [self._started() for _ in range(count)]

    def tell_all(self, order: Any) -> None:
        """Give an order to every process, and to those that take their places later."""
        self._standing[type(order)] = order
        for scorer in self.scorers:
            scorer.process.tell(order)

    def forget(self, kind: type) -> None:
        """Don't give the last order of this kind to new processes any more."""
        self._standing.pop(kind, None)

    @property
    def busy(self) -> bool:
        """Whether any is at work."""
        return any(scorer.busy for scorer in self.scorers)

    def idle(self) -> list[Scorer]:
        """Return the processes that are ready for work."""
        return [scorer for scorer in self.scorers if scorer.process.ready and not scorer.busy]

    def give(self, scorer: Scorer, order: Any, batch: Batch | None = None) -> None:
        """Set a process to work; if it is dead, that shows later."""
        scorer.batch, scorer.since, scorer.busy = batch, time.monotonic(), True
        scorer.process.tell(order)

    def score(self, scorer: Scorer, batch: Batch) -> None:
        """Have a process score a batch."""
        batch.attempts += 1
        self.give(scorer, Score(batch.ticket, batch.slot, batch.n), batch)

    def answers(self) -> Iterator[tuple[Scorer, Any]]:
        """Yield what the processes have said, each with its process.

        Raises
        ------
        InputError
            If one can't load the model.
        """
        for scorer in list(self.scorers):
            for answer in scorer.process.heard():
                if isinstance(answer, Failed) and answer.fatal:
                    raise InputError(answer.reason)
                if not isinstance(answer, Ready):
                    scorer.busy, scorer.deaths = False, 0
                yield scorer, answer

    def gone(self, timeout_s: float) -> list[tuple[Scorer, str]]:
        """Return the processes to be replaced, and why: dead, or at one order for longer than this."""
        now = time.monotonic()
        late = f"took longer than {timeout_s:g} s"
        found = [(scorer, "died") for scorer in self.scorers if scorer.process.gone]
        return found + [
            (scorer, late)
            for scorer in self.scorers
            if scorer.busy and not scorer.process.gone and now - scorer.since > timeout_s
        ]

    def replace(self, scorer: Scorer) -> str:
        """End a process that is dead or hangs, and start another, unless one after another dies there.

        Returns
        -------
        str
            What was done about it.

        Raises
        ------
        FriedelError
            If it was the last one.
        """
        scorer.process.stop(0.0)
        scorer.deaths += 1
        place = self.scorers.index(scorer)
        if self.cluster_lost and scorer.process.pid is None:
            return self._score_here(place)
        if scorer.deaths < _DEATHS:
            self.scorers[place] = self._started(scorer.deaths)
            return "another takes its place"
        del self.scorers[place]
        if self.scorers:
            return f"{_DEATHS} did so one after another, and its place stays empty; {len(self.scorers)} go on"
        raise FriedelError(
            f"{_DEATHS} scoring processes died one after another; see the system's log (memory?). What came before is "
            "kept. In a script, what watches must stand under 'if __name__ == \"__main__\":', because they import the "
            "script"
        )

    @property
    def cluster_lost(self) -> str:
        """Why the cluster is given up; empty if it isn't, or there is none."""
        return "" if self.cluster is None else self.cluster.lost

    def _score_here(self, place: int) -> str:
        """Put a process of this machine where a worker of a lost cluster was, as long as there are too few."""
        here = sum(scorer.process.pid is not None for scorer in self.scorers)
        if here < self.n_workers:
            self.scorers[place] = self._started()
        else:
            del self.scorers[place]
        return f"{self.cluster_lost}; scoring goes on on this machine"

    def stop(self) -> None:
        """End all processes."""
        for scorer in self.scorers:
            scorer.process.hang_up()
        for scorer in self.scorers:
            scorer.process.stop(_LEAVE_S)
        self.scorers = []

    def _started(self, deaths: int = 0) -> Scorer:
        if self.cluster is None or self.cluster_lost:
            process = spawn(run_scorer, self.model, self.device, name="friedel scorer", wake=self.wake)
        else:
            process = Supervised(*self.cluster.start(self.model, self.device), self.wake)
        for order in self._standing.values():
            process.tell(order)
        return Scorer(process, deaths=deaths)


def default_workers() -> int:
    """Return how many scoring processes suit this machine."""
    return min(cores(), _MOST)
