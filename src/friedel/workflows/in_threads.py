"""Work on pieces in several threads, in order. Knows nothing of what is done.

One thread for each core, each computing alone, is quicker than all cores together on one piece after another: the
many small steps of a batch don't wait for each other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from friedel.base.threads import cores, single_thread

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
