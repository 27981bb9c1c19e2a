"""``replay://``: a recorded stream, event for event as it came.

``replay://stream.frs`` at its own pace, ``?rate=500`` at a given one, ``?rate=max`` as fast as frames are scored.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from friedel.core.errors import InputError
from friedel.core.options import Options
from friedel.stream.recording import recorded_events
from friedel.stream.sources.events import Ended, Event, Message
from friedel.stream.sources.source import Source, SourceAddress


class ReplayOptions(Options):
    """What may stand after "?"."""

    rate: Annotated[float, Field(gt=0)] | Literal["own", "max"] = "own"
    """Frames a second; "own": as recorded; "max": as fast as they are scored."""


class ReplaySource:
    """The events of a recording."""

    def __init__(self, address: SourceAddress) -> None:
        self.uri, self._path = address.uri, Path(address.path)
        rate = address.options(ReplayOptions).rate
        self._own, self.patient = rate == "own", rate == "max"
        self._pace = Pace(rate if isinstance(rate, float) else None)
        self._events: Iterator[tuple[float, Event]] | None = None
        self._next: Event | None = None
        self._ended = False

    def open(self) -> None:
        """Open the file.

        Raises
        ------
        InputError
            If it is missing or no recording.
        """
        if not self._path.is_file():
            raise InputError(f"{self.uri}: no such file; record one with friedel record URI FILE")
        self._events = recorded_events(self._path)
        self._advance()

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next event when it is due; see `Source`."""
        if self._next is None:
            return Ended(reason="the recording is over")
        wait = self._pace.due_in()
        if wait > 0:
            time.sleep(min(wait, timeout_s))
            if wait > timeout_s:
                return None
        event = self._next
        if isinstance(event, Message):
            self._pace.passed(len(event.frames) if event.frames.ndim == 3 else 1)
        self._advance()
        return event

    def close(self) -> None:
        """Close the file."""
        self._events = self._next = None

    def _advance(self) -> None:
        after, self._next = next(self._events, (0.0, None)) if self._events is not None else (0.0, None)
        if self._own:
            self._pace.due_after(after)


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return ReplaySource(address)


class Pace:
    """Tells how long to wait before a message; time lost is caught up with.

    Parameters
    ----------
    frames_per_s : float or None
        A fixed rate; None: as `due_after` says.
    """

    def __init__(self, frames_per_s: float | None) -> None:
        self._rate = frames_per_s
        self._began: float | None = None
        self._due = 0.0

    def due_in(self) -> float:
        """Return how long until the next message is due, s; 0 if it is now."""
        if self._began is None:
            self._began = time.monotonic()
        return max(self._began + self._due - time.monotonic(), 0.0)

    def passed(self, n_frames: int) -> None:
        """Count a message: the next is due after as long as its frames take."""
        if self._rate is not None:
            self._due += n_frames / self._rate

    def due_after(self, seconds: float) -> None:
        """Say that the next message is due so long after the first."""
        self._due = seconds
