"""Scoring on several machines: two workers of Dask, processes of this one, one of which is killed."""

import os
import signal
import sys

import pytest
from live_doubles import Scripted, frames, plan, rows

from friedel.core.machine.cluster import ClusterOptions
from friedel.spi.live.watch import HitsWatch
from friedel.stream.sources.events import Message

pytest.importorskip("distributed")


# Dask leaves sockets and loops to the garbage collector when a worker is killed.
@pytest.mark.filterwarnings("ignore")
def test_two_workers_score_and_one_may_die(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(entry for entry in sys.path if entry))
    stack = frames(160)
    watch = None
    worked = set()

    def kill_one():
        client = watch.sink.pool.cluster._client
        pids = client.run(os.getpid)
        worked.update(pids.values())
        os.kill(next(iter(pids.values())), signal.SIGKILL)

    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 160, 10)]
    source = Scripted(*messages[:8], 0.5, kill_one, *messages[8:], patient=True)
    watch = HitsWatch(plan(tmp_path, None, cluster=ClusterOptions(workers=2)), source=source)
    result = watch.run()
    assert len(worked) == 2
    assert os.getpid() not in worked
    assert (result.counts.processed, result.counts.dropped) == (160, 0)
    assert sorted(rows(result.files["part 1"])) == list(range(160))
