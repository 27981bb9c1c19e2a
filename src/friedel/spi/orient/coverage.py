"""How evenly hits' view directions cover the sphere, and how they are kept from crowding.

A particle with several nearly alike views (a symmetric one, or a compact body that looks like an ellipsoid) leaves a
choice: all hits may gather in a part of the sphere, where the model then gets sharp, and the rest of the volume stays
without structure. Such a model explains its frames as well as the right one, and both halves find it. Hits of a jet lie
evenly, so views that get too many frames are made less probable, and those that get too few more, from one iteration to
the next. How evenly hits lie in the end, without that help, is part of the verdict.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.spi.orient.views import sphere

Floats = NDArray[np.float64]

_LATTICE = 1000  # directions of the whole sphere on which the bias is kept: 6° apart
_FRAMES_A_CELL = 25  # so that chance makes a cell's number uncertain by a fifth
_LEAST_CELLS = 12  # of a half sphere: 40° across, less would see no crowding
_GAIN, _MEMORY = 1.0, 0.85
"""Of the bias: what is answered of the crowding now, and what stays of the bias before. Crowding that doesn't respond,
chance or true, is answered by 1 / (1 − 0.85) = 7 times its logarithm: a nat for a fifth, where a frame's orientations
differ by tens; frames that fit everywhere follow at once. Half as strong an answer left a blob's hits on a quarter of
the sphere (correlation with the truth 0.62; 0.80 with this one; 0.55 without)."""
_EMPTY = 0.02  # least density, of the mean: a bias of 4 nats an iteration


_CHANCE = 0.56
"""Of a density's relative variance, times frames a cell, where directions are drawn evenly."""


def _lattice() -> Tensor:
    directions = sphere(_LATTICE)
    return torch.from_numpy(directions[directions[:, 2] >= 0].astype(np.float32))


def _kernel(first: Tensor, second: Tensor, n_frames: int) -> Tensor:
    """Return how near axes are, ``(n_first, n_second)``: on cells with enough frames; a view's opposite is alike."""
    cells = max(_LEAST_CELLS, n_frames / _FRAMES_A_CELL)
    return torch.exp(((first @ second.T).abs() - 1) * cells)


def bias_at(bias: Tensor | None, views: Tensor) -> Tensor | None:
    """Return the bias at views ``(n_views, 3, 3)``, nats ``(n_views,)``, from that on the lattice."""
    if bias is None:
        return None
    near = torch.softmax((views[:, :, 2] @ _lattice().to(views).T).abs() * _LATTICE, dim=1)
    return near @ bias


def updated_bias(bias: Tensor | None, views: Tensor, frames_by_view: Tensor, n_frames: int) -> Tensor:
    """Return the bias after an iteration, nats ``(n_lattice,)``.

    Parameters
    ----------
    bias : (n_lattice,), optional
        Before; None: none.
    views : (n_views, 3, 3)
        The iteration's.
    frames_by_view : (n_views,)
        What each got, in any unit.
    n_frames : int
        How many frames there are.
    """
    near = _kernel(_lattice().to(views), views[:, :, 2], n_frames)
    offered = near.sum(1)
    density = (near @ frames_by_view) / offered.clamp_min(1e-6) / frames_by_view.mean().clamp_min(1e-12)
    # Under an imposed symmetry views lie in a part of the sphere; beyond it nothing is asked.
    gain = _GAIN * min(1.0, n_frames / (_LEAST_CELLS * _FRAMES_A_CELL))  # few frames lie unevenly by chance
    answer = torch.where(offered > 1e-3 * offered.max(), -gain * density.clamp_min(_EMPTY).log(), 0.0)
    bias = answer if bias is None else _MEMORY * bias + answer
    return bias - bias.mean()


def evenness(rotations: NDArray[np.float32], group: Floats) -> float:
    """Return the share of the sphere that orientations cover: the squared mean of their density over its mean square.

    Parameters
    ----------
    rotations : (n_frames, 3, 3)
        Of the frames used.
    group : (order, 3, 3)
        The imposed symmetry: its images count as covered.
    """
    directions = np.concatenate([rotations[:, :, 2] @ operation.T for operation in group]).astype(np.float32)
    lattice = _lattice()
    density = torch.zeros(len(lattice))
    for part in torch.from_numpy(directions).split(4000):  # type: ignore[no-untyped-call]
        density += _kernel(lattice, part, len(rotations)).sum(1)
    even = _kernel(lattice, torch.from_numpy(sphere(4000).astype(np.float32)), len(rotations)).mean(1)
    density /= even
    excess = float((density**2).mean() / density.mean() ** 2) - 1
    return 1 / (1 + max(excess - _CHANCE * max(_LEAST_CELLS, len(rotations) / _FRAMES_A_CELL) / len(rotations), 0))
