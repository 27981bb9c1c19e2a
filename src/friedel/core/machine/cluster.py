"""Where many tasks run: workers on this machine, a running Dask scheduler, or jobs of a SLURM queue.

Dask does a killed worker's tasks again on another. What it leaves to its caller is said here: that no worker is left,
that the scheduler doesn't answer, that a task kills whoever does it, that the cluster is lost.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import Field

from friedel.core.errors import FriedelError
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.core.optional import load_optional
from friedel.core.options import Options

Result = TypeVar("Result")

_LOOK_S = 5.0  # s without a result before it is asked whether scheduler and workers are there
_ANSWER_S = 10.0  # s for the scheduler to say so; a busy one needs one or two
_PATIENCE_S = 300.0  # s without an answer after which a cluster is lost: a network comes back within minutes, or not


_AGAIN = "give the same command again, and it goes on with what is left"


class ClusterLostError(FriedelError):
    """The scheduler can't be reached, or not any more; what it hadn't answered is lost."""


class SlurmOptions(Options):
    """What to ask SLURM for; each job is one node's share of the workers."""

    jobs: Annotated[int, Field(ge=1)] = 1
    """Jobs to submit."""
    cores: Annotated[int, Field(ge=1)] = 1
    """Cores of a job; each runs one worker."""
    memory: str = "4GB"
    """Memory of a job."""
    walltime: str = "01:00:00"
    """Longest run of a job, ``HH:MM:SS``."""
    queue: str | None = None
    """Partition; None: the cluster's default."""
    account: str | None = None
    """Account to charge; None: the user's default."""


class ClusterOptions(Options):
    """Many workers through Dask; needs the extra "cluster". The result is the same whatever is chosen here."""

    workers: Annotated[int, Field(ge=1)] = 2
    """Processes on this machine; not used with ``scheduler`` or ``slurm``."""
    scheduler: str | None = None
    """Address of a running Dask scheduler ("tcp://host:8786")."""
    slurm: SlurmOptions | None = None
    """Jobs to submit to SLURM, from a machine that can; None: no SLURM."""


@contextmanager
def dask_client(options: ClusterOptions) -> Iterator[Any]:
    """Yield a Dask client; what was started for it is stopped at the end.

    Raises
    ------
    MissingDependencyError
        Without Dask, or without dask-jobqueue where SLURM is asked for.
    ClusterLostError
        If no scheduler answers.
    """
    distributed = load_optional("distributed", package="dask", extra="cluster", purpose="work with several processes")
    Client, LocalCluster = distributed.Client, distributed.LocalCluster
    # Of a lost connection it prints tracebacks; what they mean is said by those who wait for results.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if options.scheduler is not None:
            cluster: Any = options.scheduler
        elif options.slurm is not None:
            cluster = stack.enter_context(_slurm(options.slurm))
        else:
            cluster = stack.enter_context(
                LocalCluster(n_workers=options.workers, threads_per_worker=1, dashboard_address=":0")
            )
        try:
            client = stack.enter_context(Client(cluster))
        except OSError as error:  # Dask's time-out is one
            where = options.scheduler or "the cluster that was started"
            raise ClusterLostError(
                f"no Dask scheduler answers at {where} ({error}); start one, then {_AGAIN}"
            ) from error
        client.loop.asyncio_loop.set_exception_handler(_untold)
        yield client


def _untold(loop: Any, context: dict[str, Any]) -> None:
    """Leave unsaid what Dask raises in tasks that nobody waits for: of lost workers, whose results were given up."""
    if not type(context.get("exception")).__module__.startswith("distributed."):
        loop.default_exception_handler(context)


def _slurm(options: SlurmOptions) -> Any:
    SLURMCluster = load_optional(
        "dask_jobqueue.slurm", package="dask-jobqueue", extra="cluster", purpose="submit jobs to SLURM"
    ).SLURMCluster
    cluster: Any = SLURMCluster(
        cores=options.cores,
        processes=options.cores,
        memory=options.memory,
        walltime=options.walltime,
        queue=options.queue,
        account=options.account,
        scheduler_options={"dashboard_address": ":0"},
    )
    cluster.scale(jobs=options.jobs)
    return cluster


def worker_addresses(client: Any) -> list[str]:
    """Return the addresses of a cluster's workers.

    Raises
    ------
    TimeoutError
        If the scheduler doesn't answer now.
    ClusterLostError
        If it can't be reached.
    """
    if client.status != "running":  # it tries to connect again, but all it had asked for is cancelled
        raise ClusterLostError(f"the connection to the cluster's scheduler is lost; {_AGAIN}")
    try:
        return sorted(client.sync(client._run_on_scheduler, _known, callback_timeout=_ANSWER_S))
    except TimeoutError:
        raise
    except Exception as error:  # Dask raises many kinds when its connection is gone
        raise ClusterLostError(f"the cluster's scheduler can't be reached ({error}); {_AGAIN}") from error


def _known(dask_scheduler: Any) -> list[str]:
    return list(dask_scheduler.workers)


class Futures:
    """Tasks under way on a cluster, and the eye on it.

    Parameters
    ----------
    client : Client
        Of Dask.
    observer : Observer
        Hears when no worker is left or the scheduler is silent, and when that is over.
    """

    def __init__(self, client: Any, observer: Observer = silent) -> None:
        self._client, self._observer = client, observer
        self._running: dict[Any, Any] = {}
        self._trouble, self._silent_since = "", 0.0

    def submit(self, task: Any, work: Callable[..., Any], *arguments: Any) -> None:
        """Have ``work(*arguments)`` done; ``task`` is what `finished` will call it."""
        self._running[self._client.submit(work, *arguments, pure=False)] = task

    def finished(self) -> Iterator[tuple[Any, Callable[[], Any]]]:
        """Yield each task as it is over, and a function that returns its result or raises its error.

        The function raises a `FriedelError` if each worker that tried the task died. More may be submitted meanwhile.

        Raises
        ------
        ClusterLostError
            If nothing more will come.
        """
        while self._running:
            for future in self._next(self._running):
                yield self._running.pop(future), partial(_result, future)

    def _next(self, running: Collection[Any]) -> Collection[Any]:
        from distributed import wait

        while True:
            try:
                done: Collection[Any] = wait(list(running), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                self._look()
            except CancelledError as error:
                raise ClusterLostError(f"the connection to the cluster's scheduler is lost; {_AGAIN}") from error
            else:
                self._say("")
                return [future for future in running if future in done]  # as they were submitted

    def _look(self) -> None:
        try:
            known = worker_addresses(self._client)
        except TimeoutError:
            self._silent_since = self._silent_since or time.monotonic()
            if time.monotonic() - self._silent_since > _PATIENCE_S:
                text = f"the cluster's scheduler hasn't answered for {_PATIENCE_S / 60:.0f} min; {_AGAIN}"
                raise ClusterLostError(text) from None
            self._say("the scheduler doesn't answer; waiting for it")
            return
        self._silent_since = 0.0
        self._say("" if known else "no worker is there; waiting for one")

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._observer(Warned("cluster", trouble) if trouble else Note("cluster", "goes on"))
        self._trouble = trouble


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise FriedelError(
            f"{error.allowed_failures + 1} workers died over it; see their logs (memory?) or do it on this machine"
        ) from error
    except CancelledError as error:
        raise ClusterLostError(f"the connection to the cluster's scheduler is lost; {_AGAIN}") from error


def once_each(client: Any, constants: Sequence[Any]) -> list[Any]:
    """Return futures of values that many tasks need; each travels to a worker once.

    They are tasks of their own: what is scattered instead needs a worker within 30 s, where a queue may take hours to
    start one, is lost with the worker that held it, and is taken apart if it is a tuple.
    """
    return [client.submit(_itself, constant, pure=False) for constant in constants]


def _itself(value: Result) -> Result:
    return value


def in_any_order(
    client: Any,
    work: Callable[..., Result],
    tasks: Sequence[int],
    constants: Sequence[Any],
    *,
    waiting: int = 16,
    observer: Observer = silent,
) -> Iterator[tuple[int, Result]]:
    """Yield ``(task, work(task, *constants))`` for all tasks as they finish.

    No more than ``waiting`` results are under way at any time, so that a slow reader of them doesn't fill the memory.
    The constants travel to each worker once.

    Parameters
    ----------
    client : Client
        Of Dask.
    work : function
        Called as ``work(task, *constants)``, on a worker.
    tasks : sequence of int
        What to do.
    constants : sequence
        The same for all tasks.
    waiting : int
        Results under way at any time.
    observer : Observer
        Hears when the cluster doesn't go on.

    Raises
    ------
    FriedelError
        If a task kills its workers, or the cluster is lost; what was yielded before is whole.
    """
    fixed = once_each(client, constants)
    todo, futures = iter(tasks), Futures(client, observer)
    for task in islice(todo, waiting):
        futures.submit(task, work, task, *fixed)
    for task, result in futures.finished():
        yield task, result()
        for following in islice(todo, 1):
            futures.submit(following, work, following, *fixed)
