"""Fringe visibility: how far a pattern's light rises again on its way outwards, in units of its own noise.

A round blur without fringes only ever falls from the beam outwards, whatever its size, background and mask. Fringes
rise. So along rays from the beam each stretch is compared with the next one further out, on several scales, and the
significance of the rises is summed. No model, no training.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.hits.prepare import EDGE, Prepared

_SECTORS = 16
_RINGS = EDGE // 2
_SCALES = (1, 2, 4, 8)
# Rises of less than this many standard deviations are what noise alone makes.
_LEAST_RISE = 3.0
# What noise alone leaves of a rise, on average: ∫ (t² − 9) over a normal distribution's tail beyond 3.
_NOISE_LEAVES = 2.5e-3


@dataclass(frozen=True, eq=False)
class _Polar:
    """Pixels in the order of their cells (sector, ring); where each cell that has any begins, and which cell it is."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    cells: NDArray[np.int64]


@cache
def _polar() -> _Polar:
    y, x = np.indices((EDGE, EDGE)) - EDGE // 2
    ring = np.rint(np.hypot(y, x)).astype(np.int64)
    sector = np.minimum(((np.arctan2(y, x) / (2 * np.pi) + 0.5) * _SECTORS).astype(np.int64), _SECTORS - 1)
    cell = np.where(ring < _RINGS, sector * _RINGS + ring, _SECTORS * _RINGS).ravel()
    order = np.argsort(cell, kind="stable")[: int((cell < _SECTORS * _RINGS).sum())]
    cells, starts = np.unique(cell[order], return_index=True)
    return _Polar(order=order, starts=starts, cells=cells)


def _cells(values: Tensor) -> Tensor:
    """Return sums over cells, ``(n, sectors, rings)``, of images ``(n, 1, 128, 128)``."""
    polar = _polar()
    sums = np.zeros((len(values), _SECTORS * _RINGS), dtype=np.float32)
    in_order = values.flatten(1).index_select(1, torch.from_numpy(polar.order)).numpy()
    sums[:, polar.cells] = np.add.reduceat(in_order, polar.starts, axis=1)
    return torch.from_numpy(sums).reshape(len(values), _SECTORS, _RINGS)


def fringe_visibility(prepared: Prepared) -> Tensor:
    """Return each frame's fringe visibility.

    Parameters
    ----------
    prepared : Prepared
        Frames in photons, 128² about the beam.

    Returns
    -------
    (n,) float32, at least 0
        √Σ t² over the significant rises t of one scale, the greatest of the scales 1, 2, 4 and 8 pixels, less what
        noise alone gives. About 0 without fringes; grows with the square root of the photons in them.
    """
    photons, area = _cells(prepared.photons), _cells(prepared.known)
    scores = [_rises(photons, area, prepared.read_variance, scale) for scale in _SCALES]
    return torch.stack(scores).amax(0)


def _rises(photons: Tensor, area: Tensor, read_variance: float, scale: int) -> Tensor:
    """Return √Σ t² of the rises between neighbouring stretches of ``scale`` rings."""
    n, a = (values.unfold(-1, scale, scale).sum(-1) for values in (photons, area))
    enough = (a[..., :-1] > scale * 0.5) & (a[..., 1:] > scale * 0.5)
    density, variance = n / a.clamp_min(1e-3), (n.clamp_min(0) + 1) / a.clamp_min(1e-3) ** 2 + read_variance / a
    rise = (density[..., 1:] - density[..., :-1]) / (variance[..., 1:] + variance[..., :-1]).sqrt()
    significant = torch.where(enough & (rise > _LEAST_RISE), rise**2 - _LEAST_RISE**2, torch.zeros(()))
    expected = _NOISE_LEAVES * enough.sum(dim=(1, 2))
    return (significant.sum(dim=(1, 2)) - expected).clamp_min(0).sqrt()
