"""Where many tasks run: workers on this machine, a running Dask scheduler, or jobs of a SLURM queue."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import Field

from friedel.core.optional import load_optional
from friedel.core.options import Options

Result = TypeVar("Result")


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
    """
    distributed = load_optional("distributed", package="dask", extra="cluster", purpose="work with several processes")
    Client, LocalCluster = distributed.Client, distributed.LocalCluster
    with ExitStack() as stack:
        if options.scheduler is not None:
            cluster: Any = options.scheduler
        elif options.slurm is not None:
            cluster = stack.enter_context(_slurm(options.slurm))
        else:
            cluster = stack.enter_context(
                LocalCluster(n_workers=options.workers, threads_per_worker=1, dashboard_address=":0")
            )
        yield stack.enter_context(Client(cluster))


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


def in_any_order(
    client: Any, work: Callable[..., Result], tasks: Sequence[int], constants: Sequence[Any], *, waiting: int = 16
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
    """
    from distributed import as_completed

    fixed = [client.scatter(constant, broadcast=True) for constant in constants]
    todo = iter(tasks)
    futures: dict[Any, int] = {}

    def submit() -> Any:
        task = next(todo, None)
        if task is None:
            return None
        future = client.submit(work, task, *fixed, pure=False)
        futures[future] = task
        return future

    running = as_completed([future for _ in range(waiting) if (future := submit()) is not None])
    for finished in running:
        yield futures.pop(finished), finished.result()
        if (following := submit()) is not None:
            running.add(following)
