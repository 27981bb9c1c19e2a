"""``pva://``: an EPICS channel of NTNDArray, as areaDetector serves it (pvAccess).

``pva://13SIM1:Pva1:Image?queue=1000``. Where to look is told by EPICS_PVA_ADDR_LIST, as for every EPICS client. Frames
are numbered by ``uniqueId``, so what the server's queue couldn't hold is counted as missing.
"""

import queue
import time
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from friedel.core.errors import InputError, MissingDependencyError
from friedel.core.optional import load_optional
from friedel.core.options import Options
from friedel.stream.sources.compression import unpack
from friedel.stream.sources.events import Begun, Event, Lost, Malformed, Message
from friedel.stream.sources.source import Source, SourceAddress

# pvData's numbers of scalar types, as codec.parameters gives them.
_SCALARS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")


class PvaOptions(Options):
    """What may stand after "?"."""

    queue: Annotated[int, Field(ge=1)] = 1000
    """Frames the server keeps for this client."""


class PvaSource:
    """Frames of a channel."""

    patient = False

    def __init__(self, address: SourceAddress) -> None:
        self.uri = address.uri
        self._channel = address.path.strip("/")
        self._options = address.options(PvaOptions)
        if not self._channel:
            raise InputError(f"{self.uri}: a channel's name is needed: pva://13SIM1:Pva1:Image")
        self._thread = load_optional(
            "p4p.client.thread", package="p4p", extra="epics", purpose="receive from EPICS channels"
        )
        self._arrived: queue.Queue[Any] = queue.Queue(maxsize=self._options.queue)
        self._context: Any = None
        self._subscription: Any = None
        self._begun = self._connected = False

    def open(self) -> None:
        """Begin to look for the channel."""
        self._context = self._thread.Context("pva", nt=False)
        request = f"record[queueSize={self._options.queue}]field()"
        # Kept, because the garbage collector ends a subscription without references, at any moment.
        self._subscription = self._context.monitor(
            self._channel, self._arrived.put, request=request, notify_disconnect=True
        )

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next frame; see `Source`."""
        if not self._begun:
            self._begun = True
            return Begun(series=self._channel)
        until = time.monotonic() + timeout_s
        while True:
            try:
                value = self._arrived.get(timeout=max(until - time.monotonic(), 0.001))
            except queue.Empty:
                return None
            if not isinstance(value, Exception):
                self._connected = True
                return decode(value)
            if self._connected:
                self._connected = False
                return Lost(reason=f"{self._channel}: {type(value).__name__.lower()}")

    def close(self) -> None:
        """Leave the channel."""
        if self._context is not None:
            context, self._context = self._context, None
            while not self._arrived.empty():  # the client's thread must not wait for room while it is being ended
                self._arrived.get_nowait()
            self._subscription.close()
            self._subscription = None
            context.close()


def decode(value: Any) -> Event:
    """Return the frame of an NTNDArray, or what is wrong with it."""
    number: int | None = None
    try:
        number = int(value["uniqueId"])
        frame = _frame(value)
        stamp = value["dataTimeStamp"]
        seconds = float(stamp["secondsPastEpoch"]) + 1e-9 * float(stamp["nanoseconds"])
        meta = {item["name"]: plain for item in value["attribute"] if (plain := _plain(item["value"])) is not None}
    except MissingDependencyError:
        raise
    except Exception as error:  # whatever a structure of another kind raises
        known = type(error) is ValueError
        return Malformed(reason=str(error) if known else "a structure that is no NTNDArray", number=number)
    return Message(number=number, frames=frame[None], timestamp=seconds or float("nan"), meta=meta)


def _frame(value: Any) -> NDArray[Any]:
    shape = tuple(int(dimension["size"]) for dimension in reversed(value["dimension"]))
    data, codec = value["value"], str(value["codec"]["name"])
    if data is None or len(shape) != 2:
        raise ValueError(f"an array of {len(shape)} axes is no frame")
    if codec:
        dtype = np.dtype(_SCALARS[int(value["codec"]["parameters"])])
        return unpack(np.asarray(data).tobytes(), codec, dtype, shape, headed=False)
    if data.size != int(np.prod(shape)):
        raise ValueError("an array of another size than its dimensions")
    return np.asarray(data).reshape(shape)


def _plain(value: Any) -> int | float | str | bool | None:
    return value if isinstance(value, int | float | str | bool) else None


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return PvaSource(address)
