"""Several processes that share one piece of work: which part is whose, totals over all, decisions of the first.

`torchrun` starts them and says in the environment who is who. A process alone is a team of one, for which nothing here
costs anything: the same code serves both.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from friedel.core.errors import FriedelError

Value = TypeVar("Value")
_SAID_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, eq=False)
class Team:
    """The processes that share a piece of work, as one of them sees it; all must ask the same, in the same order.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0, and how many there are.
    group : ProcessGroup or None
        Of torch.distributed; None for a process alone.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    def share(self, n: int, step: int = 1) -> slice:
        """Return which of ``n`` things are this process's: a stretch of whole steps, about as long as the others'."""
        steps = -(-n // step)
        first, last = (rank * steps // self.size * step for rank in (self.rank, self.rank + 1))
        return slice(first, min(last, n))

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of all processes' values."""
        if self.size == 1:
            return values
        total = values.detach().to("cpu", copy=True).contiguous()
        flat = torch.view_as_real(total) if total.is_complex() else total
        _together(lambda: dist.all_reduce(flat, group=self.group))
        return total.to(values.device)

    def joined(self, values: Tensor) -> Tensor:
        """Return all processes' values, one behind the other along the first axis, in the processes' order."""
        if self.size == 1:
            return values
        parts: list[Any] = [None] * self.size
        _together(lambda: dist.all_gather_object(parts, values.cpu(), group=self.group))
        return torch.cat(parts).to(values.device)

    def first(self, value: Value) -> Value:
        """Return the first process's value."""
        if self.size == 1:
            return value
        held = [value]
        _together(lambda: dist.broadcast_object_list(held, src=0, group=self.group))
        return held[0]

    def channels(self, n: int) -> "list[Team]":
        """Return ``n`` teams of the same processes, for threads that work at the same time and must not mix."""
        if self.size == 1:
            return [self] * n
        return [Team(self.rank, self.size, dist.new_group(backend="gloo")) for _ in range(n)]


ALONE = Team()


def _together(call: Callable[[], Any]) -> None:
    """Do what takes all processes.

    Raises
    ------
    FriedelError
        If another one has ended.
    """
    try:
        call()
    except RuntimeError as error:
        raise FriedelError(f"another process of this work has ended or can't be reached ({error})") from None


@contextmanager
def working_together() -> Iterator[Team]:
    """Give the team that this process was started in: by torchrun, by torch.distributed's own set-up, or alone."""
    if dist.is_available() and dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size(), dist.new_group(backend="gloo"))
        return
    if not all(name in os.environ for name in _SAID_BY_TORCHRUN) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    _together(lambda: dist.init_process_group("gloo"))
    try:
        yield Team(dist.get_rank(), dist.get_world_size(), dist.group.WORLD)
    finally:
        dist.destroy_process_group()
