"""One bad message among good ones is counted as malformed, whatever it is, and the good ones all come."""

import json

import cbor2
import numpy as np
import pytest
from live_doubles import frames, plan
from live_peers import SimplonPeer

from friedel.core.errors import InputError
from friedel.core.observer import silent
from friedel.spi.live.watch import HitsWatch
from friedel.stream.ledger import Ledger
from friedel.stream.receiving import Receiver
from friedel.stream.sources.events import Begun, Ended, Message

IMAGE = {"htype": "dimage-1.0", "series": 7, "frame": 3, "hash": ""}
BAD_JSON = {
    "infinity": b'{"htype": "dimage-1.0", "series": 7, "frame": Infinity}',
    "not a number": b'{"htype": "dimage-1.0", "series": 7, "frame": NaN}',
    "deeply nested": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "no object": b'{"htype": 5}',
    "half": b'{"htype": "dim',
    "another series": json.dumps(IMAGE | {"series": {"a": [1]}}).encode(),
    "a header's count": b'{"htype": "dheader-1.0", "series": 7, "nimages": Infinity}',
    "a great number": json.dumps(IMAGE | {"frame": 2**70}).encode(),
    "a negative number": json.dumps(IMAGE | {"frame": -5}).encode(),
}
BAD_CBOR = {
    "a time of one over nothing": {"image_id": 3, "start_time": [1, 0], "data": {"t": cbor2.CBORTag(40, [[1], b"\0"])}},
    "no shape": {"image_id": 3, "data": {"t": cbor2.CBORTag(40, [[2**40, 2**40], cbor2.CBORTag(69, b"12")])}},
    "a block": {"image_id": 3, "data": {"t": cbor2.CBORTag(40, [[2, 2], cbor2.CBORTag(56500, ["bslz4", 2, b"no"])])}},
    "an infinite number": {"image_id": float("inf"), "data": {}},
    "no data": {"image_id": 3},
}  # fmt: skip


def _good_then(bad, version, tmp_path):
    """Watch five good frames, a bad message, and five good ones; return the counts."""
    stack = frames(10)
    peer = SimplonPeer(stack[:5], version=version, encoding="<", ends=False)
    peer.send(*bad)
    image = peer.image_v1 if version == 1 else peer.image_v2
    for number in range(5, 10):
        image(number, stack[number])
    watch = HitsWatch(plan(tmp_path, peer.uri, queue={"workers": 1, "sample": 5}))
    watch.watch._on_snapshot = lambda shown: watch.stop() if shown.ledger.processed == 10 else None
    try:
        return watch.run().counts
    finally:
        peer.close()


@pytest.mark.parametrize("bad", ["infinity", "deeply nested", "another series"])
def test_a_bad_message_of_version_1_ends_no_watch(tmp_path, bad):
    counts = _good_then((BAD_JSON[bad], b"{}", b"\0" * 8), 1, tmp_path)
    assert counts.adds_up
    assert (counts.processed, counts.malformed) == (10, 1)


def test_a_bad_message_of_version_2_ends_no_watch(tmp_path):
    message = {"type": "image", "series_id": 7, "series_unique_id": "u7"} | BAD_CBOR["a time of one over nothing"]
    counts = _good_then((cbor2.dumps(cbor2.CBORTag(55799, message)),), 2, tmp_path)
    assert counts.adds_up
    assert (counts.processed, counts.malformed + counts.duplicate) == (10, 1)


def _decoded(*parts):
    from friedel.stream.sources.simplon import SimplonSource
    from friedel.stream.sources.source import parse_uri

    source = SimplonSource(parse_uri("simplon://127.0.0.1:1"))

    class Socket:
        def poll(self, _):
            return True

        def recv_multipart(self, copy):
            return [type("Part", (), {"buffer": memoryview(part)}) for part in parts]

    source._socket = Socket()
    return source.receive(0.1)


@pytest.mark.parametrize("bad", BAD_JSON)
def test_no_json_raises_out_of_the_decoder(bad):
    event = _decoded(BAD_JSON[bad], b"{}", b"\0" * 8)
    assert event is None or type(event).__name__ == "Malformed"


@pytest.mark.parametrize("bad", BAD_CBOR)
def test_no_cbor_raises_out_of_the_decoder(bad):
    message = {"type": "image", "series_id": 7, "series_unique_id": "u7"} | BAD_CBOR[bad]
    assert type(_decoded(cbor2.dumps(message))).__name__ == "Malformed"


class _Fickle:
    """A source whose decoder raises what it is told to, between two good frames."""

    uri, patient = "fickle://", False

    def __init__(self, *events):
        self._events = [Begun(series="s"), *events]

    def open(self):
        pass

    def receive(self, timeout_s):
        if not self._events:
            return Ended()
        event = self._events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    def close(self):
        pass


class _Taking:
    """Takes every frame."""

    def begin(self, begun):
        self.taken = []

    def mismatch(self, frames):
        return ""

    def accept(self, frames, numbers, *, series, timestamp):
        self.taken += numbers.tolist()

    def room(self, timeout_s):
        return True


def _received(source):
    ledger, into = Ledger(), _Taking()
    receiver = Receiver(
        source=source, ledger=ledger, into=into, observer=silent, done={}, silent_s=1.0, wake=lambda: None
    )
    receiver.start()
    receiver._thread.join(30)
    return receiver, ledger.counts(), into.taken


def test_whatever_a_decoder_raises_is_malformed_and_the_watch_goes_on():
    frame = np.zeros((1, 64, 64), np.uint16)
    errors = [RecursionError("deep"), OverflowError("inf"), ZeroDivisionError("1/0"), MemoryError(), KeyError("x")]
    events = [Message(number=0, frames=frame), *errors, Message(number=1, frames=frame)]
    receiver, counts, taken = _received(_Fickle(*events))
    assert receiver.error is None
    assert taken == [0, 1]
    assert counts.malformed == 5
    assert counts.adds_up


def test_numbers_that_can_t_be_are_malformed():
    frame = np.zeros((1, 64, 64), np.uint16)
    events = [Message(number=number, frames=frame) for number in (0, -1, 2**63, 2**200, 1)]
    receiver, counts, taken = _received(_Fickle(*events))
    assert receiver.error is None
    assert taken == [0, 1]
    assert counts.malformed == 3
    assert counts.adds_up


def test_a_source_that_only_fails_ends_the_watch_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("friedel.stream.receiving._RETRY_S", 0.0)
    watch = HitsWatch(plan(tmp_path, None), source=_Fickle(*[ValueError("no")] * 100))
    with pytest.raises(InputError, match="failed again and again"):
        watch.run()
