"""Members done here and on Dask's workers: the same results in the same order, and what each said is heard."""

import pytest

from friedel.core.machine.cluster import ClusterOptions
from friedel.core.observer import Note, Recorder
from friedel.core.series.spread import done_alike


def _work(member, factor, tell):
    tell(Note("work", f"member {member}"))
    return factor * member


def test_one_after_another():
    heard = Recorder()
    assert done_alike(_work, [3, 1, 2], (10,), cluster=None, observer=heard) == (30, 10, 20)
    assert [event.text for event in heard.events] == ["member 3", "member 1", "member 2"]


@pytest.mark.alone
def test_on_workers_the_results_keep_their_order_and_every_word_is_heard():
    pytest.importorskip("distributed")
    heard = Recorder()
    found = done_alike(_work, [3, 1, 2], (10,), cluster=ClusterOptions(workers=2), observer=heard)
    assert found == (30, 10, 20)
    assert sorted(event.text for event in heard.events) == ["member 1", "member 2", "member 3"]
