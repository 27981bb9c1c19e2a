"""The scoring stage on other machines: Dask's workers score, and a thread here stands for each of them.

To the watch such a thread looks like a scoring process on this machine: the same orders, the same answers, and a pipe
that closes when its worker is gone. Frames are copied out of shared memory and travel with their order, so a worker
keeps nothing but the model, and any worker can take the place of another.
"""

import itertools
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.machine.cluster import ClusterLostError, worker_addresses
from friedel.spi.classify.score import Scorer
from friedel.spi.live.calibration import pack_constants, unpack_constants
from friedel.spi.live.scoring import Attach, Constants, Failed, Measure, Measured, Score, Scored, load_scorer
from friedel.spi.scores.scored_run import pack_scores
from friedel.stream.batches import FrameRing, open_ring
from friedel.stream.processes import Ready

_LOOK_S = 1.0  # s of waiting for an answer between two looks whether the worker is still there
_GRACE_S = 10.0  # s without a worker before the cluster counts as lost: a killed one is started again within a few
_SILENT_S = 30.0  # s without an answer of the scheduler after which frames no longer wait for it: Dask's own time-out
# What a worker of Dask keeps: models by name.
_MODELS: dict[tuple[str, str | None], Scorer] = {}


class WorkerGoneError(Exception):
    """The worker isn't there any more."""


class Spokesman(threading.Thread):
    """A thread that passes the watch's orders to one of Dask's workers.

    Parameters
    ----------
    orders : Connection
        This end of the watch's pipe.
    cluster : Cluster
        Finds it a worker, and hears if there is none.
    model : str
        What it loads.
    device : str or None
        Where it computes.
    """

    def __init__(self, orders: Connection, cluster: "Cluster", *, model: str, device: str | None) -> None:
        super().__init__(name="for a worker", daemon=True)
        self._orders, self._cluster, self._address = orders, cluster, ""
        self._model = (model, device)
        self._ring: FrameRing | None = None
        self._mask: NDArray[np.bool_] | None = None
        self._constants = b""

    @property
    def pid(self) -> None:
        """No process of this machine."""
        return None

    def run(self) -> None:
        """Pass on orders until the pipe is closed or the worker is gone."""
        try:
            self._address = self._cluster.worker()
            self._orders.send(self._ask(_ready, *self._model))
            while True:
                answer = self._obey(self._orders.recv())
                if answer is not None:
                    self._orders.send(answer)
        except (EOFError, OSError, WorkerGoneError, CancelledError):  # the other end sees a closed pipe
            return
        finally:
            self._orders.close()
            if self._ring is not None:
                self._ring.close()

    def kill(self) -> None:
        """Do nothing: the thread ends with its pipe."""

    def _obey(self, order: Any) -> Any:
        match order:
            case Attach():
                self._ring, self._mask = open_ring(order.layout), order.mask
            case Constants():
                self._constants = order.run
            case Measure():
                return self._ask(_measure, *self._model, self._frames(order.slots), self._mask)
            case Score():
                frames = self._frames(((order.slot, order.n),))
                return self._ask(_score, *self._model, frames, self._mask, self._constants, order.ticket)
        return None

    def _frames(self, slots: tuple[tuple[int, int], ...]) -> NDArray[Any]:
        assert self._ring is not None
        return np.concatenate([self._ring.slot(slot)[:n] for slot, n in slots])

    def _ask(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the worker answers.

        Raises
        ------
        WorkerGoneError
            If it isn't there any more.
        """
        future = self._cluster.client.submit(work, *arguments, workers=[self._address], pure=False)
        while True:
            try:
                return future.result(timeout=_LOOK_S)
            except TimeoutError:
                if self._address not in self._cluster.known():
                    future.cancel()
                    raise WorkerGoneError(self._address) from None
            except Exception as error:  # Dask raises many kinds when a worker is killed
                self._cluster.known()
                raise WorkerGoneError(str(error)) from error


class Cluster:
    """Starts a spokesman for each of Dask's workers in turn.

    Parameters
    ----------
    client : distributed.Client
        The cluster.

    Attributes
    ----------
    lost : str
        Why it is given up: no worker is left, or its scheduler doesn't answer. Empty while it isn't.
    """

    def __init__(self, client: Any) -> None:
        self.client, self.lost = client, ""
        self._turns, self._heard = itertools.count(), time.monotonic()
        self._worked = math.inf  # when there was last a worker; one that is still waited for isn't lost

    @property
    def n_workers(self) -> int:
        """How many workers there are; 1 while there is none yet."""
        return max(len(worker_addresses(self.client)), 1)

    def known(self) -> list[str]:
        """Return the addresses of its workers.

        Raises
        ------
        WorkerGoneError
            If it is lost.
        """
        asked = time.monotonic()
        try:
            found = worker_addresses(self.client)
        except TimeoutError:
            if asked - self._heard > _SILENT_S:
                self.lost = "the cluster's scheduler doesn't answer"
        except ClusterLostError:
            self.lost = "the cluster's scheduler can't be reached"
        else:
            self._heard = asked
            self._worked = asked if found else self._worked
            if found or asked - self._worked < _GRACE_S:
                return found
            self.lost = "no worker of the cluster is left"
        raise WorkerGoneError(self.lost or "the cluster's scheduler is silent")

    def worker(self) -> str:
        """Return the next worker's address, in turn; wait until there is a first one.

        Raises
        ------
        WorkerGoneError
            If the cluster is lost.
        """
        while not (found := self.known()):
            time.sleep(_LOOK_S)
        return found[next(self._turns) % len(found)]

    def start(self, model: str, device: str | None) -> tuple[Spokesman, Connection]:
        """Return a running spokesman, and the pipe to it; never waits for the cluster."""
        here, there = Pipe()
        spokesman = Spokesman(there, self, model=model, device=device)
        spokesman.start()
        return spokesman, here


def _loaded(model: str, device: str | None) -> Scorer:
    if (model, device) not in _MODELS:
        _MODELS[model, device] = load_scorer(model, device)
    return _MODELS[model, device]


def _ready(model: str, device: str | None) -> Ready | Failed:
    try:
        return Ready(_loaded(model, device).name)
    except Exception as error:  # who started this must hear of it
        return Failed(f"{error}", fatal=True)


def _measure(model: str, device: str | None, frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> Measured | Failed:
    try:
        return Measured(pack_constants(_loaded(model, device).measure(frames, mask)))
    except Exception as error:  # as in the stage on this machine
        return Failed(f"{type(error).__name__}: {error}")


def _score(
    model: str,
    device: str | None,
    frames: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    constants: bytes,
    ticket: int,
) -> Scored | Failed:
    try:
        scores = _loaded(model, device).score(frames, mask, run=unpack_constants(constants))
    except Exception as error:  # a frame no model can bear must not end the stage
        return Failed(f"{type(error).__name__}: {error}", ticket)
    return Scored(ticket, pack_scores(scores))
