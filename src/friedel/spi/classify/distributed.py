"""Many files at once: each is a task of Dask, scored into its own journal by a worker with a model of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path

from friedel.core.errors import FriedelError
from friedel.core.machine.cluster import ClusterLostError, ClusterOptions, Futures, dask_client
from friedel.core.observer import Observer, Progress, Recorder, Warned, silent
from friedel.spi.classify.score import FileTask, Outcome, Scorer, score_file

_MODELS: dict[str, Scorer] = {}


def score_on_cluster(
    tasks: Sequence[FileTask],
    load: Callable[[], Scorer],
    options: ClusterOptions,
    *,
    failed: dict[Path, str],
    observer: Observer = silent,
) -> list[Outcome]:
    """Score files on Dask's workers; return what each gave, in order.

    Parameters
    ----------
    tasks : sequence of FileTask
        The files; their paths must mean the same to the workers.
    load : function
        Makes the model, once in each worker; must be picklable.
    options : ClusterOptions
        Which cluster.
    failed : dict of Path to str
        Gets the files of several that can't be read, and why.
    observer : Observer
        Hears of each finished file, and of what was odd about it.

    Raises
    ------
    MissingDependencyError
        If Dask isn't installed.
    FriedelError
        If the only file can't be read, or the cluster is lost before one is scored.
    """
    done: dict[int, Outcome] = {}

    def leave_out(index: int, error: Exception) -> None:
        if len(tasks) == 1:
            raise error
        failed[tasks[index].path] = str(error)
        observer(Warned(tasks[index].path.name, f"is not in the results: {error}"))

    with dask_client(options) as client:
        futures = Futures(client, observer)
        for index, task in enumerate(tasks):
            futures.submit(index, _score, task, load)
        try:
            for index, result in futures.finished():
                try:
                    done[index], warnings = result()
                except ClusterLostError:
                    raise
                except (FriedelError, OSError) as error:
                    leave_out(index, error)
                    continue
                for warning in warnings:
                    observer(warning)
                observer(Progress("scoring files", len(done), len(tasks)))
        except ClusterLostError as lost:  # the journals stay: the same command goes on
            if not done:
                raise
            for index, task in enumerate(tasks):
                if index not in done and task.path not in failed:
                    leave_out(index, lost)
    return [done[index] for index in sorted(done)]


def _score(task: FileTask, load: Callable[[], Scorer]) -> tuple[Outcome, list[Warned]]:
    key = repr(load)  # a worker keeps its model for the files to come
    if key not in _MODELS:
        _MODELS[key] = load()
    recorder = Recorder()
    outcome = score_file(task, _MODELS[key], observer=recorder)
    return outcome, [event for event in recorder.events if isinstance(event, Warned)]
