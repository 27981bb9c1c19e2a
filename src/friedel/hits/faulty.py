"""Pixels that no mask names: blind ones inside bright light, hot ones that outshine their neighbours in every frame."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, median_filter
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
    around = torch.from_numpy(median_filter(total.numpy(), 5))
    hot = known & (total > _HOTTER * around + _SIGMAS * (around.clamp_min(0) + 1).sqrt() + _SIGMAS)
    return blind | hot


def unchanging_pixels(prepared: Prepared) -> Tensor:
    """Return pixels of one value in every frame, ``(128, 128)`` bool: with read noise, pixels that aren't read.

    None for a single frame, which has nothing to compare.
    """
    if len(prepared.photons) < 2:
        return torch.zeros(prepared.photons.shape[-2:], dtype=torch.bool)
    return (prepared.photons == prepared.photons[:1]).all(0)[0] & (prepared.known.amax(0)[0] > 0)


def _grown(still: Tensor, lit: Tensor) -> NDArray[np.bool_]:
    beside = binary_dilation(lit.numpy()) & still.numpy()
    return binary_dilation(beside, iterations=_DEEPEST_PX, mask=still.numpy()) & still.numpy()
