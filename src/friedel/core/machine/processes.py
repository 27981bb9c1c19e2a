"""Ctrl-C and SIGTERM end long work cleanly instead of breaking into it; and a process is ended for certain."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess


@contextmanager
def on_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on SIGINT and SIGTERM for as long as the block runs, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_process(process: BaseProcess, leave_s: float) -> None:
    """End a process: asked first, and killed if it hasn't left in time; safe to call twice."""
    if process.is_alive():
        process.terminate()
    process.join(leave_s)
    if process.is_alive():
        process.kill()
        process.join()
