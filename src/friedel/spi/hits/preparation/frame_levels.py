"""What differs from frame to frame without light: a pedestal of each frame's own; and values clipped at a limit.

A frame's dim tiles show its level. Where light lifts it their variance grows with it, by a photon's size; where a
pedestal does, it doesn't.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from friedel.core.files.marks import plateau

TILE = 8  # pixels a side
# Of a frame's tiles, the dimmest so many tell its level.
DIM_SHARE = 0.1
# A level is a frame's own if it is off the median one by so many of a pixel's standard deviations there, and a photon,
SIGMAS = 3.0
# and the variance grew by less than this share of what as much light would add; or, where a photon's size isn't known,
# of the variance without light: three standard deviations make light of at least a third of it, up to 80 photons.
UNLIT = 0.3
# Clipped values: in so many pixels at least, none of which holds the value in more than this share of the frames, as a
# stuck one does.
LEAST_CLIPPED, ALWAYS = 8, 0.8
NEAR_THE_END = 5  # of the range of numbers of 8 bits
MOST_VALUES = 1 << 22  # looked at for the highest one


def frame_levels(frames: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return each frame's level in its dimmest tiles and a pixel's variance there, ``(n,)`` each.

    Parameters
    ----------
    frames : (n, 1, y, x) float32
        0 where unknown.
    known : (1 or n, 1, y, x) float32
        Share of each pixel that was measured.
    """
    whole = functional.avg_pool2d((known > 0.99).float(), TILE) > 0.99
    mean = functional.avg_pool2d(frames, TILE)
    second = frames[..., :-2] - 2 * frames[..., 1:-1] + frames[..., 2:]
    variance = functional.avg_pool2d(functional.pad(second**2, (1, 1)), TILE) / 6 * TILE / (TILE - 1)
    mean = mean.masked_fill(~whole.expand_as(mean), torch.inf).flatten(1)
    count = torch.isfinite(mean).sum(1)
    level, noise = torch.zeros(len(frames)), torch.zeros(len(frames))
    ordered, places = mean.sort(1)
    for k, n in enumerate((count * DIM_SHARE).ceil().int().tolist()):
        if n:
            level[k] = ordered[k, :n].mean()
            noise[k] = variance[k].flatten()[places[k, :n]].median()
    return level, noise


def drifting(level: Tensor, variance: Tensor, step: float) -> bool:
    """Tell whether frames have levels of their own that no light explains.

    Parameters
    ----------
    level, variance : (n,) float32
        From `frame_levels`.
    step : float
        Of which all values are multiples, a photon at most; 0: there is none.
    """
    if len(level) < 2:
        return False
    at = level.argsort()[len(level) // 2]
    apart, grown = (level - level[at]).abs(), (variance - variance[at]) * (level - level[at]).sign()
    unlit = grown < UNLIT * (step * apart if step else variance[at])
    return bool(((apart > SIGMAS * variance[at].sqrt() + step) & unlit).any())


def clipped_at(frames: NDArray[np.generic], mask: NDArray[np.bool_], marks: tuple[float, ...]) -> float | None:
    """Return the value at which a run's bright pixels are clipped, or None.

    Parameters
    ----------
    frames : (n, y, x)
        A sample of the run.
    mask : (y, x) bool
        True where the detector measures.
    marks : tuple of float
        Values that stand for "no count".
    """
    some = frames[:: max(1, frames.size // MOST_VALUES)]
    measured = np.broadcast_to(mask, some.shape)
    if some.dtype.kind == "f":
        measured = measured & np.isfinite(some)
    if some.size and marks and (some.min() < 0 or some.max() >= min(mark for mark in marks if mark > 0)):
        measured = measured & ~np.isin(some.astype(np.float32), np.array(marks, np.float32))
    top = plateau(some, measured)
    if top is None and some.dtype.kind in "iu" and some.dtype.itemsize == 1:
        # Numbers of 8 bits that come so near their end went beyond it: those began again from zero.
        top = 255.0 if some.dtype.kind == "u" else 127.0
        plain = some.astype(np.int16)
        some = np.where(plain >= top - NEAR_THE_END, np.int16(top), plain)
    if top is None:
        return None
    share = ((some == top) & measured).mean(axis=0)
    return top if ((share > 0) & (share <= ALWAYS)).sum() >= LEAST_CLIPPED else None
