"""Read the next pieces in a thread while the last ones are being worked on. Knows nothing of what is read."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from typing import Generic, TypeVar

Piece = TypeVar("Piece")
_GLANCE_S = 0.05


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
