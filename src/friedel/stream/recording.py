"""Keep a stream: every event as it came, damaged ones too, with its time, so that a replay is the stream again."""

import json
import mmap
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from friedel.core.errors import InputError
from friedel.core.observer import Observer, Progress, Warned, silent
from friedel.stream.sources.events import Begun, Ended, Event, Lost, Malformed, Message
from friedel.stream.sources.source import Source

_TITLE = b"friedel stream 1\n"
_HEAD = struct.Struct("<4sIIQ")  # magic, checksum of words and bytes, their lengths
_MAGIC = b"FRST"


class StreamWriter:
    """An open recording.

    Parameters
    ----------
    path : Path
        The file; it must not exist.

    Raises
    ------
    InputError
        If it can't be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("xb", buffering=0)
            self._file.write(_TITLE)
        except OSError as error:
            raise InputError(f"{path}: can't be made ({error.strerror or error}); choose another name") from error

    def add(self, words: Mapping[str, Any], data: bytes | memoryview = b"") -> None:
        """Add a record; either all of it is kept, or none.

        Raises
        ------
        InputError
            If it can't be written (the disk is full); what was added before stays.
        """
        text = json.dumps(dict(words), default=_plain).encode("utf-8")
        block = memoryview(data).cast("B") if len(memoryview(data)) else memoryview(b"")
        head = _HEAD.pack(_MAGIC, zlib.crc32(block, zlib.crc32(text)), len(text), len(block))
        before = self._file.tell()
        try:
            for part in (head + text, block):
                if len(part) and self._file.write(part) != len(part):
                    raise OSError("no space left on the disk")
        except OSError as error:
            self._file.truncate(before)
            self._file.seek(before)
            raise InputError(f"{self.path}: can't be written ({error}); what was recorded so far is kept") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StreamReader:
    """The records of a file, in order.

    Attributes
    ----------
    cut_off : bool
        The file ends in the middle of a record; known once all are read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.cut_off = path, False
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: can't be read ({error.strerror or error}); check the path") from error
        if self._file.read(len(_TITLE)) != _TITLE:
            self._file.close()
            raise InputError(f"{path}: not a stream that friedel recorded; make one with friedel record URI FILE")
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the words and the bytes of each record."""
        position = len(_TITLE)
        while position < len(self._map):
            found = self._record(position)
            if found is None:
                self.cut_off = True
                return
            words, data, position = found
            yield words, data

    def close(self) -> None:
        """Close the file."""
        self._map.close()
        self._file.close()

    def _record(self, position: int) -> tuple[dict[str, Any], bytes, int] | None:
        start = position + _HEAD.size
        if start > len(self._map):
            return None
        magic, checksum, n_words, n_bytes = _HEAD.unpack_from(self._map, position)
        middle, end = start + n_words, start + n_words + n_bytes
        if magic != _MAGIC or end > len(self._map):
            return None
        text, data = self._map[start:middle], self._map[middle:end]
        if zlib.crc32(data, zlib.crc32(text)) != checksum:
            return None
        return json.loads(text), data, end


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


_POLL_S = 0.2  # s; how soon "stopped" and the end of the time are noticed
_TELL_S = 1.0  # s between two lines of progress
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
