"""Many files at once: each is a task of Dask, scored into its own journal by a worker with a model of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path

from friedel.core.errors import InputError
from friedel.core.machine.cluster import ClusterOptions, dask_client
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
    InputError
        If the only file can't be read.
    """
    with dask_client(options) as client:
        from distributed import as_completed

        futures = {client.submit(_score, task, load, pure=False): index for index, task in enumerate(tasks)}
        done: dict[int, Outcome] = {}
        for future in as_completed(futures):
            task = tasks[futures[future]]
            try:
                done[futures[future]], warnings = future.result()
            except (InputError, OSError) as error:
                if len(tasks) == 1:
                    raise
                failed[task.path], warnings = str(error), [Warned(task.path.name, f"is not in the results: {error}")]
            for warning in warnings:
                observer(warning)
            observer(Progress("scoring files", len(done), len(tasks)))
    return [done[index] for index in sorted(done)]


def _score(task: FileTask, load: Callable[[], Scorer]) -> tuple[Outcome, list[Warned]]:
    key = repr(load)  # a worker keeps its model for the files to come
    if key not in _MODELS:
        _MODELS[key] = load()
    recorder = Recorder()
    outcome = score_file(task, _MODELS[key], observer=recorder)
    return outcome, [event for event in recorder.events if isinstance(event, Warned)]
