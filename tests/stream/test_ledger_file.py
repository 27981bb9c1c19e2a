"""The ledger on disk: what is written is what it says, and what a kill took is counted."""

import threading

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.stream.ledger import LedgerCounts
from friedel.stream.ledger_file import FILE, KILLED, Account, WrittenBatch


def _batch(first, n, *, part="hits_001.cxi", until=0, numbers=None):
    numbers = np.arange(first, first + n) if numbers is None else np.array(numbers)
    return WrittenBatch(part=part, series="s", numbers=numbers, until=until, pictures=until // 2)


def test_what_is_written_is_known_again(tmp_path):
    account = Account(tmp_path)
    session = account.begin("test://")
    account.begin_part(session, "hits_001.cxi")
    account.written(session, [_batch(0, 16, until=16), _batch(20, 3, until=19, numbers=[20, 25, 22])])
    account.close()
    again = Account(tmp_path)
    assert again.done()["s"].tolist() == [*range(16), 20, 22, 25]
    assert again.parts() == {"hits_001.cxi": (19, 9)}
    again.close()


def test_a_killed_session_is_closed_with_what_it_lost(tmp_path):
    account = Account(tmp_path)
    session = account.begin("test://")
    counts = LedgerCounts(seen=100, processed=60, dropped=5, duplicate=3, waiting=32, dropped_why={"overload": 5})
    account.count(session, counts)
    account.written(session, [_batch(0, 48, until=48)])
    ((found, closed),) = account.close_killed()
    assert found == session
    assert closed.adds_up
    assert (closed.seen, closed.processed, closed.dropped, closed.waiting) == (100, 48, 49, 0)
    assert closed.dropped_why == {"overload": 5, KILLED: 44}
    assert account.close_killed() == []
    assert account.replay()[session] == closed
    account.close()


def test_more_may_be_written_than_was_counted(tmp_path):
    account = Account(tmp_path)
    session = account.begin("test://")
    account.count(session, LedgerCounts(seen=10, processed=10))
    account.written(session, [_batch(0, 40, until=40)])
    counts = account.replay()[session]
    account.close()
    assert counts.adds_up
    assert (counts.seen, counts.processed) == (40, 40)


def test_several_processes_may_write(tmp_path):
    Account(tmp_path).close()

    def write(first):
        account = Account(tmp_path)
        for k in range(20):
            account.written(1, [_batch(first + k, 1)])
        account.close()

    threads = [threading.Thread(target=write, args=(100 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    account = Account(tmp_path)
    assert len(account.done()["s"]) == 80
    account.close()


def test_a_damaged_ledger_is_said_to_be(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match="move it elsewhere"):
        Account(tmp_path)
