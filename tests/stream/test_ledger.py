import threading

import numpy as np

from friedel.stream.ledger import Fate, Latencies, Ledger, LedgerCounts


def test_every_frame_is_in_one_place_at_any_moment():
    ledger, wrong = Ledger(), []
    stop = threading.Event()

    def look():
        while not stop.is_set():
            if not ledger.counts().adds_up:
                wrong.append(ledger.counts())

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(300):
        ledger.arrived(8)
        ledger.refused(Fate.DUPLICATE, 1)
        ledger.refused(Fate.MALFORMED, 2, "no shape")
        ledger.processed(np.full(5, 0.01))
        ledger.dropped(3, "overload")
    stop.set()
    reader.join()
    counts = ledger.counts()
    assert wrong == []
    assert (counts.seen, counts.processed, counts.dropped, counts.waiting) == (3300, 1500, 900, 0)
    assert counts.malformed_why == {"no shape": 600}
    assert counts.dropped_why == {"overload": 900}


def test_a_lost_frame_is_noticed():
    assert not LedgerCounts(seen=2, processed=1).adds_up
    assert not LedgerCounts(seen=1, dropped=1).adds_up
    assert LedgerCounts(seen=1, dropped=1, dropped_why={"overload": 1}).adds_up


def test_percentiles_follow_the_latest_frames_and_remember_all():
    latencies = Latencies()
    latencies.add(np.full(10_000, 1.0))
    latencies.add(np.full(9_000, 0.01))
    assert latencies.latest(50, 99) == (0.01, 0.01)
    assert abs(latencies.overall(99) - 1.0) < 0.03
    assert abs(latencies.overall(40) - 0.01) < 0.0003
