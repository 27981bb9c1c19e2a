"""Watch a stream for single hits: receive, score, select, write, show. This process keeps account and hands out work.

Receiver (a thread here) → ring → scoring processes → selection and statistics (here) → writing process. A batch leaves
the ring when its frames aren't needed any more: scored, and written where they are kept.
"""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from friedel.core.errors import FriedelError, InputError, PlanError
from friedel.core.machine.cluster import dask_client
from friedel.core.observer import Observer, Warned, silent
from friedel.spi.frames.detector_images import read_mask
from friedel.spi.hits.selection import SelectionOptions, select
from friedel.spi.live.intake import Intake
from friedel.spi.live.plan import LiveMergeOptions, WatchPlan
from friedel.spi.live.pool import Scorer, ScoringPool, default_workers
from friedel.spi.live.scoring import Attach, Constants, Failed, Measure, Measured, Scored
from friedel.spi.live.statistics import HitStatistics
from friedel.spi.live.view import HitsView
from friedel.spi.live.watch_files import Output
from friedel.spi.live.writer import STEM
from friedel.spi.scores.scored_run import unpack_scores
from friedel.stream.batches import ENDED, Batch, Batches
from friedel.stream.display import Control, Display
from friedel.stream.ledger import Ledger, LedgerCounts
from friedel.stream.processes import Ready
from friedel.stream.snapshot import Snapshot
from friedel.stream.sources.source import Source, find_source
from friedel.stream.watching import Watch, WatchSetting

if TYPE_CHECKING:  # it needs torch, which a watch loads only in its scorers
    from friedel.spi.live.merging.process import Merger

_ATTEMPTS = 2  # scorers that a batch may cost: frames that end two of them would end a third
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


class HitsSink:
    """Scores, selects and writes; see `friedel.stream.watching.Sink`.

    Parameters
    ----------
    plan : WatchPlan
        How.
    ledger : Ledger
        The watch's.
    observer : Observer
        Hears what is odd.
    """

    mode = "hits"

    def __init__(self, plan: WatchPlan, ledger: Ledger, observer: Observer) -> None:
        self.plan, self.ledger, self.observer = plan, ledger, observer
        self.statistics = HitStatistics()
        mask = None if plan.mask is None else read_mask(plan.mask)
        self.into = Intake(ledger, plan.queue, mask, observer)
        self.output: Output | None = None
        self.merger: Merger | None = None
        self.files: dict[str, Path] = {}
        self._stack = ExitStack()
        self._generation = 0
        self._run_constants: bytes | None = None
        self._measuring = False
        self._model = ""
        self._select = plan.select
        self._first_frames = math.inf

    def start(self, watch: Watch) -> None:
        """Start scorers and writer; see `Sink`."""
        plan, self._watch = self.plan, watch
        self.into.patient = watch.source.patient
        watch.threshold = plan.select.single
        self.pool = ScoringPool(plan.model, plan.device, plan.queue.workers or default_workers(), watch.wake)
        if plan.cluster is not None:
            from friedel.spi.live.remote import Cluster

            self.pool.cluster = Cluster(self._stack.enter_context(dask_client(plan.cluster)))
        self.pool.start()
        if plan.output is not None:
            self.output = Output(watch, plan, free=self._free)
            watch.receiver.done = self.output.earlier
            if plan.merge is not None:
                from friedel.spi.live.merging.process import Merger

                adu = plan.keep.emc.adu_per_photon
                self.merger = Merger(plan.output, plan.merge, adu, self.observer, watch.wake)

    def step(self) -> None:
        """Hear the processes, then hand out work."""
        for scorer, answer in self.pool.answers():
            self._hear(scorer, answer)
        for scorer, why in self.pool.gone(self.plan.queue.worker_timeout_s):
            self._replace(scorer, why)
        if self.output is not None:
            if self._watch.receiver.state.state == "ended":
                self.output.writer.hurry()
            self.output.writer.hear()
        if self.merger is not None:
            self.merger.hear()
        self._attach()
        self._measure()
        self._hand_out()
        if self.into.batches is not None:
            self.ledger.queue(self._batches.depth, self._batches.ring.layout.n_slots)

    @property
    def ready(self) -> bool:
        """Whether a model is loaded and the writer is there."""
        return bool(self.pool.idle()) and (self.output is None or self.output.writer.ready)

    @property
    def hungry(self) -> bool:
        """Whether a scorer has nothing to do."""
        return bool(self.pool.idle())

    @property
    def drained(self) -> bool:
        """Whether every frame is scored and on disk."""
        batches = self.into.batches
        written = self.output is None or self.output.writer.idle
        return batches is None or (batches.idle and not self.pool.busy and written)

    def stopping(self) -> None:
        """Let the receiver go, should it be waiting for room."""
        self.into.stopping.set()
        if self.output is not None:
            self.output.writer.hurry()

    def obey(self, control: Control) -> None:
        """Select by the page's threshold; without one, as the plan says."""
        single = self.plan.select.single if control.threshold is None else control.threshold
        if single != self._select.single:
            self._select = SelectionOptions(**self.plan.select.model_dump() | {"single": single})
            self._watch.threshold = single

    def view(self) -> HitsView:
        """Return rates, galleries, powder and the growing intensity."""
        view = self.statistics.view()
        return view if self.merger is None else replace(view, merge=self.merger.view)

    def note(self, counts: LedgerCounts) -> None:
        """Add the counts to the file and the log."""
        if self.output is not None:
            self.output.note(counts)

    def finish(self) -> None:
        """Count frames that won't be scored any more as dropped, and close the files."""
        for scorer in self.pool.scorers:
            if scorer.batch is not None:
                self.ledger.dropped(scorer.batch.n, ENDED)
                scorer.batch = None
        if self.into.batches is not None:
            self._batches.drop_all(ENDED)
        self.statistics.over = True
        counts = self.ledger.counts()
        if self.output is not None:
            self.output.note(counts)
            self.files = self.output.finish(self._summary)
        if self.merger is not None and self.merger.options.final:
            self.merger.conclude("The watch is over, and all hits are merged anew in the folder merge")

    def close(self) -> None:
        """End all processes and let go of the ring."""
        self.into.stopping.set()
        if hasattr(self, "pool"):
            self.pool.stop()
        self._stack.close()
        if self.merger is not None:
            self.merger.stop()
        if self.output is not None:
            self.output.close()
        if self.into.batches is not None:
            self._batches.ring.close()

    def _hear(self, scorer: Scorer, answer: Any) -> None:
        match answer:
            case Ready():
                self._model = answer.about
            case Measured():
                self._know(answer.run)
            case Scored():
                self._scored(scorer, answer)
            case Failed(ticket=None):
                raise InputError(f"the run's constants can't be measured: {answer.reason}")
            case Failed():
                self._failed(scorer, answer)

    def _replace(self, scorer: Scorer, why: str) -> None:
        batch, scorer.batch = scorer.batch, None
        if batch is None:
            self._measuring = False  # if it was measuring, another shall
        elif batch.attempts < _ATTEMPTS or self.pool.cluster_lost:  # its frames did not kill a whole cluster
            self._batches.give_back(batch)
        else:
            self.ledger.dropped(batch.n, LOST)
            self._free(batch)
        self.observer(Warned("scoring", f"a scoring process {why}; {self.pool.replace(scorer)}"))

    @property
    def _batches(self) -> Batches:
        assert self.into.batches is not None
        return self.into.batches

    def _free(self, batch: Batch) -> None:
        self._batches.free(batch)

    def _attach(self) -> None:
        """Tell everybody of a new ring."""
        if self.into.generation == self._generation:
            return
        self._generation = self.into.generation
        layout, mask = self._batches.ring.layout, self.into.mask
        self.pool.forget(Constants)
        self.pool.tell_all(Attach(layout, mask))
        self._first_frames = time.monotonic()
        self._run_constants, self._measuring = None, False
        if self.output is not None:
            kept = self.output.constants(self._model, layout, mask)
            if kept is not None:
                self._know(kept)
            self.output.open(layout, mask, model=self._model, source=self._watch.source.uri)

    def _measure(self) -> None:
        """Have the run's constants measured, once enough of the first frames are there."""
        batches = self.into.batches
        if batches is None or self._run_constants is not None or self._measuring or not self.pool.idle():
            return
        late = time.monotonic() - self._first_frames > self.plan.queue.settle_s
        enough = batches.sampled >= self.plan.queue.sample
        over = self.into.draining or not self._watch.receiver.running
        if not batches.sampled or not (enough or late or over):
            return
        sample = tuple((batch.slot, batch.n) for batch in batches.sample())
        self.pool.give(self.pool.idle()[0], Measure(sample))
        self._measuring = True

    def _know(self, run: bytes) -> None:
        self._run_constants, self._measuring = run, False
        self.pool.tell_all(Constants(run))
        self._batches.release_sample()
        if self.output is not None:
            self.output.keep_constants(run, self._model, self._batches.ring.layout, self.into.mask)

    def _hand_out(self) -> None:
        if self._run_constants is None or self.into.batches is None:
            return
        for scorer in self.pool.idle():
            batch = self._batches.take()
            if batch is None:
                return
            self.pool.score(scorer, batch)

    def _scored(self, scorer: Scorer, answer: Scored) -> None:
        batch, scorer.batch = scorer.batch, None
        if batch is None or batch.ticket != answer.ticket:
            return
        scores = unpack_scores(answer.scores, self._model)
        selected = select(scores, self._select)
        numbers, series = batch.numbers[: batch.n], self._watch.receiver.series[batch.series]
        frames = self._batches.ring.slot(batch.slot)[: batch.n]
        self.ledger.processed(time.monotonic() - batch.arrivals[: batch.n])
        self.statistics.add(scores, selected, frames, numbers=numbers, series=series)
        if self.output is None:
            self._free(batch)
        else:
            self.output.write(batch, answer.scores, selected, series)

    def _failed(self, scorer: Scorer, answer: Failed) -> None:
        batch, scorer.batch = scorer.batch, None
        if batch is None:
            return
        self.observer(Warned("scoring", f"{batch.n} frames can't be scored: {answer.reason}"))
        self.ledger.dropped(batch.n, "the model can't score them")
        self._free(batch)

    def _summary(self) -> dict[str, Any]:
        figures = {
            "selected": self.statistics.selected,
            "reject_band": self.statistics.reject_band,
            "out_of_distribution": self.statistics.out_of_distribution,
        }
        ledger, source = self.ledger.counts().as_dict(), self._watch.source.uri
        return {"ledger": ledger, **figures, "model": self._model, "source": source}


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
        if plan.merge is not None and (plan.output is None or plan.keep.frames == "none"):
            raise PlanError("hits are merged from what is written: give a folder, -o FOLDER, and keep.frames=selected")
        self.ledger = Ledger()
        self.sink = HitsSink(plan, self.ledger, observer)
        setting = WatchSetting(
            folder=plan.output, silent_s=plan.silent_s, display_s=plan.display_s, log_s=plan.log_s,
            alarms=plan.alarms,
        )  # fmt: skip
        self.watch = Watch(
            source if source is not None else find_source(plan.source or ""), self.sink, setting,
            ledger=self.ledger, display=display, observer=observer, on_snapshot=on_snapshot,
        )  # fmt: skip

    def stop(self) -> None:
        """End the watch: score what waits, close all files. Called a second time, drop what waits."""
        self.watch.stop()

    def run(self) -> WatchResult:
        """Watch until the source ends or `stop` is called; every file is then closed.

        Raises
        ------
        InputError
            If the source, the mask or the model can't be used, or the folder is locked or can't be written.
        """
        self.watch.run()
        plan, files = self.sink.plan, self.sink.files
        if plan.output is not None and plan.merge is not None and plan.merge.final:
            files = files | final_merge(plan.output, plan.merge, self.sink.observer)
        return WatchResult(counts=self.ledger.counts(), snapshot=self.watch.snapshot(), files=files)


def final_merge(folder: Path, options: LiveMergeOptions, observer: Observer) -> dict[str, Path]:
    """Merge the hits of a watch that has ended, as `friedel merge hits.emc -o merge` does; return the files.

    Parameters
    ----------
    folder : Path
        Of the watch.
    options : LiveMergeOptions
        Detector and symmetry.
    observer : Observer
        Hears the progress, or why they can't be merged.
    """
    from friedel.spi.live.merging.hits import leave_detector
    from friedel.spi.merge.merge import run_merge
    from friedel.spi.merge.plan import MergePlan

    hits = folder / f"{STEM}.emc"
    if not hits.is_file():
        observer(Warned("merge", "no hits.emc was written, so nothing is merged"))
        return {}
    if options.detector is None:
        leave_detector(folder)
    same = options.model_dump(include={"detector", "distance", "polarisation", "symmetry", "seed"})
    try:
        done = run_merge(MergePlan(frames=(hits,), **same), folder / "merge", observer=observer)
    except FriedelError as error:
        observer(Warned("merge", f"the hits aren't merged: {error}"))
        return {}
    return {f"merge {name}": path for name, path in done.files.items()}


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
