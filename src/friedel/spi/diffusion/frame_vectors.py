"""Frames as vectors with meaningful Euclidean distances: what the diffusion map and the clusters compare.

Measured pixels only, square root of the counts so that photon noise weighs alike everywhere, and each frame brought to
zero mean and unit length so that a brighter shot of the same pattern is the same vector. Crops and bins nothing.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.errors import InputError

Vectors = NDArray[np.float32]
_BLOCK = 512  # frames standardised at a time, which bounds the memory


def frame_vectors(frames: NDArray[np.generic], mask: NDArray[np.bool_] | None = None) -> Vectors:
    """Return one vector per frame.

    Parameters
    ----------
    frames : (n, y, x) float or integer
        Photons or ADU. Values that aren't finite are unknown, negative ones count as zero.
    mask : (y, x) bool, optional
        True where the detector measures; everywhere if not given.

    Returns
    -------
    (n, d) float32
        d measured pixels; zero mean and unit length, so that squared distances lie between 0 and 4. A frame of one
        constant, or without a known value, is the zero vector. An unknown pixel stands at its frame's mean.

    Raises
    ------
    InputError
        If the axes are wrong, the mask doesn't fit, or no pixel is measured.
    """
    measured = _measured(frames, mask)
    vectors = np.empty((len(frames), int(measured.sum())), dtype=np.float32)
    if not vectors.shape[1]:
        raise InputError(f"none of the {measured.size} pixels is measured; check the mask (True where measured)")
    whole = bool(measured.all())
    for first in range(0, len(frames), _BLOCK):
        block = frames[first : first + _BLOCK]
        values = block.reshape(len(block), -1) if whole else block[:, measured]
        part = vectors[first : first + _BLOCK]
        part[...] = values
        _standardise(torch.from_numpy(part))
    return vectors


def _measured(frames: NDArray[np.generic], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    if frames.ndim != 3:
        raise InputError(f"frames must have axes (n, y, x), got shape {frames.shape}")
    if mask is None:
        return np.ones(frames.shape[1:], dtype=bool)
    if mask.shape != frames.shape[1:]:
        raise InputError(f"mask {mask.shape} doesn't fit frames of {frames.shape[1:]}")
    return mask.astype(bool)


def _standardise(values: Tensor) -> None:
    """Turn ``(n, d)`` values into unit vectors, in place."""
    if bool(values.sum().isfinite()):  # far cheaper than looking at each
        values.clamp_(min=0.0).sqrt_()
        values -= values.mean(dim=1, keepdim=True)
    else:
        known = values.isfinite()
        values.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0).clamp_(min=0.0).sqrt_()
        values -= values.sum(dim=1, keepdim=True) / known.sum(dim=1, keepdim=True).clamp(min=1)
        values *= known
    length = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    # Rounding leaves a constant frame a length of about 1e-7 of its values: that is no pattern.
    values.mul_(torch.where(length > 1e-4, 1.0 / length.clamp(min=1e-12), 0.0))
