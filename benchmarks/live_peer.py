"""What the live benchmark needs on the other side: a sender over a local socket, and frames from nowhere."""

import time
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from friedel.stream.sources.events import Begun, Ended, Event, Malformed, Message

EDGE = 256
_KINDS = 64


def made_up_frames(n_frames: int = _KINDS, *, edge: int = EDGE) -> NDArray[np.uint16]:
    """Return frames of faint rings, ``(n, edge, edge)`` uint16, some with the fringes of two particles."""
    rng = np.random.default_rng(7)
    y, x = (np.indices((edge, edge)) - edge // 2) * (EDGE / edge)
    radius = np.hypot(y, x) + 1e-3
    made = np.empty((n_frames, edge, edge), np.uint16)
    for index in range(n_frames):
        u = rng.uniform(0.12, 0.35) * radius
        expected = (3 * (np.sin(u) - u * np.cos(u)) / u**3) ** 2 * 10 ** rng.uniform(2, 4)
        if index % 5:
            expected *= 1 + np.cos(rng.uniform(-0.8, 0.8) * x + rng.uniform(-0.8, 0.8) * y)
        made[index] = rng.poisson(expected * (radius > 6))
    return made


class FromNowhere:
    """A source in the receiver's own process: frames cost nothing but their copy into shared memory.

    Parameters
    ----------
    n_frames : int
        How many.
    rate : float or None
        Frames a second; None: as fast as they are taken.
    edge : int
        Pixels of a frame along each side.
    """

    uri = "benchmark://"

    def __init__(self, n_frames: int, rate: float | None, *, edge: int = EDGE) -> None:
        self.patient = rate is None
        self._frames, self._n_frames, self._rate = made_up_frames(edge=edge), n_frames, rate
        self._next, self._began = -1, 0.0
        self.overdue_s = 0.0

    def open(self) -> None:
        """Do nothing."""

    def receive(self, timeout_s: float) -> Event | None:
        """Return the frames that are due: one at a rate, many without."""
        if self._next < 0:
            self._next, self._began = 0, time.monotonic()
            return Begun(series="benchmark", lasting=True)
        if self._next >= self._n_frames:
            return Ended()
        if self._rate is not None:
            wait = self._began + self._next / self._rate - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, timeout_s))
                return None
            self.overdue_s = max(self.overdue_s, -wait)
        first, count = self._next, 1 if self._rate else min(32, self._n_frames - self._next)
        self._next += count
        place = first % _KINDS
        return Message(number=first, frames=self._frames[place : place + count])

    def close(self) -> None:
        """Do nothing."""


def send_frames(endpoint: str, n_frames: int, rate: float) -> None:
    """Push frames over ZeroMQ at a rate; the main function of a sending process."""
    made = made_up_frames()
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.set_hwm(2000)
    socket.setsockopt(zmq.SNDTIMEO, 60_000)  # nobody listens any more: end; a busy machine takes this long to start
    socket.bind(endpoint)
    began = time.monotonic()
    for number in range(n_frames):
        wait = began + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        socket.send_multipart([number.to_bytes(8, "little"), made[number % _KINDS].data], copy=False)
    socket.send_multipart([b"", b""])
    socket.close()
    context.term()


class Socket:
    """The receiving end of `send_frames`."""

    patient = False

    def __init__(self, endpoint: str) -> None:
        self.uri, self._endpoint = endpoint, endpoint
        self._begun = False
        self._context: Any = None
        self._socket: Any = None

    def open(self) -> None:
        """Connect."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.set_hwm(2000)
        self._socket.connect(self._endpoint)

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next frame."""
        if not self._begun:
            self._begun = True
            return Begun(series="benchmark", lasting=True)
        if not self._socket.poll(int(timeout_s * 1000)):
            return None
        number, data = self._socket.recv_multipart(copy=False)
        if not len(number.buffer):
            return Ended()
        if len(data.buffer) != 2 * EDGE * EDGE:
            return Malformed(reason="another size")
        frame = np.frombuffer(data.buffer, np.uint16).reshape(1, EDGE, EDGE)
        return Message(number=int.from_bytes(number.bytes, "little"), frames=frame)

    def close(self) -> None:
        """Disconnect."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None
