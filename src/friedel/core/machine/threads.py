"""Threads: how many the numerical libraries take, work on pieces in several threads, reading ahead in one."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from queue import Full, Queue
from typing import Generic, TypeVar

from threadpoolctl import ThreadpoolController

# Measured on two cores: phasing 32³ takes a third of the time on one thread, 64³ four fifths; 128³ gains by two.
_SMALL_VOXELS = 80**3


def cores() -> int:
    """Return how many cores this process may use; where the system doesn't say, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """Return the numerical libraries that are loaded; looking for them takes milliseconds."""
    return ThreadpoolController()


class _OneThread:
    """Lowers the number of threads of this process's libraries to one while any piece of work asks for it.

    Libraries keep the number for the process (some builds of OpenBLAS) or for each thread (torch), and a new thread
    takes what was set last. Where pieces of work overlap, the second finds one thread set by the first, so restoring
    what each found would leave one thread for good: the first notes the original number, and all restore that.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._depth = threading.Lock(), 0, threading.local()
        self._torch = self._blas = 1

    def enter(self) -> None:
        depth = getattr(self._depth, "value", 0)
        self._depth.value = depth + 1
        with self._lock:
            if not self._users:
                self._torch, self._blas = _torch_threads(), _blas_threads()
            self._users += 1
            if not depth:
                _set_threads(1, 1)

    def leave(self) -> None:
        self._depth.value -= 1
        with self._lock:
            self._users -= 1
            if not self._depth.value:
                _set_threads(self._torch, self._blas)


def _torch_threads() -> int:
    torch = sys.modules.get("torch")
    return 1 if torch is None else int(torch.get_num_threads())


def _blas_threads() -> int:
    found = [int(library["num_threads"]) for library in _libraries().select(user_api="blas").info()]
    return max(found, default=1)


def _set_threads(of_torch: int, of_blas: int) -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(of_torch)
    _libraries().limit(limits=of_blas, user_api="blas")


_ONE_THREAD = _OneThread()


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep NumPy's libraries, and torch if it is in use, to one core for a piece of work.

    Pieces of work may overlap: the number of threads of before comes back when the last of them is done.
    """
    _ONE_THREAD.enter()
    try:
        yield
    finally:
        _ONE_THREAD.leave()


def stay_single_threaded() -> None:
    """Keep this process to one core from now on: for one of several that work side by side."""
    _set_threads(1, 1)


@contextmanager
def threads_for(n_voxels: int) -> Iterator[None]:
    """Let torch work on arrays of so many voxels with as many threads as are worth it: one, if they are small."""
    if n_voxels > _SMALL_VOXELS:
        yield
        return
    with single_thread():
        yield


Piece = TypeVar("Piece")
Result = TypeVar("Result")
# Each thread holds the memory of a batch: more of them would break the bound on it, and the disk can't feed more.
_MOST_THREADS = 4


def in_threads(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
    """Yield ``work(piece)`` in the order of the pieces; as many are under way as this process may use cores.

    An error is raised where its result would come. However the loop ends, no thread goes on working after it.
    """
    n_threads = min(cores(), _MOST_THREADS)
    waiting: deque[Future[Result]] = deque()
    with single_thread(), ThreadPoolExecutor(n_threads, thread_name_prefix="score") as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_GLANCE_S = 0.05  # s; how often a reader with a full queue looks whether it is to stop: the longest wait on leaving


@contextmanager
def reading_ahead(pieces: Iterable[Piece], *, depth: int = 2) -> Iterator[Iterator[Piece]]:
    """Yield an iterator over ``pieces`` that is up to ``depth`` of them ahead.

    An error while reading is raised where the piece would have come. Leaving the block, for whatever reason, stops
    the thread and waits for it, so that files may be closed.
    """
    reader = _Reader(pieces, depth)
    reader.thread.start()
    try:
        yield reader.received()
    finally:
        reader.stopped.set()
        reader.thread.join()


class _Reader(Generic[Piece]):
    def __init__(self, pieces: Iterable[Piece], depth: int) -> None:
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._read, name="read ahead", daemon=True)
        self._pieces, self._queue = pieces, Queue[tuple[Piece] | BaseException | None](depth)

    def received(self) -> Iterator[Piece]:
        while (arrived := self._queue.get()) is not None:
            if isinstance(arrived, BaseException):
                raise arrived
            yield arrived[0]

    def _read(self) -> None:
        try:
            for piece in self._pieces:
                if not self._put((piece,)):
                    return
            self._put(None)
        except BaseException as error:  # carried to the thread that waits for the piece
            self._put(error)

    def _put(self, item: tuple[Piece] | BaseException | None) -> bool:
        while not self.stopped.is_set():
            try:
                self._queue.put(item, timeout=_GLANCE_S)
            except Full:
                continue
            return True
        return False
