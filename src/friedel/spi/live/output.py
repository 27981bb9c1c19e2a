"""The folder of a watch as the watch sees it: locked, taken up again, written through the writing process, closed."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Warned
from friedel.spi.live.calibration import identity, load_constants, save_constants
from friedel.spi.live.plan import WatchPlan
from friedel.spi.live.scribe import Scribe
from friedel.spi.live.writing import Finish, NoteLedger, Open, Write, numbers_in
from friedel.spi.scores.growing_run import RunStart, ScoredFrames, lock_folder
from friedel.stream.batches import Batch, RingLayout
from friedel.stream.ledger import Ledger, LedgerCounts

LEDGER_COLUMNS = ("time", "seen", "processed", "dropped", "late", "duplicate", "malformed", "waiting", "missing")
_CLOSE_S = 60.0
_POLL_S = 0.05


class Output:
    """The results of one watch.

    Parameters
    ----------
    folder : Path
        Where they are written; made and locked here.
    plan : WatchPlan
        What is kept.
    ledger : Ledger
        Counts what can't be written.
    observer : Observer
        Hears why.
    free : function
        Called with a batch whose frames aren't needed any more.

    Raises
    ------
    InputError
        If another watch writes there, it can't be written, or what is there is damaged or not to be continued.
    """

    def __init__(
        self, folder: Path, plan: WatchPlan, *, ledger: Ledger, observer: Observer, free: Callable[[Batch], None]
    ) -> None:
        self._folder, self._plan, self._observer = folder, plan, observer
        self._free = free
        self._lock: int | None = lock_folder(folder)
        self.earlier = self._take_up()
        self._clock = time.time() - time.monotonic()
        (folder / "plan.yaml").write_text(plan.text(), encoding="utf-8")
        self.scribe = Scribe(folder, plan.keep, ledger, observer, free)

    def open(self, layout: RingLayout, mask: NDArray[np.bool_] | None, *, model: str, source: str) -> None:
        """Begin a part for this kind of frames."""
        about = {"model": model, "source": source, "version": __version__, "plan": self._plan.text()}
        start = RunStart(shape=layout.shape, dtype=layout.dtype, mask=mask, about=about, ledger_columns=LEDGER_COLUMNS)
        self.scribe.open(Open(layout, start))

    def constants(self, model: str, layout: RingLayout, mask: NDArray[np.bool_] | None) -> bytes | None:
        """Return the constants of an earlier watch of such frames, if there are any."""
        return load_constants(self._folder, identity(model, layout.shape, mask))

    def keep_constants(self, data: bytes, model: str, layout: RingLayout, mask: NDArray[np.bool_] | None) -> None:
        """Keep constants for a later watch."""
        try:
            save_constants(self._folder, data, identity(model, layout.shape, mask))
        except OSError as error:
            self._observer(Warned("results", f"the run's constants aren't kept ({error.strerror or error})"))

    def write(self, batch: Batch, scores: NDArray[Any], selected: NDArray[np.bool_], series: str) -> None:
        """Write a scored batch; its slot is given free once that is done."""
        n, kept = batch.n, self._plan.keep.frames == "selected" and bool(selected.any())
        scored = ScoredFrames(
            numbers=batch.numbers[:n],
            series=series,
            timestamps=batch.timestamps[:n],
            arrivals=batch.arrivals[:n] + self._clock,
            scores=scores,
            selected=selected,
        )
        self.scribe.write(Write(batch.ticket, batch.slot if kept else None, scored), batch if kept else None)
        if not kept:
            self._free(batch)

    def note(self, counts: LedgerCounts) -> None:
        """Add the counts to the file and the log."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {counts.sentence()}"
        values = counts.as_dict() | {"time": time.time()}
        self.scribe.note(NoteLedger(tuple(float(values[name]) for name in LEDGER_COLUMNS), line))

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Path]:
        """Have all files closed; return them by what they are."""
        self.scribe.finish(Finish(summary))
        began = time.monotonic()
        while self.scribe.finished is None and time.monotonic() - began < _CLOSE_S:
            if self.scribe.orders.poll(_POLL_S):
                self.scribe.hear()
        finished = self.scribe.finished
        if finished is None or finished.refused:
            reason = "the writing process doesn't answer" if finished is None else finished.refused
            self._observer(Warned("results", f"{self._folder}: not all could be written: {reason}"))
        return {} if finished is None else {name: Path(path) for name, path in finished.files.items()}

    def close(self) -> None:
        """End the writing process and let go of the folder."""
        self.scribe.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_up(self) -> dict[str, NDArray[np.int64]]:
        done = numbers_in(self._folder)
        if done and not self._plan.keep.resume:
            text = "holds results already, and the plan says not to resume; name another folder"
            raise InputError(f"{self._folder}: {text}")
        if done:
            n_done = sum(len(numbers) for numbers in done.values())
            text = f"{n_done} frames are scored already; those that come again count as duplicates"
            self._observer(Note("resume", text))
        return done
