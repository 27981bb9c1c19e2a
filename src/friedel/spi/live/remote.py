"""The scoring stage on other machines: Dask's workers score, and a thread here stands for each of them.

To the watch such a thread looks like a scoring process on this machine: the same orders, the same answers, and a pipe
that closes when its worker is gone. Frames are copied out of shared memory and travel with their order, so a worker
keeps nothing but the model, and any worker can take the place of another.
"""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.spi.classify.score import Scorer
from friedel.spi.live.calibration import pack_constants, unpack_constants
from friedel.spi.live.scoring import Attach, Constants, Failed, Measure, Measured, Score, Scored, load_scorer
from friedel.spi.scores.scored_run import pack_scores
from friedel.stream.batches import FrameRing, open_ring
from friedel.stream.processes import Ready

_LOOK_S = 1.0  # s of waiting for an answer between two looks whether the worker is still there
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
    client : distributed.Client
        The cluster.
    address : str
        The worker.
    model : str
        What it loads.
    device : str or None
        Where it computes.
    """

    def __init__(self, orders: Connection, client: Any, address: str, *, model: str, device: str | None) -> None:
        super().__init__(name=f"for {address}", daemon=True)
        self._orders, self._client, self._address = orders, client, address
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
        future = self._client.submit(work, *arguments, workers=[self._address], pure=False)
        while True:
            try:
                return future.result(timeout=_LOOK_S)
            except TimeoutError:
                if self._address not in addresses(self._client):
                    future.cancel()
                    raise WorkerGoneError(self._address) from None
            except Exception as error:  # Dask raises many kinds when a worker is killed
                raise WorkerGoneError(str(error)) from error


class Cluster:
    """Starts a spokesman for each of Dask's workers in turn.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turns = itertools.count()

    @property
    def n_workers(self) -> int:
        """How many workers there are."""
        return max(len(addresses(self._client)), 1)

    def start(self, model: str, device: str | None) -> tuple[Spokesman, Connection]:
        """Return a running spokesman, and the pipe to it."""
        here, there = Pipe()
        known = addresses(self._client) or [""]
        address = known[next(self._turns) % len(known)]
        spokesman = Spokesman(there, self._client, address, model=model, device=device)
        spokesman.start()
        return spokesman, here


def addresses(client: Any) -> list[str]:
    """Return the addresses of a cluster's workers."""
    return sorted(client.run_on_scheduler(_known))


def _known(dask_scheduler: Any) -> list[str]:
    return list(dask_scheduler.workers)


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
