"""Pixels that no mask names: blind ones inside bright light, hot ones that outshine their neighbours in every frame."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.hits.prepare import Prepared

# Photons, over all frames of the sample, from which a dark neighbour can't be chance.
_BRIGHT = 20.0
_HOTTER = 4.0
_SIGMAS = 8.0
_DEEPEST_PX = 8


def faulty_pixels(prepared: Prepared) -> Tensor:
    """Return the pixels to leave out, ``(128, 128)`` bool.

    Parameters
    ----------
    prepared : Prepared
        A sample of a run's frames, photons.

    Returns
    -------
    (128, 128) bool
        Blind: unchanged in every frame, although light falls right beside it (or beside other blind pixels, as deep as
        a beam hole). Hot: several times brighter, in the sum of all frames, than the median about it.
    """
    total, known = prepared.photons.sum(0)[0], prepared.known.amax(0)[0] > 0
    still = unchanging_pixels(prepared)
    lit = (total > _BRIGHT) & known & ~still
    blind = torch.from_numpy(_grown(still, lit))
    around = torch.from_numpy(_median_about(total.numpy())).clamp_min(0)
    spread = (around + 1 + prepared.read_variance * len(prepared.photons)).sqrt()
    hot = known & (total > _HOTTER * around + _SIGMAS * spread + _SIGMAS)
    return blind | hot


def unchanging_pixels(prepared: Prepared) -> Tensor:
    """Return pixels of one value in every frame, ``(128, 128)`` bool: with read noise, pixels that aren't read.

    None for a single frame, which has nothing to compare.
    """
    if len(prepared.photons) < 2:
        return torch.zeros(prepared.photons.shape[-2:], dtype=torch.bool)
    return (prepared.photons == prepared.photons[:1]).all(0)[0] & (prepared.known.amax(0)[0] > 0)


# Plain NumPy for these two: loading scipy.ndimage takes as long as scoring a thousand frames.


def _median_about(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of 5 × 5 pixels about each, the image mirrored at its edges."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="symmetric"), (5, 5))
    return np.median(windows, axis=(-2, -1)).astype(values.dtype)


def _grown(still: Tensor, lit: Tensor) -> NDArray[np.bool_]:
    """Return the still pixels beside lit ones, and those that hang together with them, up to so many pixels deep."""
    reached = lit.numpy()
    for _ in range(_DEEPEST_PX + 1):
        reached = _with_neighbours(reached) & still.numpy()
    return reached


def _with_neighbours(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wider = pixels.copy()
    wider[1:] |= pixels[:-1]
    wider[:-1] |= pixels[1:]
    wider[:, 1:] |= pixels[:, :-1]
    wider[:, :-1] |= pixels[:, 1:]
    return wider
