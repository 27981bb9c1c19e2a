"""Watch a stream for single hits: receive, score, select, write, show. This process keeps account and hands out work.

Receiver (a thread here) → ring → scoring processes → selection and statistics (here) → writing process. The display
gets a snapshot a few times a second, through a board that never waits for its readers.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from friedel.core.errors import InputError, PlanError
from friedel.core.machine.cluster import dask_client
from friedel.core.machine.processes import on_signal
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.spi.frames.mask import read_mask
from friedel.spi.hits.selection import SelectionOptions, select
from friedel.spi.live.crew import Crew, Worker, default_workers
from friedel.spi.live.intake import Intake
from friedel.spi.live.output import Output
from friedel.spi.live.plan import WatchPlan
from friedel.spi.live.scoring import Attach, Constants, Failed, Measure, Measured, Ready, Scored
from friedel.spi.live.statistics import HitStatistics
from friedel.spi.scores.scored_run import unpack_scores
from friedel.stream.batches import Batch, Batches
from friedel.stream.display import Display
from friedel.stream.ledger import Ledger, LedgerCounts
from friedel.stream.receiving import Receiver
from friedel.stream.snapshot import Snapshot
from friedel.stream.sources.source import Source, find_source

_TICK_S = 0.05
_RATE_OVER_S = 3.0
_DRAIN_S = 10.0
_ATTEMPTS = 2
STOPPED = "the watch was stopped"
LOST = "two scoring processes died over them"


@dataclass(frozen=True, eq=False, kw_only=True)
class WatchResult:
    """What a watch leaves behind.

    Attributes
    ----------
    counts : LedgerCounts
        What became of every frame.
    snapshot : Snapshot
        The last one.
    files : mapping of str to Path
        The files written.
    """

    counts: LedgerCounts
    snapshot: Snapshot
    files: dict[str, Path]


class HitsWatch:
    """A watch of single hits; `run` does it all, `stop` (from another thread) ends it early and cleanly.

    Parameters
    ----------
    plan : WatchPlan
        What to watch and how.
    source : Source, optional
        Instead of the one the plan names.
    display : Display, optional
        Where snapshots are shown, and threshold and pause come from.
    observer : Observer
        Hears what is odd, and the ledger now and then.
    on_snapshot : function, optional
        Called with each snapshot in this process; it must be quick.
    """

    def __init__(
        self,
        plan: WatchPlan,
        *,
        source: Source | None = None,
        display: Display | None = None,
        observer: Observer = silent,
        on_snapshot: Callable[[Snapshot], None] | None = None,
    ) -> None:
        if source is None and plan.source is None:
            raise PlanError("no source is named; give its URI, or 'source' in the plan")
        self.plan, self.observer = plan, observer
        self.source = source if source is not None else find_source(plan.source or "")
        self.ledger, self.statistics = Ledger(), HitStatistics()
        self._display, self._on_snapshot = display, on_snapshot
        mask = None if plan.mask is None else read_mask(plan.mask)
        self._intake = Intake(self.ledger, plan.queue, mask)
        self._crew = Crew(plan.model, plan.device, plan.queue.workers or default_workers())
        self._stack = ExitStack()
        self._output: Output | None = None
        self._receiver = Receiver(
            source=self.source,
            ledger=self.ledger,
            into=self._intake,
            observer=observer,
            done={},
            silent_s=plan.silent_s,
            wake=self._wake,
        )
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        self._asleep = False
        self._stops = 0
        self._generation = 0
        self._run_constants: bytes | None = None
        self._measuring = False
        self._model = ""
        self._select = plan.select
        self._paused = False
        self._first_frames = math.inf
        self._due = {"display": 0.0, "log": time.monotonic() + plan.log_s}
        self._rates: deque[tuple[float, int]] = deque(maxlen=256)

    def stop(self) -> None:
        """End the watch: score what waits, close all files. Called a second time, drop what waits."""
        self._stops += 1
        self._asleep = True
        self._wake()

    def run(self) -> WatchResult:
        """Watch until the source ends or `stop` is called; every file is then closed.

        Raises
        ------
        InputError
            If the source, the mask or the model can't be used, or the folder is locked or can't be written.
        """
        try:
            with on_signal(self.stop):
                self.source.open()
                self._start()
                self._loop()
                return self._finish()
        finally:
            self._end()

    def snapshot(self) -> Snapshot:
        """Return what a display shows of this moment."""
        return Snapshot(
            mode="hits",
            taken=time.time(),
            source=self._receiver.state,
            ledger=self.ledger.counts(),
            frames_per_s=self._rate(),
            threshold=self._select.single,
            paused=self._paused,
            folder="" if self.plan.output is None else str(self.plan.output),
            view=self.statistics.view(),
        )

    def _start(self) -> None:
        if self.plan.cluster is not None:
            from friedel.spi.live.remote import Cluster

            self._crew.cluster = Cluster(self._stack.enter_context(dask_client(self.plan.cluster)))
        self._crew.start()
        if self.plan.output is not None:
            self._output = Output(
                self.plan.output, self.plan, ledger=self.ledger, observer=self.observer, free=self._free
            )
            self._receiver.done = self._output.earlier

    def _loop(self) -> None:
        received, stopped_at = False, math.inf
        while True:
            self._hear()
            if not received and self._ready():
                self._receiver.start()
                received = True
            self._attach()
            self._measure()
            self._hand_out()
            self._tick()
            if self._stops and stopped_at == math.inf:
                stopped_at = time.monotonic()
                self._intake.stopping.set()
                self._receiver.stop()
            if self._stops > 1 or time.monotonic() - stopped_at > _DRAIN_S:
                return
            if received and not self._receiver.running and self._drained():
                return
            if self._stops and not received:
                return

    def _ready(self) -> bool:
        """Say whether a model is loaded and the writer is there: no frame shall have to wait for that."""
        return bool(self._crew.idle()) and (self._output is None or self._output.scribe.ready)

    def _drained(self) -> bool:
        batches = self._intake.batches
        return batches is None or (batches.idle and not any(worker.busy for worker in self._crew.workers))

    def _hear(self) -> None:
        """Take every answer that is there; wait a moment if there is none."""
        output = self._output
        scribes = [] if output is None else [output.scribe.orders]
        pipes = {worker.orders: worker for worker in self._crew.workers}
        # Who has nothing to do shall be woken by the next frame; otherwise the next answer comes soon enough.
        self._asleep = bool(self._crew.idle())
        for found in wait([*pipes, *scribes, self._wake_out], _TICK_S):
            if found == self._wake_out:
                os.read(self._wake_out, 4096)
            elif output is not None and found in scribes:
                output.scribe.hear()
            else:
                self._hear_worker(pipes[found])  # type: ignore[index]  # wait() gives back what it was given
        for worker in self._crew.hanging(self.plan.queue.worker_timeout_s):
            self._replace(worker, f"took longer than {self.plan.queue.worker_timeout_s:g} s")

    def _hear_worker(self, worker: Worker) -> None:
        match answer := self._crew.answer(worker):
            case None:
                self._replace(worker, "died")
            case Ready():
                self._model = answer.model
            case Measured():
                self._know(answer.run)
            case Scored():
                self._scored(worker, answer)
            case Failed(ticket=None):
                raise InputError(f"the run's constants can't be measured: {answer.reason}")
            case Failed():
                self._failed(worker, answer)

    def _replace(self, worker: Worker, why: str) -> None:
        self.observer(Warned("scoring", f"a scoring process {why}; another takes its place"))
        batch = self._crew.replace(worker)
        if batch is None:
            self._measuring = False  # if it was measuring, another shall
        elif batch.attempts < _ATTEMPTS:
            self._batches.give_back(batch)
        else:
            self.ledger.dropped(batch.n, LOST)
            self._free(batch)

    @property
    def _batches(self) -> Batches:
        assert self._intake.batches is not None
        return self._intake.batches

    def _free(self, batch: Batch) -> None:
        self._batches.free(batch)

    def _attach(self) -> None:
        """Tell everybody of a new ring."""
        if self._intake.generation == self._generation:
            return
        self._generation = self._intake.generation
        layout, mask = self._batches.ring.layout, self._intake.mask
        self._crew.forget(Constants)
        self._crew.tell_all(Attach(layout, mask))
        self._first_frames = time.monotonic()
        self._run_constants, self._measuring = None, False
        if self._output is not None:
            kept = self._output.constants(self._model, layout, mask)
            if kept is not None:
                self._know(kept)
            self._output.open(layout, mask, model=self._model, source=self.source.uri)

    def _measure(self) -> None:
        """Have the run's constants measured, once enough of the first frames are there."""
        batches = self._intake.batches
        if batches is None or self._run_constants is not None or self._measuring or not self._crew.idle():
            return
        late = time.monotonic() - self._first_frames > self.plan.queue.settle_s
        enough = batches.sampled >= self.plan.queue.sample
        if not batches.sampled or not (enough or late or self._intake.draining or not self._receiver.running):
            return
        sample = tuple((batch.slot, batch.n) for batch in batches.sample())
        self._crew.give(self._crew.idle()[0], Measure(sample))
        self._measuring = True

    def _know(self, run: bytes) -> None:
        self._run_constants, self._measuring = run, False
        self._crew.tell_all(Constants(run))
        self._batches.release_sample()
        if self._output is not None:
            self._output.keep_constants(run, self._model, self._batches.ring.layout, self._intake.mask)

    def _hand_out(self) -> None:
        if self._run_constants is None or self._intake.batches is None:
            return
        for worker in self._crew.idle():
            batch = self._batches.take()
            if batch is None:
                return
            self._crew.score(worker, batch)

    def _scored(self, worker: Worker, answer: Scored) -> None:
        batch, worker.batch = worker.batch, None
        if batch is None or batch.ticket != answer.ticket:
            return
        scores = unpack_scores(answer.scores, self._model)
        selected = select(scores, self._select)
        numbers, series = batch.numbers[: batch.n], self._receiver.series[batch.series]
        frames = self._batches.ring.slot(batch.slot)[: batch.n]
        self.ledger.processed(time.monotonic() - batch.arrivals[: batch.n])
        self.statistics.add(scores, selected, frames, numbers=numbers, series=series)
        if self._output is None:
            self._free(batch)
        else:
            self._output.write(batch, answer.scores, selected, series)

    def _failed(self, worker: Worker, answer: Failed) -> None:
        batch, worker.batch = worker.batch, None
        if batch is None:
            return
        self.observer(Warned("scoring", f"{batch.n} frames can't be scored: {answer.reason}"))
        self.ledger.dropped(batch.n, "the model can't score them")
        self._free(batch)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._intake.batches is not None:
            self.ledger.queue(self._batches.depth, self._batches.ring.layout.n_slots)
        if now >= self._due["display"]:
            self._due["display"] = now + self.plan.display_s
            self._obey_page()
            self._show()
        if now >= self._due["log"]:
            self._due["log"] = now + self.plan.log_s
            self._note_ledger()

    def _obey_page(self) -> None:
        if self._display is None:
            return
        control = self._display.control()
        if control.threshold is not None and control.threshold != self._select.single:
            self._select = SelectionOptions(**self._select.model_dump() | {"single": control.threshold})
        self._paused = self._receiver.paused = control.paused

    def _show(self) -> None:
        self._rates.append((time.monotonic(), self.ledger.counts().processed))
        if self._display is None and self._on_snapshot is None:
            return
        snapshot = self.snapshot()
        if self._display is not None:
            self._display.show(snapshot)
        if self._on_snapshot is not None:
            self._on_snapshot(snapshot)

    def _rate(self) -> float:
        recent = [entry for entry in self._rates if entry[0] > time.monotonic() - _RATE_OVER_S]
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    def _note_ledger(self) -> None:
        counts = self.ledger.counts()
        self.observer(Note("ledger", counts.sentence()))
        if self._output is not None:
            self._output.note(counts)

    def _finish(self) -> WatchResult:
        self._receiver.stop()
        for worker in self._crew.workers:
            if worker.batch is not None:
                self.ledger.dropped(worker.batch.n, STOPPED)
        if self._intake.batches is not None:
            self._batches.drop_all(STOPPED)
        if self._receiver.error is not None and not self.ledger.counts().seen:
            raise self._receiver.error
        self._note_ledger()
        self._due["display"] = 0.0
        self._tick()
        counts = self.ledger.counts()
        files = {} if self._output is None else self._output.finish(self._summary(counts))
        return WatchResult(counts=self.ledger.counts(), snapshot=self.snapshot(), files=files)

    def _summary(self, counts: LedgerCounts) -> dict[str, Any]:
        figures = {"selected": self.statistics.selected, "unsure": self.statistics.unsure, "odd": self.statistics.odd}
        return {"ledger": counts.as_dict(), **figures, "model": self._model, "source": self.source.uri}

    def _wake(self) -> None:
        if not self._asleep:
            return
        self._asleep = False
        try:
            os.write(self._wake_in, b"x")
        except (BlockingIOError, OSError):  # it is awake, or has ended
            return

    def _end(self) -> None:
        self._intake.stopping.set()
        self._receiver.stop()
        self.source.close()
        self._crew.stop()
        self._stack.close()
        if self._output is not None:
            self._output.close()
        if self._intake.batches is not None:
            self._batches.ring.close()
        os.close(self._wake_in)
        os.close(self._wake_out)


def watch_hits(
    plan: WatchPlan,
    *,
    display: Display | None = None,
    observer: Observer = silent,
    on_snapshot: Callable[[Snapshot], None] | None = None,
) -> WatchResult:
    """Watch a stream for single hits until it ends, or Ctrl-C.

    Parameters
    ----------
    plan : WatchPlan
        What to watch, how to score, what to keep.
    display : Display, optional
        Where snapshots are shown, and threshold and pause come from.
    observer : Observer
        Hears what is odd, and the ledger now and then.
    on_snapshot : function, optional
        Called with each snapshot in this process.

    Raises
    ------
    InputError
        If the source, the mask or the model can't be used, or the folder is locked or can't be written.
    """
    return HitsWatch(plan, display=display, observer=observer, on_snapshot=on_snapshot).run()
