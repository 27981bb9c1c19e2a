"""The process that images one scan: frames in, views out. Whoever feeds it never waits for it.

A process serves one scan and ends with it, so that the next scan's images don't wait for the last one's final image.
Should it die, `Worker.alive` says so, and another can be given the same frames.
"""

import queue
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.live.image import Imager
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.scan import ScanSetting
from friedel.bcdi.live.series import LiveCrystal
from friedel.bcdi.live.view import CrystalView
from friedel.core.errors import FriedelError
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.machine.processes import end_process
from friedel.core.machine.threads import stay_single_threaded

_POLL_S = 0.05
_LEAVE_S = 2.0


@dataclass(frozen=True, eq=False)
class Start:
    """Begin a scan."""

    setting: ScanSetting


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of it."""

    index: int
    frame: NDArray[Any]
    readings: Mapping[str, float]


@dataclass(frozen=True)
class Finish:
    """The scan is over: make the final image, in this folder, and leave."""

    folder: Path


@dataclass(frozen=True, eq=False)
class Shown:
    """A new view; ``final`` if it is the last, ``error`` if there can be no final image."""

    view: CrystalView
    final: bool = False
    error: str = ""


class Ready:
    """The process has loaded what it needs."""


class Worker:
    """The feeder's end.

    Parameters
    ----------
    plan : CrystalWatchPlan
        How images are made.
    """

    def __init__(self, plan: CrystalWatchPlan) -> None:
        context = get_context("spawn")
        self._orders: Any = context.Queue()
        self.answers, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=run_worker, args=(plan, self._orders, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.ready = False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def tell(self, order: Start | Frame | Finish) -> None:
        """Give an order; returns at once."""
        self._orders.put(order)

    def heard(self) -> list[Shown]:
        """Return the views that have come since the last call."""
        found: list[Shown] = []
        try:
            while self.answers.poll():
                answer = self.answers.recv()
                if isinstance(answer, Ready):
                    self.ready = True
                else:
                    found.append(answer)
        except (EOFError, OSError):
            return found
        return found

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._orders.cancel_join_thread()
        self._orders.close()
        end_process(self._process, _LEAVE_S)
        self.answers.close()


def run_worker(plan: CrystalWatchPlan, orders: Any, answers: Connection) -> None:
    """Serve one scan: what the process runs.

    Parameters
    ----------
    plan : CrystalWatchPlan
        How images are made.
    orders : Queue
        `Start`, then `Frame` after `Frame`, then `Finish`.
    answers : Connection
        Gets `Ready` and then each `Shown`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the feeder, which then ends this process
    keep_freed_memory()
    # Frames arrive and are written on the other core.
    stay_single_threaded()
    imager = Imager(plan.images, seed=plan.seed)
    imager.warm_up()
    answers.send(Ready())
    start = orders.get()
    crystal = LiveCrystal(start.setting, imager, plan)
    while True:
        order = _next(orders, wait=not crystal.due)
        if isinstance(order, Frame):
            crystal.add(order.index, order.frame, readings=order.readings)
        elif isinstance(order, Finish):
            answers.send(_final(crystal, order.folder, answers))
            answers.close()
            return
        elif crystal.due:
            answers.send(Shown(crystal.update()))


def _next(orders: Any, *, wait: bool) -> Any:
    try:
        return orders.get(timeout=_POLL_S) if wait else orders.get_nowait()
    except queue.Empty:
        return None


def _final(crystal: LiveCrystal, folder: Path, answers: Connection) -> Shown:
    lock = threading.Lock()

    def tell(view: CrystalView) -> None:
        with lock:  # the report's pictures are drawn in threads, which tell too
            answers.send(Shown(view))

    try:
        return Shown(crystal.finish(folder, tell=tell), final=True)
    except FriedelError as error:
        return Shown(crystal.view, final=True, error=str(error))


def frame_order(index: int, frame: NDArray[Any], readings: Mapping[str, float]) -> Frame:
    """Return the order for a frame, with its own memory: the source may use the frame's again."""
    return Frame(index, np.array(frame), dict(readings))
