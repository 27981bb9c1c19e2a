"""The one loop of a watch: a source, a ledger, a display, and a sink that does something with the frames.

*Seen → handed out → scored → written and flushed → acknowledged*: the receiver counts a frame as it comes; the sink
hands it to a process, hears of it, and lets go of it only once it is on disk or counted as lost, with its reason.
Ctrl-C, SIGTERM and SIGHUP end the loop cleanly; a second time, at once. It knows neither science.
"""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from friedel.core.errors import FriedelError, InputError
from friedel.core.files.atomic import remove_unfinished
from friedel.core.machine.processes import on_signal
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.stream.alarms import AlarmOptions, Alarms
from friedel.stream.display import Control, Display
from friedel.stream.ledger import Ledger, LedgerCounts
from friedel.stream.ledger_file import KILLED, Account, Keeper, lock_folder
from friedel.stream.receiving import FrameKind, Receiver
from friedel.stream.shared import sweep
from friedel.stream.snapshot import Snapshot
from friedel.stream.sources.source import Source

_TICK_S = 0.05  # s; the longest that a turn of the loop waits, and so that a stop or a dead process goes unnoticed
_RATE_OVER_S = 3.0  # s over which the shown rate is averaged: shorter flickers, longer lags behind a change
_DRAIN_S = 10.0  # s for frames in hand to be scored and written after a stop; then they are counted as dropped


class Sink(Protocol):
    """What a watch does with its frames. All is called by the loop's thread, but for what `FrameKind` asks.

    Attributes
    ----------
    mode : str
        Of the snapshots.
    """

    mode: str

    @property
    def into(self) -> FrameKind:
        """What takes the frames, from the receiver's thread."""

    def start(self, watch: "Watch") -> None:
        """Start processes, take up what is in the folder.

        Raises
        ------
        InputError
            If something can't be used.
        """

    def step(self) -> None:
        """Hear the processes and hand out work; never waits."""

    @property
    def ready(self) -> bool:
        """Whether everything is loaded, so that the source may be opened."""

    @property
    def hungry(self) -> bool:
        """Whether the next frame is to wake the loop."""

    @property
    def drained(self) -> bool:
        """Whether nothing is left to do once no more frames come."""

    def stopping(self) -> None:
        """Hear that no more frames come, because the watch was asked to stop."""

    def obey(self, control: Control) -> None:
        """Take up what the page asks for."""

    def view(self) -> Any:
        """Return the sink's part of a snapshot."""

    def note(self, counts: LedgerCounts) -> None:
        """Hear the counts, now and then."""

    def finish(self) -> None:
        """Give up what waits, counted; close all files."""

    def close(self) -> None:
        """End all processes, let go of all memory; safe to call at any moment."""


@dataclass(frozen=True, kw_only=True)
class WatchSetting:
    """What the loop has to know.

    Attributes
    ----------
    folder : Path or None
        Where results and ledger are written; None writes none.
    silent_s, display_s, log_s : float
        When a source is called silent; time between two snapshots, and between two lines of the ledger, s.
    alarms : AlarmOptions or None
        Whom to tell of what.
    """

    folder: Path | None
    silent_s: float = 5.0
    display_s: float = 0.25
    log_s: float = 10.0
    alarms: AlarmOptions | None = None


class Watch:
    """A watch: `run` does it all, `stop` (from another thread) ends it early and cleanly.

    Parameters
    ----------
    source : Source
        Not yet open.
    sink : Sink
        What becomes of the frames.
    setting : WatchSetting
        Folder and times.
    ledger : Ledger
        The sink's too.
    display : Display, optional
        Where snapshots are shown, and threshold and pause come from.
    observer : Observer
        Hears what is odd, and the ledger now and then.
    on_snapshot : function, optional
        Called with each snapshot in this process; it must be quick.
    on_open : function, optional
        Called once everything is loaded and the source is open.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        setting: WatchSetting,
        *,
        ledger: Ledger,
        display: Display | None = None,
        observer: Observer = silent,
        on_snapshot: Callable[[Snapshot], None] | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        self.source, self.sink, self.setting, self.ledger = source, sink, setting, ledger
        self.observer = observer
        self._display, self._on_snapshot, self._on_open = display, on_snapshot, on_open
        self._news, self._asleep = threading.Event(), False
        self.receiver = Receiver(
            source=source, ledger=ledger, into=sink.into, observer=observer, done={}, silent_s=setting.silent_s,
            wake=self._frame_came,
        )  # fmt: skip
        self.threshold: float | None = None
        self._lock: int | None = None
        self._keeper: Keeper | None = None
        self._alarms: Alarms | None = None
        self._stops = 0
        self._due = {"display": 0.0, "log": time.monotonic() + setting.log_s}
        self._rates: deque[tuple[float, int]] = deque(maxlen=256)

    @property
    def session(self) -> int:
        """The session's number in the folder's ledger; 0 without a folder."""
        return 0 if self._keeper is None else self._keeper.session

    @property
    def account(self) -> Account | None:
        """The ledger on disk."""
        return None if self._keeper is None else self._keeper.account

    def wake(self) -> None:
        """Have the loop look round now."""
        self._news.set()

    def stop(self) -> None:
        """End the watch: finish what waits, close all files. Called a second time, give up what waits.

        A signal's handler calls it too, perhaps in the middle of the loop's own wait: so it takes no lock, and the loop
        finds out within its next turn.
        """
        self._stops += 1

    def run(self) -> None:
        """Watch until the source ends or `stop` is called; every file is then closed.

        Raises
        ------
        InputError
            If source or folder can't be used, or the source fails for good; what came before is written.
        """
        with on_signal(self.stop):  # to the very end: a signal that cut the closing short would leave processes behind
            try:
                sweep()
                self.source.open()
                self._take_folder()
                if self.setting.alarms is not None and self.setting.alarms.webhook is not None:
                    self._alarms = Alarms(self.setting.alarms, self.setting.folder, self.observer)
                self.sink.start(self)
                try:
                    self._turn_until_done()
                except FriedelError:  # what came before is counted and kept
                    self._finish()
                    raise
                self._finish()
            finally:
                self._end()
        self._raise_what_ended_it()

    def snapshot(self) -> Snapshot:
        """Return what a display shows of this moment."""
        return Snapshot(
            mode=self.sink.mode,
            taken=time.time(),
            source=self.receiver.state,
            ledger=self.ledger.counts(),
            frames_per_s=self._rate(),
            threshold=self.threshold,
            paused=self.receiver.paused,
            folder="" if self.setting.folder is None else str(self.setting.folder),
            view=self.sink.view(),
        )

    def _take_folder(self) -> None:
        folder = self.setting.folder
        if folder is None:
            return
        self._lock = lock_folder(folder)
        remove_unfinished(folder)
        self._tell_of_kills(folder)
        self._keeper = Keeper(folder, self.source.uri, self.ledger.counts)

    def _tell_of_kills(self, folder: Path) -> None:
        """Close, in the ledger, the sessions that were killed, and say what they lost."""
        account = Account(folder)
        try:
            for session, counts in account.close_killed():
                lost = counts.dropped_why.get(KILLED, 0)
                self.observer(
                    Note("resume", f"session {session} was killed; {lost} frames it had seen weren't written")
                )
        finally:
            account.close()

    def _turn_until_done(self) -> None:
        received, stopped_at = False, math.inf
        while True:
            self._rest()
            self.sink.step()
            if not received and not self._stops and self.sink.ready:
                self.receiver.start()
                received = True
                if self._on_open is not None:
                    self._on_open()
            self._tick()
            if self._stops and stopped_at == math.inf:
                stopped_at = time.monotonic()
                self.receiver.cease()
                self.sink.stopping()
            over = received and not self.receiver.running and self.sink.drained
            if over or (self._stops and not received) or self._stops > 1 or time.monotonic() - stopped_at > _DRAIN_S:
                return

    def _rest(self) -> None:
        """Wait for an answer or a frame, `_TICK_S` at most. A busy sink isn't woken by frames, only by its answers."""
        self._asleep = self.sink.hungry
        self._news.wait(_TICK_S)
        self._news.clear()
        self._asleep = False

    def _frame_came(self) -> None:
        if self._asleep or not self.receiver.running:
            self._news.set()

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._due["display"]:
            self._due["display"] = now + self.setting.display_s
            if self._display is not None:
                control = self._display.control()
                self.receiver.paused = control.paused
                self.sink.obey(control)
            self._show()
        if now >= self._due["log"]:
            self._due["log"] = now + self.setting.log_s
            self._note()

    def _show(self) -> None:
        self._rates.append((time.monotonic(), self.ledger.counts().processed))
        if self._display is None and self._on_snapshot is None and self._alarms is None:
            return
        snapshot = self.snapshot()
        if self._alarms is not None:
            self._alarms.look(snapshot)
        if self._display is not None:
            self._display.show(snapshot)
        if self._on_snapshot is not None:
            self._on_snapshot(snapshot)

    def _rate(self) -> float:
        recent = [entry for entry in self._rates if entry[0] > time.monotonic() - _RATE_OVER_S]
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    def _note(self) -> None:
        counts = self.ledger.counts()
        self.observer(Note("ledger", counts.sentence()))
        self.sink.note(counts)
        if self._keeper is not None and self._keeper.trouble:
            self.observer(Warned("ledger", self._keeper.trouble))

    def _finish(self) -> None:
        self.receiver.stop()
        self.sink.finish()
        self._note()
        self._show()

    def _raise_what_ended_it(self) -> None:
        error = self.receiver.error
        if isinstance(error, FriedelError):
            raise error
        if error is not None:
            text = f"{self.source.uri}: the source failed again and again ({type(error).__name__}: {error})"
            raise InputError(f"{text}; what came before is kept. Run friedel check-stream on it")

    def _end(self) -> None:
        """Close everything, going on past what can't be closed."""
        self.receiver.stop()
        try:
            self.source.close()
        finally:
            try:
                self.sink.close()
            finally:
                self._close_folder()

    def _close_folder(self) -> None:
        if self._alarms is not None:
            self._alarms.close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
