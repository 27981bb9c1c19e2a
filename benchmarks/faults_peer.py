"""What the fault campaign has on the other side: a scorer that needs no network, made-up runs, a detector that lies.

The detector speaks SIMPLON version 1 and 2 over a real socket; its garbage is made from the format's grammar, field by
field, by a seed.
"""

import json
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cbor2
import h5py
import numpy as np
import zmq
from numpy.typing import NDArray

from friedel.spi.records import HitScores

EDGE = 64


class Brightness:
    """Scores a frame by its first pixel over 100."""

    name = "brightness 1"

    def measure(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> dict[str, int]:
        """Return something small."""
        return {"n": len(frames)}

    def score(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None, *, run: Any) -> HitScores:
        """Score frames ``(n, y, x)``."""
        single = np.clip(frames[:, 0, 0] / 100, 0, 1).astype(np.float32)
        n = len(frames)
        return HitScores(
            single=single, fringes=single, out_of_distribution=np.zeros(n, np.float32), reject_band=np.zeros(n, bool),
            good=single >= 0.5, status=np.zeros(n, np.uint8), model=self.name,
        )  # fmt: skip


class Heavy(Brightness):
    """Wants more memory for every third batch than there is."""

    def __init__(self) -> None:
        self._batches = 0

    def score(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None, *, run: Any) -> HitScores:
        """Score frames, or fail to."""
        self._batches += 1
        if self._batches % 3 == 0:
            np.zeros((1 << 30, 1 << 16))
        return super().score(frames, mask, run=run)


class Slow(Brightness):
    """Scores a tenth as fast as frames come."""

    def score(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None, *, run: Any) -> HitScores:
        """Score frames, slowly."""
        time.sleep(0.02 * len(frames))
        return super().score(frames, mask, run=run)


def made_up(n_frames: int, seed: int = 0) -> NDArray[np.uint16]:
    """Return frames; the first pixel, 0 … 99, is what `Brightness` goes by."""
    rng = np.random.default_rng(seed)
    made = rng.poisson(0.5, (n_frames, EDGE, EDGE)).astype(np.uint16)
    made[:, 0, 0] = rng.integers(0, 100, n_frames)
    return made


def write_run(path: Path, n_frames: int, seed: int = 0) -> Path:
    """Write a run as CXI."""
    with h5py.File(path, "w") as file:
        file["entry_1/data_1/data"] = made_up(n_frames, seed)
    return path


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, float("inf"), float("-inf"), float("nan"), 2**31, 2**63, 2**70, -(2**70), "", "x", "\0",
    "9" * 400, "<b>name</b>", "../../out", [], [1, 0], [-1, -1], [2**40, 2**40], {}, {"a": []},
)  # fmt: skip


def garbage(rng: np.random.Generator, version: int) -> list[bytes]:
    """Return a message that is wrong in one place: a field, a part, its length, or all of it."""
    head, told = _image_v1(7, int(rng.integers(0, 1000)))
    way = rng.integers(6)
    if way == 0:
        return [rng.bytes(int(rng.integers(0, 200))) for _ in range(int(rng.integers(1, 5)))]
    if version == 2:
        return [_garbled_v2(rng, int(way))]
    for record in (head, told) if way == 1 else (head,) if way == 2 else (told,):
        name = str(rng.choice(list(record)))
        if name == "htype" and record is head:  # another kind of message isn't malformed
            name = "frame"
        record[name] = _ODD[rng.integers(len(_ODD))]
    parts = [json.dumps(head).encode(), json.dumps(told).encode(), rng.bytes(EDGE * EDGE * 2 - 3), b"{}"]
    if way == 4:
        parts = parts[: rng.integers(1, 3)]
    if way == 5:
        parts[int(rng.integers(2))] = b"[" * 50_000
    return parts


def _garbled_v2(rng: np.random.Generator, way: int) -> bytes:
    message = _image_v2(7, int(rng.integers(0, 1000)), np.zeros((4, 4), np.uint16))
    if way < 3:
        name = str(rng.choice(["image_id", "data", "start_time"]))
        message[name] = _ODD[rng.integers(len(_ODD))] if name != "start_time" else [1, 0]
        if name == "start_time":
            message["image_id"] = int(rng.integers(0, 1000))
    packed = bytearray(cbor2.dumps(cbor2.CBORTag(55799, message)))
    if way == 3:
        return bytes(packed[: rng.integers(1, len(packed))])
    if way == 4:
        message["data"] = {"t": cbor2.CBORTag(int(rng.choice([40, 56500, 69, 1, 2])), [1, 0])}
        return cbor2.dumps(cbor2.CBORTag(55799, message))
    return bytes(packed) if way < 3 else b"\xa1" * 3000


def _image_v1(series: int, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    head: dict[str, Any] = {"htype": "dimage-1.0", "series": series, "frame": number, "hash": ""}
    told: dict[str, Any] = {"htype": "dimage_d-1.0", "shape": [EDGE, EDGE], "type": "uint16", "encoding": "<"}
    return head, told | {"size": 2 * EDGE * EDGE}


def _image_v2(series: int, number: int, frame: NDArray[np.uint16]) -> dict[str, Any]:
    data = cbor2.CBORTag(40, [list(frame.shape), cbor2.CBORTag(69, frame.tobytes())])
    image = {"type": "image", "series_id": series, "series_unique_id": f"u{series}", "image_id": number}
    return image | {"start_time": [number, 1000], "data": {"t": data}}


class Detector:
    """Pushes frames at a rate from a thread, and what a fault makes of them.

    Parameters
    ----------
    version : int
        Of the stream, 1 or 2.
    port : int
        Of loopback.
    """

    def __init__(self, version: int, port: int) -> None:
        self.version, self.uri = version, f"simplon://127.0.0.1:{port}"
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.LINGER, 2000)
        self._socket.setsockopt(zmq.SNDTIMEO, 120_000)  # as long as a busy machine may take to start a watch
        self._socket.bind(f"tcp://127.0.0.1:{port}")
        self.sent = 0

    def start(self, series: int = 7) -> None:
        """Begin a series."""
        if self.version == 1:
            header = {"htype": "dheader-1.0", "series": series, "header_detail": "basic"}
            self._socket.send_multipart([json.dumps(header).encode(), b"{}"])
        else:
            start = {"type": "start", "series_id": series, "series_unique_id": f"u{series}", "channels": ["t"]}
            self._socket.send(cbor2.dumps(cbor2.CBORTag(55799, start)))

    def frame(self, number: int, frame: NDArray[Any], series: int = 7) -> None:
        """Send a frame; it counts as sent."""
        self.sent += 1
        if self.version == 1:
            head, told = _image_v1(series, number)
            told |= {"shape": list(reversed(frame.shape)), "type": frame.dtype.name}
            self._socket.send_multipart([json.dumps(head).encode(), json.dumps(told).encode(), frame.tobytes(), b"{}"])
        else:
            message: Mapping[str, Any] = _image_v2(series, number, frame)
            self._socket.send(cbor2.dumps(cbor2.CBORTag(55799, message)))

    def raw(self, parts: list[bytes]) -> None:
        """Send a message as it is."""
        self._socket.send_multipart(parts)

    def close(self) -> None:
        """Leave."""
        self._context.destroy()


class Webhook(threading.Thread):
    """Takes what is posted to it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        from http.server import BaseHTTPRequestHandler, HTTPServer

        posted: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                pass

        self.posted, self._server = posted, HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def run(self) -> None:
        """Serve."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
