"""The box around the peak: FFT-friendly, centred, and filled with unknown voxels where nothing was recorded."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.prepare.counts import Counts
from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Warned, silent

Triple = tuple[int, int, int]
MINIMUM = 16  # voxels of a side: at an oversampling of 2 the object has 8, of which the surface blurs two on each side


def fft_friendly(n: int) -> bool:
    """Tell whether ``n`` has no prime factor above 7."""
    for prime in (2, 3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n == 1


def choose_shape(recorded: Triple, peak: Triple, *, bin_by: Triple = (1, 1, 1), pad_fraction: float = 0.1) -> Triple:
    """Return the final ``(z, y, x)`` of the best box symmetric about the peak.

    Along each axis, of the even FFT-friendly sizes with at most ``pad_fraction`` unrecorded, the one with most recorded
    less unrecorded voxels; of equals the one that records more. Axes shorter than 16 after binning grow to 16.

    Parameters
    ----------
    recorded : (int, int, int)
        Shape ``(z, y, x)`` of the raw scan.
    peak : (int, int, int)
        Raw index of the peak.
    bin_by : (int, int, int)
        Raw voxels summed along each axis.
    pad_fraction : float
        Largest share of an axis that may lie outside the recorded region.
    """
    z, y, x = (_size(*axis, pad_fraction) for axis in zip(recorded, peak, bin_by, strict=True))
    return z, y, x


def window_start(peak: Triple, shape: Triple, bin_by: Triple = (1, 1, 1)) -> Triple:
    """Return the first raw index of the box in which the peak falls into the block of voxel ``n // 2``."""
    z, y, x = (p - b * (n // 2) - b // 2 for p, n, b in zip(peak, shape, bin_by, strict=True))
    return z, y, x


def crop(counts: Counts, start: Triple, shape: Triple, *, observer: Observer = silent) -> Counts:
    """Return the box of ``shape`` voxels from ``start``; voxels outside the recorded region are unknown.

    Parameters
    ----------
    counts : Counts
        The scan, ``(z, y, x)``.
    start : (int, int, int)
        Index of the box's first voxel; may be negative.
    shape : (int, int, int)
        Of the box.
    observer : Observer
        Hears what was cut off and what is unknown.

    Raises
    ------
    InputError
        If a side is under 16 voxels, or nothing recorded lies in the box.
    """
    if min(shape) < MINIMUM:
        raise InputError(f"box {shape} has a side under {MINIMUM} voxels, too few to phase; ask for a larger 'shape'")
    values, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    spans = [
        (max(first, 0), min(first + n, size)) for first, n, size in zip(start, shape, counts.mask.shape, strict=True)
    ]
    if any(low >= high for low, high in spans):
        raise InputError(f"box {shape} from {start} misses the recorded region {counts.mask.shape}; check 'centre'")
    source = tuple(slice(low, high) for low, high in spans)
    target = tuple(slice(low - first, high - first) for (low, high), first in zip(spans, start, strict=True))
    values[target], mask[target] = counts.values[source], counts.mask[source]
    _report(counts, shape, start, spans, observer)
    return replace(counts, values=values, mask=mask)


def _size(recorded: int, peak: int, factor: int, pad_fraction: float) -> int:
    def inside(n: int) -> int:
        first = peak - factor * (n // 2) - factor // 2
        return min(first + factor * n, recorded) - max(first, 0)

    sizes = [n for n in range(MINIMUM, max(MINIMUM, 2 * recorded // factor) + 1, 2) if fft_friendly(n)]
    allowed = [n for n in sizes if inside(n) >= (1 - pad_fraction) * factor * n]
    return max(allowed, key=lambda n: (2 * inside(n) - factor * n, inside(n)), default=MINIMUM)


def _report(counts: Counts, shape: Triple, start: Triple, spans: list[tuple[int, int]], observer: Observer) -> None:
    inside = float(np.prod([high - low for low, high in spans]))
    outside = 1 - inside / float(np.prod(shape))
    size = " × ".join(map(str, shape))
    text = f"box of {size} voxels from index {start}; {outside:.1%} of it was not recorded and is unknown"
    observer(Note("crop", text, {"unrecorded": outside}))
    slow = [n for n in shape if not fft_friendly(n)]
    if slow:
        observer(
            Warned("crop", f"sides {slow} have prime factors above 7: transforms will be slow; choose near-by sizes")
        )
    if outside > 0.5:
        observer(Warned("crop", f"{outside:.0%} of the box was never recorded: ask for a smaller 'shape'"))


# Width (sigma) of the Gaussian before the maximum is taken: it lowers a single hot voxel to 1/53, a peak of several
# voxels' width hardly. The brightest voxel is then looked for within one such width.
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

    A phase range of several turns splits the peak into several maxima, which lie around this place.
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
