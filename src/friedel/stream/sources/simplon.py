"""``simplon://``: the ZeroMQ stream of Dectris detectors, version 1 (JSON and blocks) or 2 (CBOR), told by its bytes.

``simplon://detector:9999?channel=threshold_1&socket=PULL``. A version 1 series is joined in the middle, too.
LCLStreamer calls a format of its own by this name (a letter, then CBOR); it is understood as well. Its numbers don't
tell one frame from the next, so frames are counted as they come: what is missing there can't be known.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError, MissingDependencyError
from friedel.core.optional import load_optional
from friedel.core.options import Options
from friedel.stream.sources.compression import unpack
from friedel.stream.sources.events import Begun, Event, Malformed, Message
from friedel.stream.sources.source import Source, SourceAddress

_PORT = "9999"
_QUEUED = 10_000  # messages that ZeroMQ holds while the receiver is busy (its default is 1000), then it drops or blocks
_DAMAGED = "a message that can't be decoded"
# Series whose starts are remembered, a mask of all pixels each: messages of older ones no longer come.
_STARTS = 4
# LCLStreamer's inner blocks, elements.
_LCLS_BLOCK = 4096


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
        # What the starts of the latest series said: a stray message of another series doesn't make it forgotten.
        self._starts: dict[str, dict[str, Any]] = {}
        self._pending: list[Event] = []
        self._lcls_shape: tuple[int, ...] | None = None
        self._lcls_count = 0

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
            self._pending = self._events(parts)
        except MissingDependencyError:
            raise
        except Exception as error:  # garbage raises anything: OverflowError, RecursionError, ZeroDivisionError …
            self._pending = [Malformed(reason=_reason(error))]
        return self._pending.pop(0) if self._pending else None

    def close(self) -> None:
        """Disconnect."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = self._socket = None

    def _began(self, series: str, **known: Any) -> list[Event]:
        """Return a `Begun` if this series isn't the current one, with what its start message said, if that came."""
        if known:
            self._starts.pop(series, None)
            self._starts[series] = known
            while len(self._starts) > _STARTS:
                del self._starts[next(iter(self._starts))]
        elif series == self._series:
            return []
        self._series = series
        return [Begun(series=series, **self._starts.get(series, {}))]

    def _image_of(self, series: str, event: Event, **known: Any) -> list[Event]:
        """Return an image, after a `Begun` where it is the first of its series.

        A damaged image begins no series; where it is of another series than the current one its number isn't used.
        """
        if not isinstance(event, Malformed):
            return [*self._began(series, **(known if series != self._series else {})), event]
        return [event if series == self._series else replace(event, number=None)]

    def _events(self, parts: list[Any]) -> list[Event]:
        first = bytes(parts[0][:1])
        if len(parts) > 1 or first == b"{":
            return self._json(parts)
        # In CBOR these letters begin a text, which no SIMPLON message is.
        return self._lcls(parts[0]) if first in (b"c", b"m") else self._cbor(parts[0])

    def _lcls(self, data: Any) -> list[Event]:
        message = decode_message(bytes(data[1:]))
        if message["type"] == "start":
            self._lcls_shape = tuple(int(size) for size in str(message["shape"]).split("x"))
            return self._began(f"run {message['run_number']}", lasting=False)
        if message["type"] != "image":
            return []
        if self._lcls_shape is None:
            return [Malformed(reason="an image before the start of its run, which says its shape")]
        dtype = np.dtype(str(message["dtype"]))
        block = _LCLS_BLOCK * dtype.itemsize
        frame = unpack(message["compressed_data"], "bslz4", dtype, self._lcls_shape, headed=False, block=block)
        self._lcls_count += 1
        frames = frame if frame.ndim == 3 else frame[None]
        if frames.ndim != 3:
            return [Malformed(reason=f"a frame of {frame.ndim} axes")]
        # A detector of several panels comes as ``(panel, y, x)``: they are put one below the other.
        whole = frames.reshape(1, -1, frames.shape[2])
        meta = {"message_id": message.get("message_id"), "photon_energy_ev": message.get("photon_energy")}
        return self._image_of(f"run {message['run']}", Message(number=self._lcls_count - 1, frames=whole, meta=meta))

    def _json(self, parts: list[Any]) -> list[Event]:
        head = json.loads(bytes(parts[0]))
        kind = head["htype"].partition("-")[0]
        if kind == "dheader":
            return self._began(str(head["series"]), **{"lasting": False, **_header(parts)})
        if kind == "dimage":
            return self._image_of(str(head["series"]), _image(head, parts))
        return []

    def _cbor(self, data: Any) -> list[Event]:
        message = decode_message(bytes(data))
        series = str(message.get("series_unique_id") or message["series_id"])
        if message["type"] == "start":
            channel = self._options.channel or next(iter(message.get("channels") or [""]))
            bad = (message.get("pixel_mask") or {}).get(channel)
            mask = None if bad is None else np.asarray(bad) == 0
            return self._began(series, lasting=True, expected=message.get("number_of_images"), mask=mask)
        if message["type"] != "image":
            return []
        return self._image_of(series, self._v2_image(message), lasting=True)

    def _v2_image(self, message: Mapping[str, Any]) -> Event:
        number = int(message["image_id"])
        try:
            channels = message["data"]
            frame = channels[self._options.channel] if self._options.channel else next(iter(channels.values()))
            start = message.get("start_time") or (0, 1)
            meta = {"start_s": start[0] / start[1]}
        except Exception as error:  # as for the whole message; its number is known, and so isn't missing
            return Malformed(reason=_reason(error), number=number)
        if not isinstance(frame, np.ndarray) or frame.ndim != 2:
            return Malformed(reason=_DAMAGED, number=number)
        return Message(number=number, frames=frame[None], meta=meta)


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
        stamp = 1e-9 * float(times.get("start_time", "nan"))
    except MissingDependencyError:
        raise
    except Exception as error:  # as for the whole message; its number is known, and so isn't missing
        return Malformed(reason=_reason(error), number=number)
    return Message(number=number, frames=frame[None], timestamp=stamp)


def _reason(error: Exception) -> str:
    """Return the words of an error of this module's own; others' words differ from one message to the next."""
    return str(error) if type(error) is ValueError else _DAMAGED


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
# CBOR tags: 40 is an array in row-major order, the types above are typed arrays (RFC 8746); 56500 is Dectris' own for
# compressed bytes (SIMPLON stream V2, "stream2").
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
