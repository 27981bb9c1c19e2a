"""``karabo://``: European XFEL trains from a Karabo bridge.

``karabo://host:45000?detector=SPB_IRU_CAM/1:output&key=data.image&axes=nyx&socket=SUB``. The order of the axes is never
guessed where there is a choice: ``axes`` names them, slowest first: n pulse, m module, y row, x column; modules are put
one below the other. A frame's number is its train's times the pulses of a train, plus its pulse.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from friedel.core.errors import InputError, PlanError
from friedel.core.optional import load_optional
from friedel.core.options import Options
from friedel.stream.sources.events import Begun, Event, Lost, Malformed, Message
from friedel.stream.sources.source import Source, SourceAddress

_KEYS = ("image.data", "data.image", "data.adc", "data.image.pixels", "data.image.data")
_AXES = "nmyx"
_POLL_S = 0.1  # s; the bridge client's time-out, which it fixes when it connects: so `receive` asks again until its own


class KaraboOptions(Options):
    """What may stand after "?"."""

    detector: str | None = None
    """The source inside the train; None: the only one with an image."""
    key: str | None = None
    """The image's key; None: one of the usual ones."""
    axes: Annotated[str, Field(pattern="^[nmyx]+$")] | None = None
    """The image's axes, slowest first (``nyx``, ``yxn``, ``mnyx`` …); None: ``yx``, for images of two axes only."""
    socket: Literal["REQ", "SUB", "PULL"] = "REQ"
    """Kind of socket, as the bridge is set up."""
    retry_s: Annotated[float, Field(gt=0)] = 5.0
    """Connect anew when nothing has come for so long, s: a restarted bridge no longer knows of the request (REQ)."""


class KaraboSource:
    """Trains of a Karabo bridge."""

    patient = False

    def __init__(self, address: SourceAddress) -> None:
        self.uri, self._endpoint = address.uri, f"tcp://{address.host}"
        self._options = address.options(KaraboOptions)
        if not address.host.rpartition(":")[2].isdigit():
            raise InputError(f"{self.uri}: a host and a port are needed: karabo://host:45000")
        if self._options.axes is not None and sorted(set(self._options.axes)) != sorted(self._options.axes):
            raise PlanError(f"{self.uri}: axes {self._options.axes!r} names one twice")
        self._bridge = load_optional(
            "karabo_bridge", package="karabo-bridge", extra="karabo", purpose="receive European XFEL trains"
        )
        self._zmq = load_optional("zmq", package="pyzmq", extra="karabo", purpose="receive European XFEL trains")
        self._context: Any = None
        self._client: Any = None
        self._found: tuple[str, str] | None = None
        self._pulses = 0
        self._begun = False
        self._heard = time.monotonic()

    def open(self) -> None:
        """Connect; ZeroMQ waits for a bridge that isn't there yet."""
        self._connect()

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next train; see `Source`."""
        if not self._begun:
            self._begun = True
            return Begun(series=f"karabo {self._options.detector or self._endpoint}", lasting=True)
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            try:
                data, meta = self._client.next()
            except TimeoutError:
                if time.monotonic() - self._heard > self._options.retry_s:
                    return self._reconnect()
                continue
            except Exception:  # msgpack and the bridge's own code raise many kinds on damaged bytes
                self._heard = time.monotonic()
                return Malformed(reason="a train that can't be decoded")
            self._heard = time.monotonic()
            return self._understood(data, meta)
        return None

    def _understood(self, data: Mapping[str, Any], meta: Mapping[str, Any]) -> Event:
        try:
            return self._event(data, meta)
        except InputError as error:
            if not self._pulses:  # the address is wrong; once trains have been understood, this one is
                raise
            return Malformed(reason=f"a train unlike the first ({type(error).__name__})")
        except Exception:  # a train of another structure than any bridge sends
            return Malformed(reason="a train that makes no sense")

    def close(self) -> None:
        """Disconnect."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = self._client = None

    def _connect(self) -> None:
        self.close()
        self._context = self._zmq.Context()
        self._client = self._bridge.Client(
            self._endpoint, sock=self._options.socket, timeout=_POLL_S, context=self._context
        )
        self._heard = time.monotonic()

    def _reconnect(self) -> Event:
        self._connect()
        return Lost(reason=f"nothing has come for {self._options.retry_s:g} s; connecting anew")

    def _event(self, data: Mapping[str, Any], meta: Mapping[str, Any]) -> Event:
        if self._found is None:
            self._found = self._choose(data)
        detector, key = self._found
        image = data.get(detector, {}).get(key)
        told = meta.get(detector, {})
        if image is None or "timestamp.tid" not in told:
            return Malformed(reason=f"a train without {detector} {key}, or without its number")
        frames = self._frames(np.asarray(image))
        self._pulses = self._pulses or len(frames)
        number = int(told["timestamp.tid"]) * self._pulses
        if len(frames) > self._pulses:
            return Malformed(reason="a train of more pulses than the first", n_frames=self._pulses, number=number)
        return Message(number=number, frames=frames, timestamp=float(told.get("timestamp", "nan")))

    def _choose(self, data: Mapping[str, Any]) -> tuple[str, str]:
        """Return detector and key of the image.

        Raises
        ------
        InputError
            If there is none, or several; the error lists what the train holds.
        """
        names = [self._options.detector] if self._options.detector else list(data)
        keys = [self._options.key] if self._options.key else list(_KEYS)
        found = [(name, key) for name in names for key in keys if np.ndim(data.get(name, {}).get(key)) >= 2]
        if len(found) == 1:
            return found[0]
        held = "; ".join(f"{name}: {', '.join(_images(data[name]))}" for name in data) or "nothing"
        text = "no image as asked for" if not found else "several images"
        raise InputError(f"{self.uri}: {text}; say detector=…&key=…; the train holds {held}")

    def _frames(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return an image's frames ``(n, y, x)``.

        Raises
        ------
        InputError
            If its axes aren't known.
        """
        axes = self._options.axes or ("yx" if image.ndim == 2 else "")
        if len(axes) != image.ndim or not {"y", "x"} <= set(axes):
            text = f"an image of shape {image.shape}: name its axes, slowest first, for instance axes=nyx"
            raise InputError(f"{self.uri}: {text} (n pulse, m module, y row, x column); got {axes or 'none'}")
        present = [axis for axis in _AXES if axis in axes]
        ordered = image.transpose([axes.index(axis) for axis in present])
        for place, axis in enumerate(_AXES):
            if axis not in axes:
                ordered = np.expand_dims(ordered, place)
        n, m, y, x = ordered.shape
        return ordered.reshape(n, m * y, x)


def _images(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} {np.shape(value)}" for key, value in values.items() if np.ndim(value) >= 2] or ["no image"]


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return KaraboSource(address)
