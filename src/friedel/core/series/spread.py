"""The members of a series done alike: one after another in this process, or several at once by Dask or SLURM."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from friedel.core.errors import FriedelError
from friedel.core.machine.cluster import ClusterLostError, ClusterOptions, Futures, dask_client, once_each
from friedel.core.observer import Event, Observer, Progress, Recorder, Warned

Result = TypeVar("Result")
Work = Callable[..., Result]


def done_alike(
    work: Work[Result],
    members: Sequence[Any],
    constants: Sequence[Any],
    *,
    cluster: ClusterOptions | None,
    observer: Observer,
    undone: Callable[[Any, str], Result],
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
    undone : function
        Returns the result of a member that a cluster couldn't do, given the member and why.

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
    lost = ""
    observer(Progress("series", 0, n))
    with dask_client(cluster) as client:
        fixed = once_each(client, constants)
        futures = Futures(client, observer)
        for place, member in enumerate(members):
            futures.submit(place, _elsewhere, work, member, fixed)
        try:
            for place, result in futures.finished():
                done[place] = _heard(result, members[place], undone, observer)
                observer(Progress("series", len(done), n))
        except ClusterLostError as error:
            lost = str(error)
            observer(Warned("series", f"{n - len(done)} of {n} have no result: {lost}"))
    return tuple(done[place] if place in done else undone(members[place], lost) for place in range(n))


def _heard(
    result: Callable[[], tuple[Result, list[Event]]],
    member: Any,
    undone: Callable[[Any, str], Result],
    observer: Observer,
) -> Result:
    """Return a member's result, its events passed on.

    Parameters
    ----------
    result : function
        Returns both, or raises.
    member, undone, observer
        As for `done_alike`.

    Raises
    ------
    ClusterLostError
        If there is no cluster any more.
    """
    try:
        found, events = result()
    except ClusterLostError:
        raise
    except FriedelError as error:
        observer(Warned("series", f"{getattr(member, 'name', 'a member')} has no result: {error}"))
        return undone(member, str(error))
    for event in events:
        observer(event)
    return found


def _elsewhere(work: Work[Result], member: Any, constants: Sequence[Any]) -> tuple[Result, list[Event]]:
    recorder = Recorder()
    result = work(member, *constants, recorder)
    return result, list(recorder.events)
