"""The files of a watch as the watch sees it: taken up again, written through the writing process, closed."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.errors import InputError
from friedel.core.observer import Note, Warned
from friedel.spi.live.calibration import identity, load_constants, save_constants
from friedel.spi.live.growing import RunStart, ScoredFrames
from friedel.spi.live.plan import WatchPlan
from friedel.spi.live.writer import FinishFiles, NoteLedger, OpenPart, WriteBatch, written_in
from friedel.spi.live.writer_client import WriterClient
from friedel.stream.batches import Batch, RingLayout
from friedel.stream.ledger import LedgerCounts
from friedel.stream.ledger_file import Account
from friedel.stream.watching import Watch

LEDGER_COLUMNS = ("time", "seen", "processed", "dropped", "late", "duplicate", "malformed", "waiting", "missing")
_CLOSE_S = 60.0  # s for the writing process to write what waits and to close its files; then it is ended
_TELL_S = 5.0  # s after which a person wonders why the watch doesn't end, and is told: a choice
_POLL_S = 0.01  # s between two looks whether it has


class Output:
    """The results of one watch.

    Parameters
    ----------
    watch : Watch
        Whose folder it is, locked.
    plan : WatchPlan
        What is kept.
    free : function
        Called with a batch whose frames aren't needed any more.

    Raises
    ------
    InputError
        If it can't be written, or what is there is damaged or not to be continued.
    """

    def __init__(self, watch: Watch, plan: WatchPlan, *, free: Callable[[Batch], None]) -> None:
        assert watch.setting.folder is not None
        assert watch.account is not None  # there is one where there is a folder
        self._folder, self._plan, self._observer = watch.setting.folder, plan, watch.observer
        self._free = free
        self.earlier = self._take_up(watch.account)
        self._clock = time.time() - time.monotonic()
        self._write_plan(plan.text())
        self.writer = WriterClient(
            self._folder, plan.keep, watch.session, watch.ledger, watch.observer, free, wake=watch.wake
        )

    def open(self, layout: RingLayout, mask: NDArray[np.bool_] | None, *, model: str, source: str) -> None:
        """Begin a part for this kind of frames.

        Parameters
        ----------
        layout : RingLayout
            Shape and dtype of the frames, and the ring they lie in.
        mask : (y, x) bool or None
            True where the detector measures.
        model, source : str
            Name of the weights and URI of the source, kept in the file.
        """
        about = {"model": model, "source": source, "version": __version__, "plan": self._plan.text()}
        start = RunStart(shape=layout.shape, dtype=layout.dtype, mask=mask, about=about, ledger_columns=LEDGER_COLUMNS)
        self.writer.open(OpenPart(layout, start))

    def constants(self, model: str, layout: RingLayout, mask: NDArray[np.bool_] | None) -> bytes | None:
        """Return the constants of an earlier watch of such frames, if there are any."""
        return load_constants(self._folder, identity(model, layout.shape, mask))

    def keep_constants(self, data: bytes, model: str, layout: RingLayout, mask: NDArray[np.bool_] | None) -> None:
        """Keep constants for a later watch.

        Parameters
        ----------
        data : bytes
            From `pack_constants`.
        model : str
            Name and hash of the weights.
        layout : RingLayout
            Its shape is the frames'.
        mask : (y, x) bool or None
            True where the detector measures.
        """
        try:
            save_constants(self._folder, data, identity(model, layout.shape, mask))
        except OSError as error:
            self._observer(Warned("results", f"the run's constants aren't kept ({error.strerror or error})"))

    def write(self, batch: Batch, scores: NDArray[Any], selected: NDArray[np.bool_], series: str) -> None:
        """Write a scored batch; its slot is given free once that is done.

        Parameters
        ----------
        batch : Batch
            Its first ``n`` frames count.
        scores : (n,) `SCORE`
            Of these frames.
        selected : (n,) bool
            Which of them are kept.
        series : str
            Name of their series.
        """
        n, kept = batch.n, self._plan.keep.frames == "selected" and bool(selected.any())
        scored = ScoredFrames(
            numbers=batch.numbers[:n],
            series=series,
            timestamps=batch.timestamps[:n],
            arrivals=batch.arrivals[:n] + self._clock,
            scores=scores,
            selected=selected,
        )
        self.writer.write(WriteBatch(batch.ticket, batch.slot if kept else None, scored), batch if kept else None)
        if not kept:
            self._free(batch)

    def note(self, counts: LedgerCounts) -> None:
        """Add the counts to the file and the log."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {counts.sentence()}"
        values = counts.as_dict() | {"time": time.time()}
        self.writer.note(NoteLedger(tuple(float(values[name]) for name in LEDGER_COLUMNS), line))

    def finish(self, summary: Callable[[], Mapping[str, Any]]) -> dict[str, Path]:
        """Have all files closed; return them by what they are.

        ``summary`` is asked for last, so that it counts what could not be written.
        """
        self.writer.finish(FinishFiles())
        began, told = time.monotonic(), False
        while self.writer.finished is None and not self.writer.gone and time.monotonic() - began < _CLOSE_S:
            self.writer.hear()
            if not told and time.monotonic() - began > _TELL_S:
                told = True
                text = f"closing its files takes the writing process long; waiting up to {_CLOSE_S:.0f} s for the disk"
                self._observer(Warned("results", f"{self._folder}: {text}"))
            time.sleep(_POLL_S)
        finished = self.writer.finished
        if finished is None:
            self.writer.give_up_all("the writing process doesn't answer")
        if finished is None or finished.refused:
            reason = "the writing process doesn't answer" if finished is None else finished.refused
            self._observer(Warned("results", f"{self._folder}: not all could be written: {reason}"))
        self.writer.give_up_all("the watch was stopped")  # what a writer that died at the end left to no successor
        files = {} if finished is None else {name: Path(path) for name, path in finished.files.items()}
        return files | self._summarise(summary())

    def close(self) -> None:
        """End the writing process."""
        self.writer.stop()

    def _summarise(self, summary: Mapping[str, Any]) -> dict[str, Path]:
        path = self._folder / "summary.json"
        try:
            path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            self._observer(Warned("results", f"{path}: can't be written ({error.strerror or error})"))
            return {}
        return {"summary": path}

    def _write_plan(self, text: str) -> None:
        try:
            (self._folder / "plan.yaml").write_text(text, encoding="utf-8")
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{self._folder}: can't be written ({reason}); choose another folder") from error

    def _take_up(self, account: Account) -> dict[str, NDArray[np.int64]]:
        done = written_in(self._folder, account)
        if done and not self._plan.keep.resume:
            text = "holds results already, and the plan says not to resume; name another folder"
            raise InputError(f"{self._folder}: {text}")
        if done:
            n_done = sum(len(numbers) for numbers in done.values())
            text = f"{n_done} frames are scored already; those that come again count as duplicates"
            self._observer(Note("resume", text))
        return done
