"""The receiving stage: a thread that takes events from a source, judges each frame, and puts the good ones in the ring.

Every frame that comes is counted here, once, the moment it comes. Source clocks are kept and never trusted: latency
is measured by this machine's own monotonic clock.
"""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import FriedelError
from friedel.core.observer import Observer, Warned
from friedel.stream.arrivals import LARGEST_GAP, Arrivals, Verdict, among
from friedel.stream.ledger import Fate, Ledger
from friedel.stream.snapshot import SourceState
from friedel.stream.sources.events import Begun, Ended, Event, Lost, Malformed, Message
from friedel.stream.sources.source import Source

_POLL_S = 0.1  # s; how soon the thread notices that it is to stop, or that the source has gone silent
PAUSED = "paused on request"
ABSURD = "a number too far ahead to be true"
NO_NUMBER = "a number that can't be one"
# A source that fails so often in a row won't recover; after each failure it is given a little more time.
_FAILURES, _RETRY_S = 50, 0.02
_LARGEST_NUMBER = 1 << 62  # numbers and their sums with a message's frames stay within int64


class FrameKind(Protocol):
    """What a series' frames are, and where they go; the watch's own."""

    def accept(self, frames: NDArray[Any], numbers: NDArray[np.int64], *, series: int, timestamp: float) -> None:
        """Take frames that were counted as waiting.

        Parameters
        ----------
        frames : (n, y, x), any real dtype
            Photons or detector units.
        numbers : (n,) int64
            Their numbers in the series.
        series : int
            The series' number in this watch, from 1.
        timestamp : float
            The source's time, s since the epoch; NaN if it gives none.
        """

    def mismatch(self, frames: NDArray[Any]) -> str:
        """Say why frames don't fit this series; empty if they do. The first ones decide what fits."""

    def begin(self, begun: Begun) -> None:
        """Take note of a new series: what its frames are may change."""

    def room(self, timeout_s: float) -> bool:
        """Wait for room, at most so long; return whether there is some."""


@dataclass(eq=False)
class Receiver:
    """Takes events from a source until it ends or `stop` is called.

    Attributes
    ----------
    source : Source
        Open.
    ledger : Ledger
        Counts every frame.
    into : FrameKind
        Where good frames go.
    observer : Observer
        Hears what is odd.
    done : mapping of str to (n,) int64
        Sorted numbers, by series, of frames that an earlier watch has scored.
    silent_s : float
        Time without an event after which the source is silent.
    wake : function
        Called when frames have been put in the ring, or the source has ended.
    """

    source: Source
    ledger: Ledger
    into: FrameKind
    observer: Observer
    done: dict[str, NDArray[np.int64]]
    silent_s: float
    wake: Callable[[], None]
    paused: bool = False
    series: list[str] = field(default_factory=list)
    error: Exception | None = None
    expected: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._arrivals = Arrivals()
        self._renewals = self._failures = 0
        self._base, self._lasting = "", False
        self._heard = time.monotonic()
        self._state = SourceState(name=self.source.uri, state="opening", since=time.time())
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    @property
    def state(self) -> SourceState:
        """How the source is doing."""
        return self._state

    @property
    def running(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()

    def cease(self) -> None:
        """Receive no more, soon; returns at once."""
        self._stop.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Receive no more, and wait until that is so."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self.source.patient and not self._may_go_on():
                    continue
                event = self._next_event()
                self._note_state(event)
                if isinstance(event, Ended):
                    break
                if event is not None:
                    self._handle(event)
                    self.wake()
        except Exception as error:  # any error of a plug-in is reported: else the thread would end without a word
            self.error = error
            self._change("lost", str(error))
        finally:
            self.wake()

    def _next_event(self) -> Event | None:
        """Return the source's next event; any error of its decoder becomes a `Malformed` event.

        Raises
        ------
        FriedelError
            If the source says that it can't be used.
        Exception
            Whatever it raises when it does so again and again.
        """
        try:
            event = self.source.receive(_POLL_S)
        except FriedelError:
            raise
        except Exception as error:  # a decoder may raise anything on unexpected bytes
            self._failures += 1
            if self._failures >= _FAILURES:
                raise
            self._stop.wait(_RETRY_S * self._failures)
            return Malformed(reason=f"what the decoder can't bear ({type(error).__name__})")
        self._failures = 0
        return event

    def _may_go_on(self) -> bool:
        """Say whether there is room for more of a patient source's frames, waiting a little if there isn't."""
        if self.paused:
            self._stop.wait(_POLL_S)
            return False
        return self.into.room(_POLL_S)

    def _note_state(self, event: Event | None) -> None:
        now = time.monotonic()
        if event is None:
            if self._state.state in ("opening", "live") and now - self._heard > self.silent_s:
                self._change("silent", f"nothing has come for {self.silent_s:g} s")
            return
        self._heard = now
        match event:
            case Lost(reason=reason):
                self._change("lost", reason)
            case Ended(reason=reason):
                self._change("ended", reason)
            case Message():
                self._change("live", "")

    def _change(self, state: Any, reason: str) -> None:
        if state == self._state.state:
            return
        if state in ("silent", "lost"):
            self.observer(Warned("source", f"{state}: {reason}"))
        self._state = SourceState(name=self.source.uri, state=state, since=time.time(), reason=reason)

    def _handle(self, event: Event) -> None:
        match event:
            case Begun():
                self._begin(event)
            case Message():
                self._take(event)
            case Malformed():
                self._refuse(event.number, event.n_frames, event.reason)
            case Lost():
                self._arrivals.may_begin_anew()

    def _begin(self, begun: Begun) -> None:
        believable = isinstance(begun.expected, int) and 0 < begun.expected <= LARGEST_GAP * 1000
        begun = begun if believable or begun.expected is None else replace(begun, expected=None)
        # Of a series whose numbers mean nothing after a restart, the name says when it began.
        self._base = begun.series if begun.lasting else self._new_name(f"{begun.series}@{int(time.time())}")
        self._lasting, self._renewals = begun.lasting, 0
        self.expected = begun.expected or 0
        self._arrivals = Arrivals()
        self.series.append(self._base)
        self.into.begin(begun)

    def _new_name(self, name: str) -> str:
        """Return a name no other series has: two may begin in one second, or the clock was set back."""
        taken = {*self.series, *self.done}
        others = (f"{name}.{count}" for count in itertools.count(1))
        return name if name not in taken else next(other for other in others if other not in taken)

    def _take(self, message: Message) -> None:
        frames = message.frames[None] if message.frames.ndim == 2 else message.frames
        n_frames = frames.shape[0] if frames.ndim == 3 else 1
        if not n_frames:
            return
        if not self.series:  # a source that tells of no series has one
            self._begin(Begun(series=self.source.uri))
        if not 0 <= message.number <= _LARGEST_NUMBER:
            self.ledger.refused(Fate.MALFORMED, n_frames, NO_NUMBER)
            return
        reason = self.into.mismatch(frames)
        if reason:
            self._refuse(message.number, n_frames, reason)
            return
        verdict = self._judged(message.number, n_frames)
        if verdict.absurd:
            self.ledger.refused(Fate.MALFORMED, n_frames, ABSURD)
            return
        numbers = message.number + np.arange(n_frames)
        fresh = self._not_done(numbers, verdict.fresh)
        if fresh.any():
            chosen = frames if fresh.all() else frames[fresh]
            self._pass_on(chosen, numbers[fresh], message.timestamp)

    def _pass_on(self, frames: NDArray[Any], numbers: NDArray[np.int64], timestamp: float) -> None:
        self.ledger.arrived(len(frames))
        if self.paused:
            self.ledger.dropped(len(frames), PAUSED)
        else:
            self.into.accept(frames, numbers, series=len(self.series) - 1, timestamp=timestamp)

    def _not_done(self, numbers: NDArray[np.int64], fresh: NDArray[np.bool_]) -> NDArray[np.bool_]:
        known = self.done.get(self.series[-1]) if self._lasting else None
        if known is None:
            return fresh
        done = among(numbers, known) & fresh
        if done.any():
            self.ledger.refused(Fate.DUPLICATE, int(done.sum()))
        return fresh & ~done

    def _refuse(self, number: int | None, n_frames: int, reason: str) -> None:
        """Count frames that can't be used; those whose number was seen before stay duplicates."""
        fresh = n_frames
        if number is not None and 0 <= number <= _LARGEST_NUMBER:
            verdict = self._judged(number, n_frames)
            fresh = n_frames if verdict.absurd else int(verdict.fresh.sum())
        if fresh:
            self.ledger.refused(Fate.MALFORMED, fresh, reason)

    def _judged(self, number: int, n_frames: int) -> Verdict:
        verdict = self._arrivals.judge(number, n_frames)
        if verdict.anew:
            self._renewals += 1
            self.series.append(f"{self._base}~{self._renewals}")
            self.observer(Warned("source", f"its frame numbers begin anew at {number}; counted as a new series"))
        if verdict.duplicate:
            self.ledger.refused(Fate.DUPLICATE, verdict.duplicate)
        if verdict.late:
            self.ledger.refused(Fate.LATE, verdict.late)
        if verdict.missing:
            self.ledger.missed(verdict.missing)
        return verdict
