"""The process that images one scan: frames in, views out. Sending it frames never waits.

A process serves one scan and ends with it, so that the next scan's images don't wait for the last one's final image.
Should it die, another can be given the same frames.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.provisional import Imager
from friedel.bcdi.live.scan import ScanSetting
from friedel.bcdi.live.series import LiveCrystal
from friedel.bcdi.live.view import CrystalView
from friedel.core.errors import FriedelError
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.machine.threads import stay_single_threaded
from friedel.stream.processes import Ready, Supervised, spawn

_POLL_S = 0.05  # s; how soon the process sees that an image has become due while no frame comes


@dataclass(frozen=True, eq=False)
class StartScan:
    """Begin a scan."""

    setting: ScanSetting


@dataclass(frozen=True, eq=False)
class AddFrame:
    """A frame of it."""

    index: int
    frame: NDArray[Any]
    readings: Mapping[str, float]


@dataclass(frozen=True)
class FinishScan:
    """The scan is over: make the final image, in this folder, and leave."""

    folder: Path


@dataclass(frozen=True, eq=False)
class Shown:
    """A new view; ``final`` if it is the last, ``error`` if there can be no final image."""

    view: CrystalView
    final: bool = False
    error: str = ""


def start_imaging(plan: CrystalWatchPlan, wake: Callable[[], None]) -> Supervised:
    """Start a process; it takes `StartScan`, then `AddFrame` after `AddFrame`, then `FinishScan`, and tells `Shown`."""
    return spawn(run_imaging, plan, name="friedel imager", wake=wake)


def run_imaging(orders: Connection, plan: CrystalWatchPlan) -> None:
    """Serve one scan: what the process runs.

    Parameters
    ----------
    orders : Connection
        Brings the orders, takes `Ready` and then each `Shown`.
    plan : CrystalWatchPlan
        How images are made.
    """
    keep_freed_memory()
    # Frames arrive and are written on the other core.
    stay_single_threaded()
    imager = Imager(plan.images, seed=plan.seed)
    imager.warm_up()
    orders.send(Ready())
    start = orders.recv()
    crystal = LiveCrystal(start.setting, imager, plan)
    while True:
        order = orders.recv() if orders.poll(0 if crystal.due else _POLL_S) else None
        if isinstance(order, AddFrame):
            crystal.add(order.index, order.frame, readings=order.readings)
        elif isinstance(order, FinishScan):
            orders.send(_final(crystal, order.folder, orders))
            return
        elif crystal.due:
            orders.send(Shown(crystal.update()))


def _final(crystal: LiveCrystal, folder: Path, answers: Connection) -> Shown:
    lock = threading.Lock()

    def tell(view: CrystalView) -> None:
        with lock:  # the report's pictures are drawn in threads, which tell too
            answers.send(Shown(view))

    try:
        return Shown(crystal.finish(folder, tell=tell), final=True)
    except FriedelError as error:
        return Shown(crystal.view, final=True, error=str(error))
