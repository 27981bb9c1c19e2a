"""Fringe visibility: how far a pattern's light rises again on its way outwards, in units of its own noise.

A round blur without fringes only ever falls from the beam outwards, whatever its size, background and mask. Fringes
rise. So along rays from the beam each stretch is compared with the next one further out, on several scales, and the
significance of the rises is summed. No model, no training.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from friedel.spi.hits.prepare import EDGE, Prepared

_SECTORS = 16
_RINGS = EDGE // 2
_CELLS = _SECTORS * _RINGS
_SCALES = (1, 2, 4, 8)
# Rises of less than this many standard deviations are what noise alone makes.
_LEAST_RISE = 3.0
# What noise alone leaves of a rise, on average: ∫ (t² − 9) over a normal distribution's tail beyond 3.
_NOISE_LEAVES = 2.5e-3


@dataclass(frozen=True, eq=False)
class _Polar:
    """Pixels in layers: the first of every cell (sector, ring), the second of every cell that has one, and so on.

    Cells stand in order of size in every layer, so that a layer is added to the first so many sums in one step.
    """

    order: Tensor
    layers: tuple[int, ...]
    places: Tensor


@cache
def _polar() -> _Polar:
    y, x = np.indices((EDGE, EDGE)) - EDGE // 2
    ring = np.rint(np.hypot(y, x)).astype(np.int64)
    sector = np.minimum(((np.arctan2(y, x) / (2 * np.pi) + 0.5) * _SECTORS).astype(np.int64), _SECTORS - 1)
    cell = np.where(ring < _RINGS, sector * _RINGS + ring, _CELLS).ravel()
    sizes = np.bincount(cell, minlength=_CELLS + 1)[:_CELLS]
    by_size, by_cell = np.argsort(-sizes, kind="stable"), np.argsort(cell, kind="stable")
    starts = np.cumsum(sizes) - sizes
    layers = tuple(int((sizes > depth).sum()) for depth in range(sizes.max()))
    order = np.concatenate([by_cell[starts[by_size[:length]] + depth] for depth, length in enumerate(layers)])
    return _Polar(order=torch.from_numpy(order), layers=layers, places=torch.from_numpy(np.argsort(by_size)))


def _cells(values: Tensor) -> Tensor:
    """Return sums over cells, ``(n, sectors, rings)``, of images ``(n, 1, 128, 128)``."""
    polar = _polar()
    layers = torch.split(values.flatten(1).index_select(1, polar.order), list(polar.layers), dim=1)
    sums = torch.zeros(len(values), _CELLS)
    for layer in layers:
        sums[:, : layer.shape[1]] += layer
    return sums.index_select(1, polar.places).reshape(len(values), _SECTORS, _RINGS)


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
    scores = []
    for scale in _SCALES:
        scores.append(_rises(photons, area, prepared.read_variance, scale))
        photons, area = (values[..., ::2] + values[..., 1::2] for values in (photons, area))
    return torch.stack(scores).amax(0)


def _rises(n: Tensor, a: Tensor, read_variance: float, scale: int) -> Tensor:
    """Return √Σ t² of the rises between neighbouring stretches: their photons n and areas a, ``scale`` rings each."""
    enough = (a[..., :-1] > scale * 0.5) & (a[..., 1:] > scale * 0.5)
    share = 1 / a.clamp_min(1e-3)
    density = n * share
    variance = n.clamp_min(0).add_(1).mul_(share**2).add_(read_variance * share)
    rise = (density[..., 1:] - density[..., :-1]).div_((variance[..., 1:] + variance[..., :-1]).sqrt_())
    significant = rise.clamp_min_(_LEAST_RISE).square_().sub_(_LEAST_RISE**2).mul_(enough)
    expected = _NOISE_LEAVES * enough.sum(dim=(1, 2))
    return (significant.sum(dim=(1, 2)) - expected).clamp_min(0).sqrt()
