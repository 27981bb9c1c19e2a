"""The members of a series done alike: one after another in this process, or several at once by Dask or SLURM."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from friedel.core.machine.cluster import ClusterOptions, dask_client, in_any_order
from friedel.core.observer import Event, Observer, Progress, Recorder

Result = TypeVar("Result")
Work = Callable[..., Result]


def done_alike(
    work: Work[Result],
    members: Sequence[Any],
    constants: Sequence[Any],
    *,
    cluster: ClusterOptions | None,
    observer: Observer,
) -> tuple[Result, ...]:
    """Return ``work(member, *constants, observer)`` of every member, in order.

    Parameters
    ----------
    work : function
        Does one member. For a cluster it and its arguments must be picklable, and paths mean the same to the workers.
    members : sequence
        What differs.
    constants : sequence
        What doesn't.
    cluster : ClusterOptions or None
        Where several are done at once; None: here, one after another.
    observer : Observer
        Hears each member's events: as they happen here, when it is done elsewhere.

    Raises
    ------
    MissingDependencyError
        If a cluster is asked for and Dask isn't installed.
    """
    n = len(members)
    if cluster is None:
        found = []
        for place, member in enumerate(members):
            observer(Progress("series", place, n))
            found.append(work(member, *constants, observer))
        observer(Progress("series", n, n))
        return tuple(found)
    done: dict[int, Result] = {}
    observer(Progress("series", 0, n))
    with dask_client(cluster) as client:
        for place, (result, events) in in_any_order(client, _elsewhere, range(n), (work, list(members), constants)):
            done[place] = result
            for event in events:
                observer(event)
            observer(Progress("series", len(done), n))
    return tuple(done[place] for place in range(n))


def _elsewhere(
    place: int, work: Work[Result], members: Sequence[Any], constants: Sequence[Any]
) -> tuple[Result, list[Event]]:
    recorder = Recorder()
    result = work(members[place], *constants, recorder)
    return result, list(recorder.events)
