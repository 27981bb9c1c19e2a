"""Many workers: every task once, no more results under way than asked, and what is said without Dask."""

import sys

import pytest

from friedel.core.errors import MissingDependencyError, PlanError
from friedel.core.machine import cluster
from friedel.core.machine.cluster import ClusterOptions, dask_client, in_any_order


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


def test_an_error_of_a_worker_arrives_as_itself(scheduler: str) -> None:
    with (
        dask_client(ClusterOptions(scheduler=scheduler)) as client,
        pytest.raises(PlanError, match="task 99 can't be done"),
    ):
        dict(in_any_order(client, _product, [1, 99], [3]))


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
