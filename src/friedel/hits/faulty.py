"""Pixels that no mask names: blind ones inside bright light, hot ones that outshine their neighbours in every frame."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.hits.prepare import Prepared

Pixels = NDArray[np.bool_]

# Photons, over all frames of the sample, from which a dark neighbour can't be chance.
_BRIGHT = 40.0
# No fringe falls to this share of its light from one pixel to the next.
_DIMMER = 0.02
_HOTTER = 4.0
_SIGMAS = 8.0
_WIDEST_PX = 48


def faulty_pixels(prepared: Prepared) -> Tensor:
    """Return the pixels to leave out, ``(128, 128)`` bool.

    Parameters
    ----------
    prepared : Prepared
        A sample of a run's frames, photons.

    Returns
    -------
    (128, 128) bool
        Hot: several times brighter, in the sum of all frames, than the median about it. Blind: dark, or unchanged in
        every frame, although much light falls right beside it (or between such pixels: a hole, a gap).
    """
    total, known = prepared.photons.sum(0)[0], prepared.known.amax(0)[0] > 0
    around = torch.from_numpy(_median_about(total.numpy())).clamp_min(0)
    spread = (around + 1 + prepared.read_variance * len(prepared.photons)).sqrt()
    hot = known & (total > _HOTTER * around + _SIGMAS * spread + _SIGMAS)
    even = torch.where(hot, around, total)  # hot pixels must not make their neighbours look blind
    # Where there is read noise, rows are free of their offset only to about a photon a frame.
    bright = _BRIGHT + (2.0 * len(prepared.photons) if prepared.read_variance else 0.0)
    blind = _blind(even.numpy(), known.numpy(), unchanging_pixels(prepared).numpy(), bright)
    return torch.from_numpy(blind) | hot


def unchanging_pixels(prepared: Prepared) -> Tensor:
    """Return pixels of one value in every frame, ``(128, 128)`` bool: with read noise, pixels that aren't read.

    None for a single frame, or for frames that are all alike: they have nothing to compare.
    """
    if len(prepared.photons) < 2:
        return torch.zeros(prepared.photons.shape[-2:], dtype=torch.bool)
    known = prepared.known.amax(0)[0] > 0
    still = (prepared.photons == prepared.photons[:1]).all(0)[0] & known
    return still & ~still[known].all()  # constant frames are another matter


# Plain NumPy: loading scipy.ndimage takes as long as scoring a thousand frames.


def _median_about(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of 5 × 5 pixels about each, the image mirrored at its edges."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="symmetric"), (5, 5))
    return np.median(windows, axis=(-2, -1)).astype(values.dtype)


def _blind(total: NDArray[np.float32], known: Pixels, still: Pixels, bright: float) -> Pixels:
    """Return pixels that get nothing beside ones that get much, and what hangs together with them, so many deep."""
    beside = _greatest_about(np.where(known, total, 0))
    seeds = known & (beside > bright) & ((total < _DIMMER * beside) | still)
    if not seeds.any():
        return seeds
    dark = known & (still | (total < _DIMMER * np.median(beside[seeds])))
    return _between(seeds, dark, 0) | _between(seeds, dark, 1)


def _between(seeds: Pixels, dark: Pixels, axis: int) -> Pixels:
    """Return the seeds and the dark stretches between two of them along an axis: a hole's inside, a gap's width."""
    ahead = behind = seeds
    for _ in range(_WIDEST_PX):
        ahead, behind = (seeds | (np.roll(some, step, axis) & dark) for some, step in ((ahead, 1), (behind, -1)))
    return ahead & behind


def _greatest_about(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the greatest of each pixel and its four neighbours."""
    greatest = values.copy()
    for axis in (0, 1):
        ahead, behind = (np.roll(greatest, step, axis) for step in (1, -1))
        greatest = np.maximum(greatest, np.maximum(ahead, behind))
    return greatest
