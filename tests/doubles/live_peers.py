"""Real senders on loopback, for the sources' tests: each begins when it is made and ends with `close`."""

import json
import multiprocessing
import os
import queue
import socket
import tempfile
import threading
import time
from pathlib import Path

import cbor2
import h5py
import hdf5plugin
import lz4.block
import numpy as np
import tifffile
import zmq


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class KaraboPeer:
    """The bridge's own server; feeds trains of frames ``(trains, pulses, y, x)``, laid out as ``axes`` says."""

    def __init__(self, stack, *, axes="nyx", socket="REP", first_train=1000, port=None, skip=()):
        from karabo_bridge import ServerInThread

        self.port = port or free_port()
        self._server = ServerInThread(f"tcp://127.0.0.1:{self.port}", sock=socket, maxlen=100)
        client = {"REP": "REQ", "PUSH": "PULL", "PUB": "SUB"}[socket]
        self.uri = f"karabo://127.0.0.1:{self.port}?detector=DET&key=image.data&axes={axes}&socket={client}&retry_s=1"
        self._server.start()
        for train, pulses in enumerate(stack):
            if train not in skip:
                self.feed(first_train + train, np.einsum(f"nyx->{axes}", pulses))

    def feed(self, train, image):
        self._server.feed(
            {"DET": {"image.data": np.ascontiguousarray(image)}}, {"DET": {"timestamp.tid": train, "timestamp": 5.0}}
        )

    def close(self):
        self._server.stop()


class PvaPeer:
    """A p4p server of one NTNDArray channel; posts its frames once a client has connected."""

    def __init__(self, frames, *, channel=None, ids=None, pause_s=0.01, codec=""):
        from p4p.server import Server
        from p4p.server.thread import SharedPV

        self.channel = channel or f"friedel:test:{free_port()}"
        self.uri = f"pva://{self.channel}"
        ids = list(range(len(frames))) if ids is None else ids
        self._values = [_ndarray(frame, number, codec) for frame, number in zip(frames, ids, strict=True)]
        self._pause_s = pause_s
        peer = self

        class OnConnect:
            def onFirstConnect(self, pv):  # noqa: N802  # the library's name
                threading.Thread(target=peer._post, args=(pv,), daemon=True).start()

        self._pv = SharedPV(initial=self._values[0], handler=OnConnect())
        self._server = Server(providers=[{self.channel: self._pv}])

    def _post(self, pv):
        time.sleep(0.3)  # until the client's queue is there: what is posted before would be merged into one
        for value in self._values[1:]:
            time.sleep(self._pause_s)
            pv.post(value)

    def close(self):
        self._server.stop()


def _ndarray(frame, number, codec):
    from p4p.nt import NTNDArray

    value = NTNDArray().wrap(frame, attrib={"ColorMode": 0, "energy": 9000.0})
    value["uniqueId"] = number
    if codec:
        packed = lz4.block.compress(frame.tobytes(), store_size=False) if codec == "lz4" else bitshuffled(frame)[12:]
        value["value"] = ("ubyteValue", np.frombuffer(packed, np.uint8))
        value["codec"] = {"name": codec, "parameters": ("i", 6)}
        value["compressedSize"] = len(packed)
    return value


def bitshuffled(frame, *, nelems=0):
    """Return a frame as HDF5's bitshuffle filter with LZ4 stores it: 12 bytes of sizes, then blocks."""
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "one.h5", "w") as file:
        data = file.create_dataset(
            "d", data=frame, chunks=frame.shape, **hdf5plugin.Bitshuffle(cname="lz4", nelems=nelems)
        )
        return data.id.read_direct_chunk((0, 0))[1]


class SimplonPeer:
    """A Dectris detector's data stream, written from the public wire format; ``version`` 1 or 2."""

    def __init__(self, frames, *, version=1, encoding="bs16-lz4<", series=7, mask=None, port=None, ends=True):
        self.port = port or free_port()
        self.uri = f"simplon://127.0.0.1:{self.port}"
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(f"tcp://127.0.0.1:{self.port}")
        self._outgoing, self._closing = queue.Queue(), False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        begin, image, end = (self.start_v1, self.image_v1, self.end_v1) if version == 1 else (
            self.start_v2, self.image_v2, self.end_v2)  # fmt: skip
        self._encoding, self._series, self._mask = encoding, series, mask
        begin(len(frames))
        for number, frame in enumerate(frames):
            image(number, frame)
        if ends:
            end()

    def send(self, *parts):
        """Send a message as soon as somebody listens."""
        self._outgoing.put(parts)

    def _work(self):
        while (parts := self._outgoing.get()) is not None:
            while not self._closing and not self._sent(parts):
                time.sleep(0.01)
        self._socket.close()

    def _sent(self, parts):
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def start_v1(self, n_frames):
        parts = [json.dumps({"htype": "dheader-1.0", "series": self._series, "header_detail": "all"}).encode()]
        parts.append(json.dumps({"nimages": n_frames, "ntrigger": 1}).encode())
        if self._mask is not None:
            shape = list(reversed(self._mask.shape))
            parts.append(json.dumps({"htype": "dpixelmask-1.0", "shape": shape, "type": "uint32"}).encode())
            parts.append(np.where(self._mask, 0, 1).astype(np.uint32).tobytes())
        self.send(*parts)

    def image_v1(self, number, frame):
        head = {"htype": "dimage-1.0", "series": self._series, "frame": number, "hash": ""}
        told = {"htype": "dimage_d-1.0", "shape": list(reversed(frame.shape)), "type": frame.dtype.name}
        data = {"bs16-lz4<": bitshuffled, "lz4<": _lz4, "<": lambda frame: frame.tobytes()}[self._encoding](frame)
        told |= {"encoding": self._encoding, "size": len(data)}
        config = {"htype": "dconfig-1.0", "start_time": 1_000_000_000 * number, "stop_time": 0, "real_time": 0}
        self.send(json.dumps(head).encode(), json.dumps(told).encode(), data, json.dumps(config).encode())

    def end_v1(self):
        self.send(json.dumps({"htype": "dseries_end-1.0", "series": self._series}).encode())

    def start_v2(self, n_frames):
        start = {"type": "start", "series_id": self._series, "series_unique_id": f"u{self._series}"}
        start |= {"number_of_images": n_frames, "channels": ["threshold_1"]}
        if self._mask is not None:
            start["pixel_mask"] = {"threshold_1": _typed(np.where(self._mask, 0, 1).astype("<u4"), 70)}
        self._send_v2(start)

    def image_v2(self, number, frame):
        image = {"type": "image", "series_id": self._series, "series_unique_id": f"u{self._series}"}
        block = frame.tobytes()
        if self._encoding != "<":
            block = cbor2.CBORTag(56500, ["bslz4", frame.itemsize, bitshuffled(frame)])
        data = cbor2.CBORTag(40, [list(frame.shape), cbor2.CBORTag(69, block)])
        self._send_v2(image | {"image_id": number, "start_time": [number, 1000], "data": {"threshold_1": data}})

    def end_v2(self):
        self._send_v2({"type": "end", "series_id": self._series, "series_unique_id": f"u{self._series}"})

    def _send_v2(self, message):
        self.send(cbor2.dumps(cbor2.CBORTag(55799, message)))

    def close(self):
        self._closing = True
        self._outgoing.put(None)
        self._thread.join()
        self._context.destroy(linger=0)


def _lz4(frame):
    return lz4.block.compress(frame.tobytes(), store_size=False)


def _typed(array, tag):
    return cbor2.CBORTag(40, [list(array.shape), cbor2.CBORTag(tag, array.tobytes())])


def _write_swmr(path, stack, pause_s, closes):
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(
            "entry/data/data", (0, *stack.shape[1:]), stack.dtype, maxshape=(None, *stack.shape[1:]),
            chunks=(1, *stack.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4"),
        )  # fmt: skip
        file.swmr_mode = True
        for number, frame in enumerate(stack):
            data.resize(number + 1, axis=0)
            data[number] = frame
            data.flush()
            time.sleep(pause_s)
        if not closes:
            os._exit(0)


def _write_tiffs(folder, stack, pause_s):
    for number, frame in enumerate(stack):
        path = Path(folder) / f"scan_{number:05d}.tif"
        tifffile.imwrite(path.with_suffix(".part"), frame)
        whole = path.with_suffix(".part").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])  # a reader that looks now finds half a file
        time.sleep(pause_s)
        path.write_bytes(whole)


class WriterPeer:
    """A process that writes a file or a folder while the test reads it."""

    def __init__(self, target, *arguments):
        self._process = multiprocessing.get_context("fork").Process(target=target, args=arguments, daemon=True)
        self._process.start()

    def close(self):
        self._process.kill()
        self._process.join()


def swmr_peer(path, stack, *, pause_s=0.01, closes=True):
    peer = WriterPeer(_write_swmr, path, stack, pause_s, closes)
    peer.uri = f"hdf5+swmr://{path}"
    return peer


def tiff_peer(folder, stack, *, pause_s=0.02):
    peer = WriterPeer(_write_tiffs, folder, stack, pause_s)
    peer.uri = f"tiff+dir://{folder}?frames={len(stack)}"
    return peer


class LclsPeer(SimplonPeer):
    """What LCLStreamer's SimplonBinarySerializer sends: a letter, then CBOR; every message has the same number."""

    def __init__(self, frames, *, run=12):
        self._run = run
        super().__init__(frames, version=2)

    def start_v2(self, n_frames):
        start = {"type": "start", "run_number": self._run, "shape": "80x64", "datatype": "float64", "beamline": "CXI"}
        self.send(b"c" + cbor2.dumps(start | {"algorithm": "bitshuffle-lz4", "message_id": 1}))

    def image_v2(self, number, frame):
        block = bitshuffled(frame.astype(np.float64), nelems=4096)[12:]
        image = {"type": "image", "run": self._run, "compressed_data": block, "dtype": "float64", "message_id": 1}
        self.send(b"m" + cbor2.dumps(image | {"photon_energy": 9500.0, "timestamp": "1", "sum": float(frame.sum())}))

    def end_v2(self):
        self.send(b"c" + cbor2.dumps({"type": "stop", "run": self._run}))
