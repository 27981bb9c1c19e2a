"""Frames in polar cells about the beam: sums over 32 sectors × 64 rings, which all measures of a pattern start from.

Only sums; `fringes` looks for structure in them, `background` for what the run's blanks have, `sizes` for a sphere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.spi.hits.preparation.prepare import EDGE, Prepared

SECTORS = 32  # 11° each: 12.6 pixels wide at the outermost ring, so that cells hold photons even in weak patterns
RINGS = EDGE // 2  # one pixel wide each
DRIFT = 0.3
"""Modules of an integrating detector drift by about this part of a pixel's read noise, together."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Polar:
    """Frames summed over polar cells; ring r holds the pixels whose distance from the beam rounds to r.

    Attributes
    ----------
    photons : (n, 32, 64) float32
        Of the measured pixels of each sector and ring.
    area : (1 or n, 32, 64) float32
        How many pixels of each were measured.
    read_variance : float
        Of a pixel, photons².
    """

    photons: Tensor
    area: Tensor
    read_variance: float

    def __len__(self) -> int:
        return len(self.photons)

    def rows(self, chosen: Tensor) -> "Polar":
        """Return some of the frames, by number or by a mask ``(n,)``."""
        area = self.area[chosen] if len(self.area) == len(self.photons) else self.area
        return Polar(photons=self.photons[chosen], area=area, read_variance=self.read_variance)

    @staticmethod
    def joined(parts: Sequence["Polar"]) -> "Polar":
        """Return the frames of several stretches, in order."""
        photons = torch.cat([part.photons for part in parts])
        area = torch.cat([part.area.expand_as(part.photons) for part in parts])
        return Polar(photons=photons, area=area, read_variance=max(part.read_variance for part in parts))

    def rings(self) -> tuple[Tensor, Tensor]:
        """Return photons and area of whole rings, ``(n, 64)`` and ``(1 or n, 64)``."""
        return self.photons.sum(1), self.area.sum(1)

    def half_turn(self) -> tuple[Tensor, Tensor]:
        """Return photons and area of opposite sectors together, ``(n, 16, 64)``: the same light (Friedel's law)."""
        half = self.photons.shape[1] // 2
        photons, area = (values[:, :half] + values[:, half:] for values in (self.photons, self.area))
        return photons, area


def polar_sums(prepared: Prepared, *, sectors: int = SECTORS) -> Polar:
    """Return the frames' sums over polar cells about the beam, an even number of sectors wide."""
    photons, area = (_cells(values, sectors) for values in (prepared.photons, prepared.known))
    return Polar(photons=photons, area=area, read_variance=prepared.read_variance)


def cell_of_pixels(sectors: int = SECTORS) -> NDArray[np.int64]:
    """Return the number of each pixel's cell, sector × 64 + ring, ``(128, 128)``; beyond the last ring the last + 1."""
    y, x = np.indices((EDGE, EDGE)) - EDGE // 2
    ring = np.rint(np.hypot(y, x)).astype(np.int64)
    turn = np.arctan2(y, x) / (2 * np.pi) + 0.5
    sector = np.minimum((turn * sectors).astype(np.int64), sectors - 1)
    return np.where(ring < RINGS, sector * RINGS + ring, sectors * RINGS)


@dataclass(frozen=True, eq=False)
class _Layers:
    """Pixels in layers: the first of every cell (sector, ring), the second of every cell that has one, and so on.

    Cells stand in order of size in every layer, so that a layer is added to the first so many sums in one step.
    """

    order: Tensor
    layers: tuple[int, ...]
    places: Tensor


@cache
def _layers(sectors: int) -> _Layers:
    cell, n_cells = cell_of_pixels(sectors).ravel(), sectors * RINGS
    sizes = np.bincount(cell, minlength=n_cells + 1)[:n_cells]
    by_size, by_cell = np.argsort(-sizes, kind="stable"), np.argsort(cell, kind="stable")
    starts = np.cumsum(sizes) - sizes
    layers = tuple(int((sizes > depth).sum()) for depth in range(sizes.max()))
    order = np.concatenate([by_cell[starts[by_size[:length]] + depth] for depth, length in enumerate(layers)])
    return _Layers(order=torch.from_numpy(order), layers=layers, places=torch.from_numpy(np.argsort(by_size)))


def _cells(values: Tensor, sectors: int) -> Tensor:
    """Return sums over cells, ``(n, sectors, rings)``, of images ``(n, 1, 128, 128)``."""
    cells = _layers(sectors)
    layers = torch.split(values.flatten(1).index_select(1, cells.order), list(cells.layers), dim=1)
    sums = torch.zeros(len(values), sectors * RINGS)
    for layer in layers:
        sums[:, : layer.shape[1]] += layer
    return sums.index_select(1, cells.places).reshape(len(values), sectors, RINGS)
