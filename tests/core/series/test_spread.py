"""Members done here and on Dask's workers: the same results in the same order, and what each said is heard."""

import pytest
from members import undone, work

from friedel.core.machine.cluster import ClusterLostError, ClusterOptions, Futures
from friedel.core.observer import Recorder
from friedel.core.series.spread import done_alike


def test_one_after_another():
    heard = Recorder()
    assert done_alike(work, [3, 1, 2], (10,), cluster=None, observer=heard, undone=undone) == (30, 10, 20)
    assert [event.text for event in heard.events] == ["member 3", "member 1", "member 2"]


@pytest.mark.alone
def test_on_workers_the_results_keep_their_order_and_every_word_is_heard():
    pytest.importorskip("distributed")
    heard = Recorder()
    found = done_alike(work, [3, 1, 2], (10,), cluster=ClusterOptions(workers=2), observer=heard, undone=undone)
    assert found == (30, 10, 20)
    assert sorted(event.text for event in heard.events) == ["member 1", "member 2", "member 3"]


def test_members_that_a_lost_cluster_left_undone_are_told_apart_from_those_that_are_done(monkeypatch):
    pytest.importorskip("distributed")
    finished, heard = Futures.finished, Recorder()

    def lost_after_one(self):
        yield next(finished(self))
        raise ClusterLostError("gone")

    monkeypatch.setattr(Futures, "finished", lost_after_one)
    found = done_alike(work, [3, 1, 2], (10,), cluster=ClusterOptions(workers=1), observer=heard, undone=undone)
    # Which of them a worker does first isn't promised.
    done = [member for member, result in zip([3, 1, 2], found, strict=True) if result == 10 * member]
    assert len(done) == 1
    assert [result for result in found if result != 10 * done[0]] == [(m, "gone") for m in [3, 1, 2] if m != done[0]]
    assert heard.events[-1].text == "2 of 3 have no result: gone"
