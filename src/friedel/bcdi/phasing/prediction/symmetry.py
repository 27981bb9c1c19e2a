"""One pattern under the cube's symmetries, so that a network makes several different predictions of one object.

Flips and exchanges of axes act alike on intensities and objects. A flip of all three axes changes no intensities
(Friedel's law), so that 24 of the cube's 48 symmetries are left.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_FLIPS = ((), (0,), (1,), (2,))
_ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (0, 2, 1), (1, 0, 2))


@dataclass(frozen=True)
class Symmetry:
    """A symmetry of the cube: an order of the axes, then flips about index ``n // 2``."""

    order: tuple[int, int, int]
    flips: tuple[int, ...]

    def apply(self, cube: Tensor) -> Tensor:
        """Return cubes ``(..., n, n, n)``, n even, as this symmetry shows them."""
        return _flipped(_ordered(cube, self.order), self.flips)

    def undo(self, cube: Tensor) -> Tensor:
        """Return cubes of this symmetry as they were before `apply`."""
        z, y, x = (self.order.index(axis) for axis in range(3))
        return _ordered(_flipped(cube, self.flips), (z, y, x))


# Neighbours differ in both order and flip: the first few are as different as symmetries can be.
SYMMETRIES = tuple(Symmetry(order, _FLIPS[(k + turn) % 4]) for turn in range(4) for k, order in enumerate(_ORDERS))
"""All 24, the plain one first."""


def _ordered(cube: Tensor, order: tuple[int, int, int]) -> Tensor:
    before = tuple(range(cube.ndim - 3))
    return cube.permute(*before, *(len(before) + axis for axis in order))


def _flipped(cube: Tensor, axes: tuple[int, ...]) -> Tensor:
    dims = tuple(axis - 3 for axis in axes)
    return torch.roll(cube.flip(dims), (1,) * len(dims), dims) if dims else cube
