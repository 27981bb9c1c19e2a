"""The one kind of process that a watch starts, whatever its work: scorer, writer, imager, page.

Orders go to it and answers come from it through a pipe. Sending an order never blocks, whatever the process does;
answers are read by a thread, so that a process that is stopped in the middle of an answer doesn't block its starter. It
ends with the process that started it, however that ends, and ignores `_SIGNALS`: its starter decides when it ends.
"""

import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from multiprocessing.util import Finalize
from pathlib import Path
from queue import SimpleQueue
from select import POLLOUT
from select import poll as new_poll
from typing import Any, Protocol

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
# Started here and not stopped yet. Python waits at its end for the processes it has started, after a SIGTERM that these
# ignore: if an accident left some, that would be for ever.
_RUNNING: set[Any] = set()
# A pipe that says it can be written to has room for more than this.
_AT_ONCE = 1 << 15
_HALTED = ("T", "t")  # states in /proc/PID/stat: stopped by a signal, by a tracer (proc(5))
_GLANCE_S = 0.5  # s between two looks whether a process that is to leave stands still: a choice


@dataclass(frozen=True)
class Ready:
    """A process has loaded what it needs; ``about`` says what."""

    about: str = ""


class Running(Protocol):
    """What `Supervised` needs of a process; a thread that stands for a process on another machine offers it too."""

    @property
    def pid(self) -> int | None:
        """The process's id, if it is one of this machine."""

    def is_alive(self) -> bool:
        """Say whether it runs."""

    def kill(self) -> None:
        """End it at once."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""


class Supervised:
    """A process at work for this one.

    Parameters
    ----------
    process : Running
        The process, started.
    pipe : Connection
        This end of the pipe to it.
    wake : function
        Called, from a thread, when an answer has come or the process has ended.

    Attributes
    ----------
    ready : bool
        It has said that it is.
    gone : bool
        It has ended, or let go of its pipe; nothing more will be heard.
    """

    def __init__(self, process: Running, pipe: Connection, wake: Callable[[], None]) -> None:
        self._process, self._pipe, self._wake = process, pipe, wake
        self.ready = False
        self._answers: deque[Any] = deque()
        self._over = self._stopped = False
        self._orders: SimpleQueue[bytes | None] = SimpleQueue()
        self._put_off = self._made_up = 0
        self._poll = new_poll()
        self._poll.register(pipe.fileno(), POLLOUT)
        self._feeder: threading.Thread | None = None
        self._reader = threading.Thread(target=self._read, name="reads a process", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """The process's id; None on another machine."""
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether it has ended and all it said was heard."""
        return self._over and not self._answers

    @property
    def halted(self) -> bool:
        """Whether it stands still by a signal (SIGSTOP, a debugger), where the system tells (Linux)."""
        try:
            told = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended, or is on another machine, or this one has no /proc
            return False
        return told.rpartition(")")[2].split()[0] in _HALTED

    def tell(self, order: Any) -> None:
        """Give an order; returns at once. If the process is dead, `gone` shows it."""
        data = bytes(ForkingPickler.dumps(order))
        if self._put_off == self._made_up and len(data) <= _AT_ONCE and self._poll.poll(0):
            self._send(data)
            return
        if self._feeder is None:
            self._feeder = threading.Thread(target=self._feed, name="feeds a process", daemon=True)
            self._feeder.start()
        self._put_off += 1
        self._orders.put(data)

    def heard(self) -> list[Any]:
        """Return what it has said since the last call; never waits."""
        found = [self._answers.popleft() for _ in range(len(self._answers))]
        self.ready = self.ready or any(isinstance(answer, Ready) for answer in found)
        return found

    def wait(self, timeout_s: float) -> Any:
        """Return the next thing it says, or None if it says nothing in time or is gone."""
        before, said = self._wake, threading.Event()
        self._wake = said.set
        try:
            if not self._answers and not self._over:
                said.wait(timeout_s)
        finally:
            self._wake = before
        return self._answers.popleft() if self._answers else None

    def hang_up(self) -> None:
        """Close its pipe, which asks it to leave; `stop` is to follow."""
        if not self._stopped:
            hang_up(self._pipe)

    def stop(self, leave_s: float) -> None:
        """End it: its pipe closes, and it is killed if it hasn't left in time or stands still; safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        self._orders.put(None)
        hang_up(self._pipe)
        until = time.monotonic() + leave_s
        while self._process.is_alive() and not self.halted and (left := until - time.monotonic()) > 0:
            self._process.join(min(left, _GLANCE_S))
        if self._process.is_alive():
            self._process.kill()
            self._process.join(2.0)
        _RUNNING.discard(self._process)
        self._reader.join(2.0)
        if self._feeder is not None:
            self._feeder.join(2.0)
        self._pipe.close()

    def _read(self) -> None:
        try:
            while True:
                self._answers.append(self._pipe.recv())
                self._wake()
        except Exception:  # the process died, perhaps in the middle of an answer
            self._over = True
            self._wake()

    def _feed(self) -> None:
        while (data := self._orders.get()) is not None:
            self._send(data)
            self._made_up += 1

    def _send(self, data: bytes) -> None:
        try:
            self._pipe.send_bytes(data)
        except OSError:  # it is dead, which its pipe will show
            return


def spawn(main: Callable[..., None], *arguments: Any, name: str, wake: Callable[[], None]) -> Supervised:
    """Start a process.

    Parameters
    ----------
    main : function
        What it runs; it gets its end of the pipe, then ``arguments``, and is to leave when the pipe closes.
    *arguments
        Can be pickled.
    name : str
        What lists of processes call it.
    wake : function
        As for `Supervised`.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(main, there, *arguments), name=name, daemon=True)
    process.start()
    there.close()
    _kill_the_rest_at_exit()
    _RUNNING.add(process)
    return Supervised(process, here, wake)


@cache
def _kill_the_rest_at_exit() -> None:
    Finalize(None, lambda: [process.kill() for process in list(_RUNNING)], exitpriority=10)


def _run(main: Callable[..., None], orders: Connection, *arguments: Any) -> None:
    for name in _SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        main(orders, *arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the other end has closed the pipe
        return


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def hang_up(pipe: Connection) -> None:
    """Let the other end of a two-way pipe read its end, while this end can still read what is on the way."""
    try:
        with socket.socket(fileno=os.dup(pipe.fileno())) as end:
            end.shutdown(socket.SHUT_WR)
    except OSError:  # the other end is gone already
        return
