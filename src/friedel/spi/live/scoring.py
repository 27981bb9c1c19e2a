"""The scoring stage: a process that scores the frames of the slots it is handed, and nothing else.

Orders come and answers go through one pipe; frames stay in shared memory. It gives way to the receiver (nice), so that
a full queue never keeps frames from being received.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.machine.threads import stay_single_threaded
from friedel.spi.classify.score import Scorer
from friedel.spi.live.calibration import pack_constants, unpack_constants
from friedel.spi.scores.scored_run import pack_scores
from friedel.stream.batches import FrameRing, RingLayout, open_ring
from friedel.stream.processes import Ready

_NICER = 5  # steps of niceness: receiver and writer go first where cores are few


@dataclass(frozen=True)
class Attach:
    """Use this ring and mask from now on."""

    layout: RingLayout
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Measure:
    """Measure the run's constants on the frames of some slots: ``(slot, n)`` each."""

    slots: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Constants:
    """Use these constants, packed, from now on."""

    run: bytes


@dataclass(frozen=True)
class Score:
    """Score the first ``n`` frames of a slot."""

    ticket: int
    slot: int
    n: int


@dataclass(frozen=True)
class Measured:
    """The run's constants, packed."""

    run: bytes


@dataclass(frozen=True)
class Scored:
    """The scores of a batch, ``(n,)`` `SCORE`."""

    ticket: int
    scores: NDArray[Any]


@dataclass(frozen=True)
class Failed:
    """An order couldn't be carried out; ``fatal`` if none ever will be."""

    reason: str
    ticket: int | None = None
    fatal: bool = False


def load_scorer(model: str, device: str | None) -> Scorer:
    """Load a model by name or path, or call "module:function" to get one.

    Raises
    ------
    WeightsError
        If there is no such model, or its files are damaged.
    InputError
        If there is no such function.
    """
    module, colon, name = model.partition(":")
    if colon and module.replace(".", "").replace("_", "").isalnum() and name.isidentifier():
        try:
            make: Callable[[], Scorer] = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"model {model!r}: no such function ({error}); write module:function") from None
        return make()
    from friedel.spi.hits.model import load_model

    stay_single_threaded()  # as many processes as cores: threads of their own would stand in each other's way
    return load_model(model, device=device)


def run_scorer(orders: Connection, model: str, device: str | None) -> None:
    """Carry out orders until the pipe is closed; the main function of a scoring process."""
    _give_way()
    try:
        scorer = load_scorer(model, device)
    except Exception as error:  # whatever it is, the process that started this one must hear of it
        orders.send(Failed(f"{error}", fatal=True))
        return
    stage = _Stage(scorer)
    try:
        orders.send(Ready(scorer.name))
        while True:
            answer = stage.obey(orders.recv())
            if answer is not None:
                orders.send(answer)
    finally:
        stage.close()


def _give_way() -> None:
    from friedel.core.machine.memory import keep_freed_memory

    keep_freed_memory()
    if hasattr(os, "nice"):
        os.nice(_NICER)


class _Stage:
    """A scorer with its ring, mask and constants."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._ring: FrameRing | None = None
        self._mask: NDArray[np.bool_] | None = None
        self._run: Any = None

    def obey(self, order: Any) -> Any:
        """Carry out one order; return the answer, if it has one."""
        match order:
            case Attach():
                self.close()
                self._ring, self._mask = open_ring(order.layout), order.mask
            case Constants():
                self._run = unpack_constants(order.run)
            case Measure():
                return self._answer(lambda: self._measure(order))
            case Score():
                return self._answer(lambda: self._score(order), order.ticket)
        return None

    def _answer(self, work: Callable[[], Any], ticket: int | None = None) -> Any:
        try:
            return work()
        except Exception as error:  # a frame no model can bear must not end the stage
            return Failed(f"{type(error).__name__}: {error}", ticket)

    def _score(self, order: Score) -> Scored:
        assert self._ring is not None
        scores = self._scorer.score(self._ring.slot(order.slot)[: order.n], self._mask, run=self._run)
        return Scored(order.ticket, pack_scores(scores))

    def _measure(self, order: Measure) -> Measured:
        return Measured(pack_constants(self._scorer.measure(self._gather(order.slots), self._mask)))

    def _gather(self, slots: tuple[tuple[int, int], ...]) -> NDArray[Any]:
        assert self._ring is not None
        return np.concatenate([self._ring.slot(slot)[:n] for slot, n in slots])

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None
