import multiprocessing

import numpy as np

from friedel.spi.live.view import HitsView, Thumbnail
from friedel.stream.display import Board, Control, Display, Viewer
from friedel.stream.ledger import LedgerCounts
from friedel.stream.snapshot import Snapshot, SourceState, from_json, to_json


def _snapshot(n=3):
    rng = np.random.default_rng(n)
    thumbnail = Thumbnail(
        image=rng.integers(0, 255, (8, 6), dtype=np.uint8),
        number=n,
        series="s",
        single=0.5,
        fringes=3.0,
        out_of_distribution=0.1,
    )
    hits = HitsView(
        rate_times=np.arange(3.0), rates=np.array([0.1, np.nan, 0.2]), histogram=np.arange(20),
        singles=(thumbnail,), powder=rng.random((4, 4), dtype=np.float32), n_powder=7,
    )  # fmt: skip
    return Snapshot(
        mode="hits", taken=1.5, source=SourceState(name="file://x", state="silent", since=1.0),
        ledger=LedgerCounts(seen=5, processed=5), view=hits,
    )  # fmt: skip


def test_a_snapshot_survives_json_bit_for_bit():
    before = _snapshot()
    after = from_json(to_json(before))
    assert after.ledger == before.ledger
    assert after.source == before.source
    np.testing.assert_array_equal(after.view["rates"], before.view.rates)
    np.testing.assert_array_equal(after.view["singles"][0]["image"], before.view.singles[0].image)
    assert after.view["powder"].dtype == np.float32
    assert to_json(after) == to_json(before)


def _look(names, answers):
    viewer = Viewer(names)
    seen = viewer.latest()
    viewer.ask(Control(threshold=0.25, paused=True))
    answers.send(None if seen is None else seen.ledger.seen)
    viewer.close()


def test_another_process_sees_the_latest_and_is_heard():
    display = Display()
    try:
        for seen in range(4):  # three of them are never read
            assert display.show(
                Snapshot(mode="hits", taken=0.0, source=SourceState(name="x"), ledger=LedgerCounts(seen=seen))
            )
        here, there = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=_look, args=(display.names, there))
        child.start()
        assert here.recv() == 3
        child.join()
        assert display.control() == Control(threshold=0.25, paused=True)
    finally:
        display.close()


def test_a_text_that_is_too_long_leaves_the_old_one():
    board = Board(n_bytes=4096)
    reader = Board(board.name)
    try:
        assert board.write("short")
        assert not board.write("x" * 5000)
        assert reader.read() == "short"
        assert reader.read() is None
    finally:
        reader.close()
        board.close()


def test_a_threshold_outside_is_brought_inside():
    assert Control.from_dict({"threshold": 7}).threshold == 1.0
    assert Control.from_dict({"paused": 1}) == Control(paused=True)
