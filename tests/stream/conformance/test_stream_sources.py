"""The contract over every kind of stream, with a real sender of that kind on loopback; and what is special to each."""

import builtins
import json
import os
import time
from importlib import import_module

import numpy as np
import pytest
import tifffile
from live_doubles import frames
from live_peers import KaraboPeer, LclsPeer, PvaPeer, SimplonPeer, free_port, swmr_peer, tiff_peer
from source_contract import SourceContract, collect, frames_of

from friedel.core.errors import InputError, MissingDependencyError
from friedel.stream.sources.events import Begun, Ended, Malformed, Message
from friedel.stream.sources.source import SOURCES, find_source


def _with(peer, stack):
    peer.frame = lambda index: stack[index]
    try:
        yield peer
    finally:
        peer.close()


class TestGrowingHdf5(SourceContract):
    ends = True

    @pytest.fixture
    def peer(self, tmp_path):
        stack = frames(self.n_frames)
        yield from _with(swmr_peer(tmp_path / "run.h5", stack), stack)


class TestTiffFolder(SourceContract):
    ends = True

    @pytest.fixture
    def peer(self, tmp_path):
        stack = frames(self.n_frames)
        yield from _with(tiff_peer(tmp_path, stack), stack)


@pytest.mark.parametrize("how", [("nyx", "REP"), ("yxn", "PUSH"), ("xyn", "REP")], ids=lambda how: "-".join(how))
class TestKarabo(SourceContract):
    n_frames = 6

    @pytest.fixture
    def peer(self, how):
        axes, socket = how
        stack = frames(self.n_frames)
        yield from _with(KaraboPeer(stack.reshape(3, 2, 64, 64), axes=axes, socket=socket), stack)


@pytest.mark.parametrize("codec", ["lz4", "", "bslz4"])
class TestPva(SourceContract):
    @pytest.fixture
    def peer(self, codec):
        stack = frames(self.n_frames)
        yield from _with(PvaPeer(stack, codec=codec), stack)


@pytest.mark.parametrize("how", [(1, "bs16-lz4<"), (1, "lz4<"), (1, "<"), (2, "bslz4"), (2, "<")], ids=str)
class TestSimplon(SourceContract):
    @pytest.fixture
    def peer(self, how):
        version, encoding = how
        stack = frames(self.n_frames)
        yield from _with(SimplonPeer(stack, version=version, encoding=encoding), stack)


def _first(uri, n_frames=1):
    source = find_source(uri)
    source.open()
    try:
        return collect(source, n_frames)
    finally:
        source.close()


def test_every_known_kind_of_source_has_a_plug_in():
    assert set(SOURCES) == {"file", "replay", "tiff+dir", "hdf5+swmr", "karabo", "pva", "simplon"}


@pytest.mark.parametrize("version", [1, 2])
def test_a_detector_tells_its_mask_and_how_many_frames_come(version):
    mask = np.ones((64, 80), bool)
    mask[:, 3] = False
    peer = SimplonPeer(np.ones((2, 64, 80), np.uint16), version=version, mask=mask)
    try:
        begun = _first(peer.uri)[0]
    finally:
        peer.close()
    assert begun.expected == 2
    np.testing.assert_array_equal(begun.mask, mask)


def test_a_damaged_block_is_malformed_and_keeps_its_number():
    peer = SimplonPeer(frames(1))
    peer.send(b'{"htype": "dimage-1.0", "series": 7, "frame": 1}', b'{"shape": [64, 64], "type": "uint16", '
              b'"encoding": "bs16-lz4<"}', b"nonsense", b"{}")  # fmt: skip
    peer.send(b'{"htype": ')
    peer.send(b"\x81\xff\xff")
    peer.image_v1(2, frames(1)[0])
    try:
        found = _first(peer.uri, 2)
    finally:
        peer.close()
    bad = [event for event in found if isinstance(event, Malformed)]
    assert [event.number for event in bad] == [1, None, None]
    assert sorted(frames_of(found)) == [0, 2]


def test_axes_are_never_guessed():
    peer = KaraboPeer(frames(4).reshape(2, 2, 64, 64))
    try:
        with pytest.raises(InputError, match="name its axes"):
            _first(peer.uri.replace("&axes=nyx", ""))
    finally:
        peer.close()


def test_a_train_unlike_the_first_is_malformed_and_the_next_one_comes():
    stack = frames(4).reshape(2, 2, 64, 64)
    peer = KaraboPeer(stack[:1], axes="nyx")
    peer.feed(1001, stack[1][0])
    peer.feed(1002, stack[1])
    source = find_source(peer.uri)
    source.open()
    try:
        events = collect(source, 4)
    finally:
        source.close()
        peer.close()
    assert [type(event) for event in events] == [Begun, Message, Malformed, Message]
    np.testing.assert_array_equal(events[-1].frames, stack[1])


def test_links_pipes_and_a_vanished_folder_hold_up_no_frames(tmp_path):
    folder, stack = tmp_path / "scan", frames(3)
    folder.mkdir()
    os.mkfifo(folder / "f_0000.tif")
    (folder / "f_0001.tif").symlink_to(folder / "later.tiff")
    tifffile.imwrite(folder / "f_0002.tif", stack[2])
    source = find_source(f"tiff+dir://{folder}")
    source.open()
    events = collect(source, 1)
    folder.rename(tmp_path / "gone")
    lost = source.receive(0.1)
    (tmp_path / "gone").rename(folder)
    tifffile.imwrite(folder / "later.tiff", stack[1])
    events += collect(source, 1)
    source.close()
    assert [type(event) for event in events] == [Begun, Message, Message]
    assert [event.number for event in events[1:]] == [2, 1]
    assert "the folder can't be read" in lost.reason


@pytest.mark.parametrize("off_s", [-86400, 86400])
def test_a_file_server_s_clock_doesn_t_decide_when_a_frame_is_given_up(tmp_path, off_s):
    folder, stack = tmp_path / "scan", frames(2)
    folder.mkdir()
    whole, part = tmp_path / "whole.tif", folder / "f_0001.tif"
    tifffile.imwrite(whole, stack[0])
    written = time.time() + off_s

    def write(n_bytes):
        part.write_bytes(whole.read_bytes()[:n_bytes])
        os.utime(part, (written, written))

    write(100)
    source = find_source(f"tiff+dir://{folder}?settle_s=3")
    source.open()
    assert isinstance(source.receive(0.05), Begun)
    assert source.receive(0.2) is None, "a frame still being written is given up"
    write(None)
    (event,) = collect(source, 1)
    assert isinstance(event, Message)
    (folder / "f_0002.tif").write_bytes(b"II*")
    os.utime(folder / "f_0002.tif", (written, written))
    (event,) = collect(source, 1)
    source.close()
    assert isinstance(event, Malformed)


def test_modules_are_put_one_below_the_other():
    stack = frames(6).reshape(2, 3, 64, 64)
    peer = KaraboPeer(frames(1)[None], axes="nyx")
    peer.feed(2000, stack)
    try:
        source = find_source(peer.uri.replace("axes=nyx", "axes=nmyx"))
        frame = source._frames(stack)
    finally:
        peer.close()
    np.testing.assert_array_equal(frame, stack.reshape(2, 192, 64))


def test_a_missing_library_names_the_line_that_installs_it(monkeypatch):
    whole = builtins.__import__

    def refuse(name, *more):
        if name.partition(".")[0] in ("karabo_bridge", "zmq", "p4p"):
            raise ImportError(name)
        return whole(name, *more)

    monkeypatch.setattr(
        "friedel.core.optional.import_module",
        lambda name: import_module(name) if name.startswith("friedel") else refuse(name),
    )
    for uri, extra in (("karabo://h:1", "karabo"), ("pva://channel", "epics"), ("simplon://h", "simplon")):
        with pytest.raises(MissingDependencyError, match=rf"pip install 'friedel\[{extra}\]'"):
            find_source(uri)


def test_angles_come_with_the_frames(tmp_path):
    spec = tmp_path / "log.spec"
    spec.write_text("#F log.spec\n\n#S 7 ascan th 0 1 2 1\n#D Sat Nov 21 2026\n#N 2\n#L th  Det\n0.1 5\n0.2 6\n0.3 7\n")
    (tmp_path / "tiffs").mkdir()
    peer = tiff_peer(tmp_path / "tiffs", frames(3))
    try:
        found = _first(f"{peer.uri}&spec={spec}&scan=7", 3)
    finally:
        peer.close()
    assert found[0].meta["command"].startswith("ascan th")
    assert [event.meta["th"] for event in found if isinstance(event, Message)] == [0.1, 0.2, 0.3]


def test_a_killed_hdf5_writer_leaves_the_stream_silent(tmp_path):
    stack = frames(5)
    peer = swmr_peer(tmp_path / "run.h5", stack, closes=False)
    try:
        source = find_source(peer.uri)
        source.open()
        found = collect(source, 6, patience_s=3.0)
        source.close()
    finally:
        peer.close()
    assert len(frames_of(found)) == 5
    assert not [event for event in found if isinstance(event, Ended)]


def test_nobody_there_is_nothing_yet():
    source = find_source(f"simplon://127.0.0.1:{free_port()}")
    source.open()
    try:
        assert source.receive(0.2) is None
    finally:
        source.close()


def test_a_series_is_joined_in_the_middle():
    peer = SimplonPeer(frames(1), ends=False)
    peer._series = 8
    peer.image_v1(5, frames(1)[0])
    try:
        found = _first(peer.uri, 2)
    finally:
        peer.close()
    assert [event.series for event in found if isinstance(event, Begun)] == ["7", "8"]


def test_the_starts_of_a_day_of_series_are_not_kept():
    peer = SimplonPeer(frames(1), ends=False)
    source = find_source(peer.uri)
    header = {"htype": "dheader-1.0", "header_detail": "basic"}
    mask = np.zeros((256, 256), np.uint32)
    try:
        source.open()
        for series in range(100, 130):
            told = header | {"series": series}, {"nimages": series, "ntrigger": 1}
            told = (*told, {"htype": "dpixelmask-1.0", "shape": [256, 256], "type": "uint32"})
            peer.send(*(json.dumps(part).encode() for part in told), mask.tobytes())
        begun = []
        until = time.monotonic() + 20
        while (not begun or begun[-1].series != "129") and time.monotonic() < until:
            if isinstance(event := source.receive(0.1), Begun):
                begun.append(event)
    finally:
        source.close()
        peer.close()
    assert [event.expected for event in begun][-30:] == list(range(100, 130))
    assert begun[-1].mask.shape == (256, 256)
    assert len(source._starts) <= 4


def test_what_lclstreamer_calls_simplon_is_understood():
    stack = np.random.default_rng(3).poisson(2.0, (5, 80, 64))
    peer = LclsPeer(stack)
    source = find_source(peer.uri)
    try:
        source.open()
        found = frames_of(collect(source, 5))
    finally:
        source.close()
        peer.close()
    assert sorted(found) == list(range(5)), "the sender's own numbers are all alike"
    for number, frame in found.items():
        np.testing.assert_array_equal(frame, stack[number])
