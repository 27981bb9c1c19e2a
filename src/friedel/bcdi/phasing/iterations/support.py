"""Where the object may be non-zero: a start from the autocorrelation, then shrink-wrap.

Thresholds are fractions of the *bulk* amplitude, √(Σa⁴/Σa²), rather than of the maximum: early iterates have hot spots,
and a threshold tied to the brightest voxel makes the support collapse onto it.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.core.fourier import AXES, inverse_fourier_corner, to_centre

Box = tuple[slice, slice, slice]
_MARGIN = 4  # voxels around the present support that an update looks at, and so its fastest growth
_FAR_OUT = 7.0  # widths from the middle at which a Gaussian is 2e-11 of its peak, below float32's precision
# Of the box's length from the centre: the inscribed ellipsoid, 0.5, and a tenth more for a blurred surface.
_BEYOND = 0.55


def autocorrelation_support(measured: Measured, *, level: float = 0.01, growth: int = 1) -> Tensor:
    """Return the half-sized region where the autocorrelation stands out.

    The support of the autocorrelation of a convex body K is K − K; half of it is K made centro-symmetric, and as large.

    Parameters
    ----------
    measured : Measured
        Held-out voxels count here (a strong one left out would lift the whole autocorrelation); unknown ones are dark.
    level : float
        Fraction of the autocorrelation's peak.
    growth : int
        Voxels by which the region is grown: strain dims the autocorrelation's rim, and too small a start collapses.

    Returns
    -------
    (z, y, x) bool Tensor
        Centred.
    """
    autocorrelation = to_centre(inverse_fourier_corner(measured.intensity.to(torch.complex64))).abs()
    inside = autocorrelation > level * autocorrelation.max()
    for axis, n in enumerate(measured.shape):
        doubled = (2 * torch.arange(n, device=inside.device) - n // 2).clamp(0, n - 1)
        inside = inside.index_select(axis, doubled)
    return grown(inside, growth)


def noise_level(measured: Measured) -> float:
    """Return the fraction of the autocorrelation's peak that stands out of photon noise at five standard deviations.

    The peak is the number N of all photons; a photon pattern's noise adds up to √N in every voxel.
    """
    return 5.0 / float(measured.intensity.sum().clamp_min(1.0).sqrt())


def autocorrelation_excess(measured: Measured) -> float:
    """Return the power of the autocorrelation where no crystal's reaches, over that of photon noise.

    A crystal half as long as the box has an autocorrelation as long as the box; beyond its inscribed ellipsoid nothing
    but noise is left, whose power is the mean count of a voxel. More is what no compact object explains: hot voxels,
    aliens, noise beyond counting, what corrections left. So it shows before any phasing that the model and not photons
    will limit the fit (0.9 to 1.3 of simulated crystals with 1e7 to 1e9 photons; 4.7 of a real gold crystal).
    """
    power = to_centre(inverse_fourier_corner(measured.intensity.to(torch.complex64))).abs().square()
    z, y, x = (
        ((torch.arange(n, device=power.device) - n // 2) / n)
        .square()
        .reshape([-1 if k == axis else 1 for k in range(3)])
        for axis, n in enumerate(measured.shape)
    )
    beyond = (z + y + x).sqrt() > _BEYOND
    return float(power[beyond].mean() / measured.intensity.mean().clamp_min(1e-30))


def grown(inside: Tensor, voxels: int) -> Tensor:
    """Return a region ``(..., z, y, x)`` bool and all within some voxels of it, along the axes and diagonals."""
    # Along one axis after the other, by neighbours: the pooling of a neural network takes ten times as long.
    found = inside
    for axis in AXES:
        last = inside.shape[axis] - 1
        for _ in range(voxels):
            before, found = found, found.clone()
            found.narrow(axis, 1, last).logical_or_(before.narrow(axis, 0, last))
            found.narrow(axis, 0, last).logical_or_(before.narrow(axis, 1, last))
    return found


def interior(inside: Tensor) -> Tensor:
    """Return the voxels of a region ``(z, y, x)`` bool whose neighbours, along the axes and diagonals, belong to it."""
    return ~grown(~inside, 1)


def bulk_amplitude(amplitude: Tensor, weight: Tensor) -> Tensor:
    """Return √(Σ w a⁴ / Σ w a²) over the last three axes, which stay as ones: what is typical of the bright part."""
    squared = amplitude.square() * weight
    axes = (-3, -2, -1)
    fourth = (squared * amplitude.square()).sum(axes, keepdim=True)
    return (fourth / squared.sum(axes, keepdim=True).clamp_min(1e-30)).sqrt()


def shrink_wrap(
    obj: Tensor, support: Tensor, *, threshold: Tensor | float, sigma: float, box: Box | None = None
) -> Tensor:
    """Return new supports: where the smoothed amplitude exceeds a fraction of the bulk's.

    Marchesini et al., Phys. Rev. B 68, 140101 (2003), with the bulk amplitude as the reference. Only the bounding box
    of each present support and a margin of 4 voxels is looked at, so a support grows by at most that much at a time.

    Parameters
    ----------
    obj : (n, z, y, x) complex Tensor
        Objects before the support was applied, origin at the centre.
    support : (n, z, y, x) bool Tensor
        Present supports.
    threshold : Tensor or float
        Fraction of the bulk amplitude; a Tensor ``(n, 1, 1, 1)`` gives each object its own.
    sigma : float
        Width of the Gaussian, voxels.
    box : Box, optional
        The supports' bounding box without a margin, if it is known.

    Returns
    -------
    (n, z, y, x) bool Tensor
        An empty result is refused: that object keeps its present support.
    """
    if box is None:
        around = bounding_box(support)
    else:
        z, y, x = (_widened(along, _MARGIN, n) for along, n in zip(box, support.shape[-3:], strict=True))
        around = z, y, x
    part = obj[..., *around]
    inside = support[..., *around].contiguous()
    # The box holds all supports of the batch; what each object may look at must not depend on its neighbours.
    near = _own_boxes(inside) if len(support) > 1 else torch.ones_like(inside[..., :1, :1, :1])
    amplitude = torch.mul(part, part.conj()).real.sqrt().mul_(near)
    wrapped = (smooth(amplitude, sigma) > threshold * bulk_amplitude(amplitude, inside)) & near
    found = wrapped.view(torch.uint8).amax((1, 2, 3), keepdim=True) > 0
    wrapped = torch.where(found, wrapped, inside)
    result = torch.zeros_like(support)
    result[..., *around] = wrapped
    return result


def bounding_box(support: Tensor, *, margin: int = _MARGIN) -> Box:
    """Return the slices of ``(z, y, x)`` that hold all supports ``(..., z, y, x)`` and a margin; all, if empty."""
    z, y, x = support.shape[-3:]
    # As bytes, over the outermost axes first: that order a CPU reduces many times faster than `any` or the innermost.
    stacked = support.view(torch.uint8).reshape(-1, y, x)
    # What is left of it is so little that NumPy's calls, a fifth as long as PyTorch's, decide.
    plane = stacked.amax(0).cpu().numpy()
    rows, columns = _occupied(plane.max(1), margin), _occupied(plane.max(0), margin)
    layers = stacked[:, rows, columns].amax((1, 2)).cpu().numpy().reshape(-1, z).max(0)
    return _occupied(layers, margin), rows, columns


def _occupied(line: NDArray[np.uint8], margin: int) -> slice:
    positions = np.flatnonzero(line)
    if not len(positions):
        return slice(0, len(line))
    return _widened(slice(int(positions[0]), int(positions[-1]) + 1), margin, len(line))


def _widened(along: slice, margin: int, n: int) -> slice:
    return slice(max(along.start - margin, 0), min(along.stop + margin, n))


def _own_boxes(support: Tensor, *, margin: int = _MARGIN) -> Tensor:
    """Return the bounding box and margin of each support ``(n, z, y, x)``, True inside; broadcasts to its shape."""
    stacked = support.view(torch.uint8)
    in_plane = stacked.amax(1) > 0
    along_z = stacked.amax((2, 3)) > 0
    boxes = torch.ones((1, 1, 1, 1), dtype=torch.bool, device=support.device)
    for axis, occupied in ((1, along_z), (2, in_plane.any(2)), (3, in_plane.any(1))):
        index = torch.arange(occupied.shape[1], device=support.device)
        last = torch.where(occupied, index, -1).amax(1, keepdim=True)
        first = torch.where(occupied, index, len(index)).amin(1, keepdim=True)
        within = (index >= first - margin) & (index <= last + margin)
        boxes = boxes & within.reshape([-1, *(len(index) if k == axis else 1 for k in (1, 2, 3))])
    return boxes


def smooth(values: Tensor, sigma: float) -> Tensor:
    """Return real ``(..., z, y, x)`` values smoothed by a Gaussian of ``sigma`` voxels; beyond the edges is zero."""
    if sigma <= 0:
        return values
    z, y, x = (_gaussian_matrix(n, sigma, values.dtype, values.device) for n in values.shape[-3:])
    # Three small matrix products: on boxes of tens of voxels faster than any convolution or FFT.
    along_y = torch.matmul(y, torch.matmul(values, x))
    flat = along_y.flatten(-2)
    return torch.matmul(z, flat).reshape(values.shape)


@lru_cache(maxsize=64)
def _gaussian_matrix(n: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    position = torch.arange(n, device=device, dtype=dtype)
    # Far out float32 holds subnormal numbers, with which a product of matrices takes up to a hundred times as long.
    steep = ((position[:, None] - position[None, :]) / sigma).square()
    kernel = torch.exp(-0.5 * steep) * (steep < _FAR_OUT**2)
    reach = torch.arange(-n, n + 1, device=device, dtype=dtype)
    return kernel / torch.exp(-0.5 * (reach / sigma) ** 2).sum()
