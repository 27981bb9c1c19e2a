"""Whether frames arrive from a stream within a time-out: OK, TIMEOUT or ERROR, with the reason in a sentence."""

import time
from dataclasses import dataclass
from enum import StrEnum

from friedel.core.errors import FriedelError
from friedel.stream.sources.events import Begun, Ended, Event, Lost, Malformed, Message
from friedel.stream.sources.source import Source, find_source

_POLL_S = 0.2  # s; by so much an answer can be later than its time-out
# After the first frames, so long for a rate.
_MEASURE_S = 1.0


class Condition(StrEnum):
    """The answer in a word."""

    OK = "OK"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"


@dataclass(frozen=True, kw_only=True)
class StreamCheck:
    """The answer.

    Attributes
    ----------
    condition : Condition
        In a word.
    reason : str
        In a sentence.
    """

    condition: Condition
    reason: str


def check_stream(uri: str, *, timeout_s: float = 10.0) -> StreamCheck:
    """Connect to a stream and wait for a frame; never raises for what may be wrong with it.

    Parameters
    ----------
    uri : str
        The source.
    timeout_s : float
        How long to wait for the first frame, s.
    """
    try:
        source = find_source(uri)
    except FriedelError as error:
        return StreamCheck(condition=Condition.ERROR, reason=str(error))
    try:
        source.open()
        return _listen(source, timeout_s)
    except (FriedelError, OSError) as error:
        return StreamCheck(condition=Condition.ERROR, reason=str(error))
    finally:
        source.close()


def _listen(source: Source, timeout_s: float) -> StreamCheck:
    began, heard = time.monotonic(), "nothing came"
    while time.monotonic() - began < timeout_s:
        match source.receive(_POLL_S):
            case Message() as message:
                return StreamCheck(condition=Condition.OK, reason=_describe(source, message))
            case Malformed(reason=reason):
                return StreamCheck(condition=Condition.ERROR, reason=f"what comes can't be used: {reason}")
            case Ended(reason=reason):
                return StreamCheck(condition=Condition.ERROR, reason=f"it ended without a frame: {reason}")
            case Lost(reason=reason):
                heard = reason
            case Begun(series=series):
                heard = f"connected ({series}), but no frame came"
    return StreamCheck(condition=Condition.TIMEOUT, reason=f"{heard} within {timeout_s:g} s; is the sender running?")


def _describe(source: Source, first: Message) -> str:
    frames = first.frames[None] if first.frames.ndim == 2 else first.frames
    began, count, event = time.monotonic(), 0, None
    while time.monotonic() - began < _MEASURE_S and not isinstance(event, Ended):
        event = source.receive(_POLL_S)
        count += _n_frames(event)
    rate = count / max(time.monotonic() - began, 1e-6)
    shape = " × ".join(str(size) for size in frames.shape[1:])
    text = f"frames of {shape} {frames.dtype}, {len(frames)} a message, about {rate:.3g} a second"
    return f"{text}; first number {first.number}"


def _n_frames(event: Event | None) -> int:
    if not isinstance(event, Message):
        return 0
    return len(event.frames) if event.frames.ndim == 3 else 1
