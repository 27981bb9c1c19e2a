"""Many workers: every task once, no more results under way than asked, and what is said without Dask."""

import os
import sys
import threading
import time
from unittest.mock import Mock

import pytest

from friedel.core.errors import FriedelError, MissingDependencyError, PlanError
from friedel.core.machine import cluster
from friedel.core.machine.cluster import ClusterLostError, ClusterOptions, Futures, dask_client, in_any_order
from friedel.core.observer import Note, Recorder, Warned


def _product(task: int, factor: int) -> int:
    if task == 99:
        raise PlanError("task 99 can't be done")
    return task * factor


@pytest.fixture(scope="module")
def scheduler():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", protocol="tcp://"
    ) as local:
        yield local.scheduler_address


def test_every_task_comes_back_once(scheduler: str) -> None:
    with dask_client(ClusterOptions(scheduler=scheduler)) as client:
        found = dict(in_any_order(client, _product, range(40), [3], waiting=4))
    assert found == {task: 3 * task for task in range(40)}


def _first_and_rest(task: int, names: tuple[str, ...], nothing: tuple[str, ...]) -> tuple[int, int]:
    return len(names) * task, len(nothing)


# As below.
@pytest.mark.filterwarnings("ignore")
def test_constants_arrive_as_they_are_though_no_worker_is_there_yet(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "_LOOK_S", 0.1)
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp://"
        ) as local,
        distributed.Client(local) as client,
    ):
        threading.Timer(0.5, local.scale, (1,)).start()
        found = dict(in_any_order(client, _first_and_rest, range(3), [("a", "b"), ()]))
    assert found == {0: (0, 0), 1: (2, 0), 2: (4, 0)}


def test_an_error_of_a_worker_arrives_as_itself(scheduler: str) -> None:
    with (
        dask_client(ClusterOptions(scheduler=scheduler)) as client,
        pytest.raises(PlanError, match="task 99 can't be done"),
    ):
        dict(in_any_order(client, _product, [1, 99], [3]))


# Dask leaves sockets and loops to the garbage collector when something is killed.
@pytest.mark.filterwarnings("ignore")
def test_without_a_worker_it_waits_and_says_so_and_a_task_that_kills_its_worker_is_named(monkeypatch):
    distributed = pytest.importorskip("distributed")
    import dask

    monkeypatch.setattr(cluster, "_LOOK_S", 0.1)
    heard = Recorder()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as local,
        distributed.Client(local) as client,
    ):
        futures = Futures(client, heard)
        futures.submit("ends its worker", os._exit, 1)
        threading.Timer(1.0, local.scale, (1,)).start()
        ((task, result),) = futures.finished()
        assert task == "ends its worker"
        with pytest.raises(FriedelError, match="1 workers died over it"):
            result()
    assert heard.events[:2] == [Warned("cluster", "no worker is there; waiting for one"), Note("cluster", "goes on")]


@pytest.mark.filterwarnings("ignore")
def test_a_lost_scheduler_ends_the_waiting_with_what_to_do():
    distributed = pytest.importorskip("distributed")
    local = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0",
                                     protocol="tcp://")  # fmt: skip
    with dask_client(ClusterOptions(scheduler=local.scheduler_address)) as client:
        futures = Futures(client)
        futures.submit(1, abs, -1)
        futures.submit(2, time.sleep, 3)
        finished = futures.finished()
        task, result = next(finished)
        assert (task, result()) == (1, 1)
        threading.Thread(target=local.close).start()
        with pytest.raises(ClusterLostError, match="give the same command again"):
            next(finished)


def test_a_scheduler_that_never_answers_is_named_with_what_to_do() -> None:
    dask = pytest.importorskip("dask")
    options = ClusterOptions(scheduler="tcp://127.0.0.1:9")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ClusterLostError, match=r"127\.0\.0\.1:9 .* start one, then give the same command again"),
        dask_client(options),
    ):
        pass


def test_only_what_dask_itself_raises_where_nobody_waits_goes_unsaid() -> None:
    client = pytest.importorskip("distributed.client")
    loop = Mock()
    cluster._untold(loop, {"exception": client.AllExit()})
    loop.default_exception_handler.assert_not_called()
    cluster._untold(loop, {"exception": ValueError("own")})
    loop.default_exception_handler.assert_called_once()


def test_slurm_gets_the_jobs_that_the_plan_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    jobqueue = pytest.importorskip("dask_jobqueue.slurm")
    asked: list[int] = []
    # Nothing is submitted; closing scales to nothing, by position.
    monkeypatch.setattr(jobqueue.SLURMCluster, "scale", lambda self, n=None, jobs=0: asked.append(jobs))
    with cluster._slurm(cluster.SlurmOptions(jobs=3, cores=4, memory="8GB", queue="day", account="me")) as jobs:
        script = jobs.job_script()
    assert asked[0] == 3
    for line in ("-p day", "-A me", "--cpus-per-task=4", "-t 01:00:00", "--nworkers 4"):
        assert line in script


def test_without_dask_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'friedel\[cluster\]'"),
        dask_client(ClusterOptions()),
    ):
        pass
