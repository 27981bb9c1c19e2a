"""Scoring on several machines: two workers of Dask, processes of this one, one of which is killed."""

import os
import signal
import sys
import time

import pytest
from live_doubles import Scripted, frames, plan, rows

from friedel.core.machine.cluster import ClusterOptions, dask_client
from friedel.core.observer import Recorder
from friedel.spi.live import remote
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
        client = watch.sink.pool.cluster.client
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


@pytest.mark.filterwarnings("ignore")
def test_when_no_worker_is_left_scoring_goes_on_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(entry for entry in sys.path if entry))
    monkeypatch.setattr(remote, "_GRACE_S", 0.2)
    stack, heard, watch = frames(160), Recorder(), None
    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 160, 10)]

    def leave():
        watch.sink.pool.cluster.client.cluster.scale(0)

    source = Scripted(*messages[:8], 0.5, leave, *messages[8:], patient=True)
    watch = HitsWatch(plan(tmp_path, None, cluster=ClusterOptions(workers=1)), source=source, observer=heard)
    result = watch.run()
    assert (result.counts.processed, result.counts.dropped) == (160, 0)
    assert sorted(rows(result.files["part 1"])) == list(range(160))
    told = [event.text for event in heard.events if "on this machine" in getattr(event, "text", "")]
    assert told[0] == "a scoring process died; no worker of the cluster is left; scoring goes on on this machine"


def test_a_scheduler_that_is_gone_makes_the_cluster_lost_at_once():
    distributed = pytest.importorskip("distributed")
    local = distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0", protocol="tcp://")
    with dask_client(ClusterOptions(scheduler=local.scheduler_address)) as client:
        cluster = remote.Cluster(client)
        assert len(cluster.known()) == 1
        local.close()
        began = time.monotonic()
        with pytest.raises(remote.WorkerGoneError):
            cluster.worker()
        assert cluster.lost == "the cluster's scheduler can't be reached"
        assert time.monotonic() - began < 5
