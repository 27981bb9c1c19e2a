"""``simplon://``: the ZeroMQ stream of Dectris detectors, version 1 (JSON and blocks) or 2 (CBOR), told by its bytes.

``simplon://detector:9999?channel=threshold_1&socket=PULL``. A version 1 series is joined in the middle, too.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.optional import load_optional
from friedel.core.options import Options
from friedel.stream.sources.compression import unpack
from friedel.stream.sources.events import Begun, Event, Malformed, Message
from friedel.stream.sources.source import Source, SourceAddress

_PORT = "9999"
_QUEUED = 10_000
_DAMAGED = "a message that can't be decoded"


class SimplonOptions(Options):
    """What may stand after "?"."""

    channel: str | None = None
    """Which threshold of a version 2 stream; None: the first."""
    socket: Literal["PULL", "SUB"] = "PULL"
    """Kind of socket: the detector pushes (PULL), or publishes (SUB)."""


class SimplonSource:
    """Frames of a Dectris detector."""

    patient = False

    def __init__(self, address: SourceAddress) -> None:
        self.uri = address.uri
        self._options = address.options(SimplonOptions)
        if not address.host:
            raise InputError(f"{self.uri}: a host is needed: simplon://detector:9999")
        port = "" if ":" in address.host else f":{_PORT}"
        self._endpoint = f"tcp://{address.host}{port}"
        self._zmq = load_optional("zmq", package="pyzmq", extra="simplon", purpose="receive SIMPLON streams")
        self._context: Any = None
        self._socket: Any = None
        self._series: str | None = None
        self._pending: list[Event] = []

    def open(self) -> None:
        """Connect; ZeroMQ waits for a detector that isn't there yet, and comes back to one that was restarted."""
        self._context = self._zmq.Context()
        self._socket = self._context.socket(getattr(self._zmq, self._options.socket))
        self._socket.set_hwm(_QUEUED)
        if self._options.socket == "SUB":
            self._socket.setsockopt(self._zmq.SUBSCRIBE, b"")
        self._socket.connect(self._endpoint)

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next event; see `Source`."""
        if self._pending:
            return self._pending.pop(0)
        if not self._socket.poll(int(timeout_s * 1000)):
            return None
        parts = [frame.buffer for frame in self._socket.recv_multipart(copy=False)]
        try:
            self._pending = self._cbor(parts[0]) if len(parts) == 1 and parts[0][:1] != b"{" else self._json(parts)
        except ValueError as error:
            self._pending = [Malformed(reason=str(error) if type(error) is ValueError else _DAMAGED)]
        except (KeyError, TypeError, IndexError, AttributeError):
            self._pending = [Malformed(reason=_DAMAGED)]
        return self._pending.pop(0) if self._pending else None

    def close(self) -> None:
        """Disconnect."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = self._socket = None

    def _began(self, series: str, **known: Any) -> list[Event]:
        if series == self._series:
            return []
        self._series = series
        return [Begun(series=series, **known)]

    def _json(self, parts: list[Any]) -> list[Event]:
        head = json.loads(bytes(parts[0]))
        kind = head["htype"].partition("-")[0]
        if kind == "dheader":
            self._series = None
            return self._began(str(head["series"]), **_header(parts))
        if kind == "dimage":
            return [*self._began(str(head["series"])), _image(head, parts)]
        return []

    def _cbor(self, data: Any) -> list[Event]:
        message = decode_message(bytes(data))
        series = str(message.get("series_unique_id") or message["series_id"])
        if message["type"] == "start":
            self._series = None
            channel = self._options.channel or next(iter(message.get("channels") or [""]))
            bad = (message.get("pixel_mask") or {}).get(channel)
            mask = None if bad is None else np.asarray(bad) == 0
            return self._began(series, lasting=True, expected=message.get("number_of_images"), mask=mask)
        if message["type"] != "image":
            return []
        return [*self._began(series, lasting=True), self._v2_image(message)]

    def _v2_image(self, message: Mapping[str, Any]) -> Event:
        number, channels = int(message["image_id"]), message["data"]
        frame = channels[self._options.channel] if self._options.channel else next(iter(channels.values()))
        if not isinstance(frame, np.ndarray) or frame.ndim != 2:
            return Malformed(reason=_DAMAGED, number=number)
        start = message.get("start_time") or (0, 1)
        return Message(number=number, frames=frame[None], meta={"start_s": start[0] / start[1]})


def _header(parts: list[Any]) -> dict[str, Any]:
    """Return what a header of version 1 says, of whatever detail."""
    texts: list[dict[str, Any]] = [json.loads(bytes(part)) if part[:1] == b"{" else {} for part in parts]
    known: dict[str, Any] = {}
    for index, text in enumerate(texts):
        if "nimages" in text:
            known["expected"] = int(text["nimages"]) * int(text.get("ntrigger", 1))
        if text.get("htype", "").startswith("dpixelmask") and index + 1 < len(parts):
            shape = tuple(reversed(text["shape"]))
            known["mask"] = np.frombuffer(parts[index + 1], np.dtype(text["type"])).reshape(shape) == 0
    return known


def _image(head: dict[str, Any], parts: list[Any]) -> Event:
    number = int(head["frame"])
    try:
        told = json.loads(bytes(parts[1]))
        frame = _v1_frame(told, parts[2])
        times = json.loads(bytes(parts[3])) if len(parts) > 3 else {}
    except ValueError as error:
        return Malformed(reason=str(error) if type(error) is ValueError else _DAMAGED, number=number)
    except (KeyError, TypeError, IndexError):
        return Malformed(reason=_DAMAGED, number=number)
    stamp = 1e-9 * float(times.get("start_time", "nan"))
    return Message(number=number, frames=frame[None], timestamp=stamp)


def _v1_frame(told: dict[str, Any], data: Any) -> NDArray[Any]:
    """Return a frame; the stream gives columns before rows, and names compression and byte order in one word."""
    encoding = str(told["encoding"])
    order = encoding[-1:] if encoding[-1:] in "<>" else "<"
    method = {"": "", "lz4": "lz4", "bs": "bslz4"}.get(encoding.rstrip("<>").partition("lz4")[0].rstrip("-0123456789"))
    if encoding.startswith("lz4"):
        method = "lz4"
    if method is None:
        raise ValueError(f"encoding {encoding!r} isn't known")
    dtype = np.dtype(told["type"]).newbyteorder(order)
    return unpack(data, method, dtype, tuple(reversed(told["shape"])))


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return SimplonSource(address)


_TYPES = {
    64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8",
    72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8",
    80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8",
}  # fmt: skip
_ROWS_FIRST = 40
_COMPRESSED = 56500
_PURPOSE = "receive SIMPLON streams of version 2"


def decode_message(data: bytes) -> Mapping[str, Any]:
    """Return a message, its arrays as NumPy's.

    Raises
    ------
    ValueError
        If it is damaged.
    MissingDependencyError
        If a library isn't installed.
    """
    cbor2 = load_optional("cbor2", package="cbor2", extra="simplon", purpose=_PURPOSE)
    try:
        message = cbor2.loads(data, tag_hook=_tagged)
    except Exception as error:
        if isinstance(error, ImportError):
            raise
        raise ValueError("a message that can't be decoded") from error
    if not isinstance(message, Mapping) or "type" not in message:
        raise ValueError("a message without a type")
    return message


def _tagged(tag: Any, immutable: bool) -> Any:
    if tag.tag in _TYPES:
        return np.frombuffer(tag.value, _TYPES[tag.tag])
    if tag.tag == _ROWS_FIRST:
        shape, values = tag.value
        return np.asarray(values).reshape(tuple(shape))
    if tag.tag == _COMPRESSED:
        algorithm, size, block = tag.value
        library = load_optional("dectris.compression", package="dectris-compression", extra="simplon", purpose=_PURPOSE)
        return library.decompress(block, algorithm, elem_size=size)
    return tag
