"""Keep a stream: every event as it came, damaged ones too, with its time, so that a replay is the stream again."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from friedel.base.errors import InputError
from friedel.base.observer import Observer, Progress, Warned, silent
from friedel.io.stream_file import StreamReader, StreamWriter
from friedel.live.sources.events import Begun, Ended, Event, Lost, Malformed, Message
from friedel.live.sources.source import Source

_POLL_S = 0.2
_TELL_S = 1.0
_SIMPLE: dict[str, Callable[..., Event]] = {"malformed": Malformed, "lost": Lost, "ended": Ended}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What was recorded.

    Attributes
    ----------
    frames, malformed : int
        Frames, and messages that couldn't be used.
    seconds : float
        From the first event to the last.
    """

    frames: int
    malformed: int
    seconds: float


def pack_event(event: Event) -> tuple[dict[str, Any], bytes]:
    """Return an event as plain words and bytes."""
    if isinstance(event, Message):
        frames = np.ascontiguousarray(event.frames)
        words = {"number": event.number, "timestamp": event.timestamp, "meta": dict(event.meta)}
        return words | {"event": "message", "dtype": frames.dtype.str, "shape": list(frames.shape)}, frames.tobytes()
    if isinstance(event, Begun):
        mask = np.zeros((0, 0), bool) if event.mask is None else event.mask
        words = {"series": event.series, "lasting": event.lasting, "expected": event.expected}
        return words | {"event": "begun", "meta": dict(event.meta), "shape": list(mask.shape)}, mask.tobytes()
    return {"event": type(event).__name__.lower(), **asdict(event)}, b""


def unpack_event(words: dict[str, Any], data: bytes) -> Event:
    """Return the event that `pack_event` packed.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is none.
    """
    values = {name: value for name, value in words.items() if name not in ("event", "after", "dtype", "shape")}
    if words["event"] == "message":
        frames = np.frombuffer(data, np.dtype(words["dtype"])).reshape(words["shape"])
        return Message(frames=frames, **values)
    if words["event"] == "begun":
        mask = np.frombuffer(data, bool).reshape(words["shape"])
        return Begun(mask=mask if mask.size else None, **values)
    return _SIMPLE[words["event"]](**values)


def record_stream(
    source: Source,
    path: Path,
    *,
    seconds: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    observer: Observer = silent,
) -> Recorded:
    """Record a stream until it ends, time is up, or ``stopped`` says so; the file can be replayed at any moment.

    Parameters
    ----------
    source : Source
        Not yet open; closed at the end.
    path : Path
        The new file.
    seconds : float, optional
        How long.
    stopped : function
        Asked a few times a second.
    observer : Observer
        Hears how many frames there are.

    Raises
    ------
    InputError
        If the source can't be opened, or the file can't be written.
    """
    source.open()
    try:
        writer = StreamWriter(path)
        try:
            return _copy(source, writer, seconds or float("inf"), stopped, observer)
        finally:
            writer.close()
    finally:
        source.close()


def _copy(
    source: Source, writer: StreamWriter, seconds: float, stopped: Callable[[], bool], observer: Observer
) -> Recorded:
    counts: Counter[str] = Counter()
    began, first, last, told = time.monotonic(), None, 0.0, 0.0
    while not stopped() and time.monotonic() - began < seconds:
        event = source.receive(_POLL_S)
        if event is None:
            continue
        now = time.monotonic()
        first = now if first is None else first
        last = now - first
        words, data = pack_event(event)
        writer.add(words | {"after": last}, data)
        _count(counts, event, observer)
        if now - told > _TELL_S:
            observer(Progress("recording", counts["frames"], 0, {"malformed": counts["malformed"]}))
            told = now
        if isinstance(event, Ended):
            break
    return Recorded(frames=counts["frames"], malformed=counts["malformed"], seconds=last)


def _count(counts: Counter[str], event: Event, observer: Observer) -> None:
    if isinstance(event, Message):
        counts["frames"] += len(event.frames) if event.frames.ndim == 3 else 1
    elif isinstance(event, Malformed):
        counts["malformed"] += 1
    elif isinstance(event, Lost):
        observer(Warned("source", f"lost: {event.reason}"))


def recorded_events(path: Path) -> Iterator[tuple[float, Event]]:
    """Yield each event of a recording, and how long after the first it came, s.

    Raises
    ------
    InputError
        If the file is missing or no recording, or a record makes no sense.
    """
    reader = StreamReader(path)
    try:
        for words, data in reader:
            try:
                event = unpack_event(words, data)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}: a record can't be understood ({error}); record the stream again") from None
            yield float(words.get("after", 0.0)), event
        if reader.cut_off:
            yield 0.0, Ended(reason="the recording was cut off here")
    finally:
        reader.close()
