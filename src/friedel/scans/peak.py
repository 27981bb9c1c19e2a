"""Where the Bragg peak is: the brightest place at the scale of a few voxels, which no hot pixel can imitate."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.base.errors import InputError
from friedel.base.observer import Note, Observer, silent
from friedel.scans.counts import Counts

SMOOTHING_VOXELS = 1.5
REACH_VOXELS = 2


def find_peak(
    counts: Counts, stated: tuple[int, int, int] | None = None, *, observer: Observer = silent
) -> tuple[int, int, int]:
    """Return the index ``(z, y, x)`` of the peak.

    Parameters
    ----------
    counts : Counts
        The scan.
    stated : (int, int, int) or None
        The user's answer, checked and returned; None: the brightest voxel at the smoothed maximum.

    Raises
    ------
    InputError
        If the stated peak is outside the array.
    """
    shape = counts.values.shape
    if stated is not None:
        if any(not 0 <= index < size for index, size in zip(stated, shape, strict=True)):
            raise InputError(f"centre {stated} is outside the scan, whose shape is {shape}")
        return stated
    smooth = smoothed(counts, (SMOOTHING_VOXELS,) * 3)
    near = np.unravel_index(int(smooth.argmax()), shape)
    z, y, x = _brightest_near(counts.values, (int(near[0]), int(near[1]), int(near[2])))
    observer(Note("centre", f"the peak is at frame {z}, row {y}, column {x}", {"z": z, "y": y, "x": x}))
    return z, y, x


def bright_middle(counts: Counts) -> tuple[float, float, float]:
    """Return the mean place ``(z, y, x)``, voxels, of what is bright: weighted by the square of the smoothed counts.

    Strain of several turns splits a peak; its parts lie around the middle.
    """
    weight = smoothed(counts, (SMOOTHING_VOXELS,) * 3).astype(np.float64) ** 2
    total = max(float(weight.sum()), 1e-30)
    z, y, x = (
        float((weight.sum(tuple(a for a in range(3) if a != axis)) * np.arange(n)).sum() / total)
        for axis, n in enumerate(weight.shape)
    )
    return z, y, x


def _brightest_near(values: NDArray[np.float32], index: tuple[int, int, int]) -> tuple[int, int, int]:
    first = [max(i - REACH_VOXELS, 0) for i in index]
    box = values[tuple(slice(low, i + REACH_VOXELS + 1) for low, i in zip(first, index, strict=True))]
    z, y, x = (int(low + i) for low, i in zip(first, np.unravel_index(int(box.argmax()), box.shape), strict=True))
    return z, y, x


def smoothed(counts: Counts, sigma: tuple[float, float, float]) -> NDArray[np.float32]:
    """Return the Gaussian mean of the measured counts around every voxel, float32; 0 where none are near."""
    total = ndimage.gaussian_filter(counts.values, sigma, mode="constant", truncate=3.0)
    if counts.mask.all():
        weight: NDArray[np.float32] = _edge_weight(counts.values.shape, sigma)
    else:
        weight = ndimage.gaussian_filter(counts.mask.astype(np.float32), sigma, mode="constant", truncate=3.0)
    mean: NDArray[np.float32] = np.where(weight > 0.05, total / np.maximum(weight, np.float32(0.05)), np.float32(0))
    return mean


def _edge_weight(shape: tuple[int, ...], sigma: tuple[float, float, float]) -> NDArray[np.float32]:
    lines = [
        ndimage.gaussian_filter1d(np.ones(size, np.float32), width, mode="constant", truncate=3.0)
        for size, width in zip(shape, sigma, strict=True)
    ]
    weight: NDArray[np.float32] = lines[0][:, None, None] * lines[1][None, :, None] * lines[2][None, None, :]
    return weight
