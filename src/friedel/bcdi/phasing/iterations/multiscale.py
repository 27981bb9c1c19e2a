"""From a coarse object to a fine one: a pattern's centre gives a low-resolution object of the same field of view."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.core.fourier import fourier, frequencies, inverse_fourier, to_centre, to_corner

Shape = tuple[int, int, int]
# Voxels. A shorter axis of the pattern's centre holds only a few fringes on either side of the peak. Larger is safer
# and slower: every iteration's cost grows with the voxels.
SHORTEST = 16
# Longest step from one grid to the next finer: three quarters of the new pattern's voxels then have no phase yet.
_STEP = 1.6


def limited_shape(shape: Shape, limit: int) -> Shape:
    """Return the shape of the central part with at most ``limit`` voxels an axis."""
    z, y, x = (min(n, limit) for n in shape)
    return z, y, x


def start_shape(shape: Shape, object_voxels: int, wanted: int, *, shortest: int = SHORTEST) -> Shape:
    """Return the shape of the central part on which the object has about the wanted number of voxels.

    Parameters
    ----------
    shape : (int, int, int)
        Array shape ``(z, y, x)``.
    object_voxels : int
        Voxels of the object on the whole array.
    wanted : int
        Voxels it shall have.
    shortest : int
        Voxels that no axis gets below.
    """
    scale = min(1.0, (wanted / max(object_voxels, 1)) ** (1 / 3))
    # Even, and no axis so short that its fringes are gone.
    z, y, x = (min(n, max(shortest, 2 * round(n * scale / 2))) for n in shape)
    return z, y, x


def compact_shape(measured: Measured, least: Shape, *, outside: float) -> Shape:
    """Return the shape of the smallest central part, no smaller than ``least``, that misses few of the photons.

    Strain of several turns spreads the peak: a smaller part would cut it, and no object of a small support gives that.

    Parameters
    ----------
    measured : Measured
        The measurement.
    least : (int, int, int)
        Where to begin, ``(z, y, x)``.
    outside : float
        Share of the photons that may lie outside.
    """
    intensity, total = to_centre(measured.intensity), float(measured.intensity.sum())
    shape = least
    while shape != measured.shape:
        if float(intensity[_middle(measured.shape, shape)].sum()) >= (1.0 - outside) * total:
            return shape
        z, y, x = (min(n, fast_size(m + 2)) for n, m in zip(measured.shape, shape, strict=True))
        shape = (z, y, x)
    return shape


def between(coarse: Shape, fine: Shape) -> list[Shape]:
    """Return the shapes of the grids between a coarse and a fine one, so that no step is longer than `_STEP`."""
    ratio = max(n / m for m, n in zip(coarse, fine, strict=True))
    steps = max(1, int(np.ceil(np.log(ratio) / np.log(_STEP) - 1e-9)))
    shapes: list[Shape] = []
    for k in range(1, steps):
        z, y, x = (min(n, fast_size(m * (n / m) ** (k / steps))) for m, n in zip(coarse, fine, strict=True))
        shapes.append((z, y, x))
    return shapes


def fast_size(least: float) -> int:
    """Return the smallest even number from ``least`` up without prime factors above 5, which an FFT is fast at."""
    n = 2 * int(np.ceil(least / 2))
    while _without_small_factors(n) > 1:
        n += 2
    return n


def _without_small_factors(n: int) -> int:
    for prime in (2, 3, 5):
        while n % prime == 0:
            n //= prime
    return n


def windowed(measured: Measured, edge: float) -> Measured:
    """Return a measurement whose amplitudes fall off like a Gaussian towards the grid's rim.

    A pattern that is cut off where it is still bright is that of an object that rings far beyond its surface: no tight
    support fits it, and iterative methods put stripes into it. With a soft edge the object is smooth and compact.

    Parameters
    ----------
    measured : Measured
        The measurement.
    edge : float
        What amplitudes in the middle of a face of the grid are multiplied by; 1 changes nothing.
    """
    if edge >= 1.0:
        return measured
    device = measured.amplitude.device
    axes = [torch.exp(np.log(edge) * (2.0 * frequencies(n, device=device)) ** 2) for n in measured.shape]
    window = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :] * _signal(measured)
    return replace(measured, amplitude=measured.amplitude * window, intensity=measured.intensity * window.square())


def _signal(measured: Measured) -> Tensor:
    """Return the share of signal in the amplitudes, from the mean photons n of each shell: n / (n + 1), 0 to 1."""
    device = measured.amplitude.device
    z, y, x = (frequencies(n, device=device).square() for n in measured.shape)
    radius = (z[:, None, None] + y[None, :, None] + x[None, None, :]).sqrt()
    shell = (radius * max(measured.shape)).round().long().flatten()
    counts = torch.bincount(shell, weights=measured.fitted.flatten()).clamp_min(1.0)
    photons = torch.bincount(shell, weights=(measured.intensity * measured.fitted).flatten()) / counts
    return (photons / (photons + 1.0))[shell].reshape(measured.shape)


def central_part(measured: Measured, shape: Shape) -> Measured:
    """Return the measurement's central part, ``shape`` ``(z, y, x)``; the same voxels are fitted and held out."""

    def cut(array: Tensor) -> Tensor:
        return to_corner(to_centre(array)[_middle(measured.shape, shape)])

    return replace(
        measured,
        amplitude=cut(measured.amplitude),
        fitted=cut(measured.fitted),
        unfitted=cut(measured.unfitted),
        held_out=None if measured.held_out is None else cut(measured.held_out),
        intensity=cut(measured.intensity),
        blur=None,
    )


def lift(obj: Tensor, shape: Shape) -> Tensor:
    """Return objects ``(..., z, y, x)`` on a finer grid of the same field of view: their diffraction, zero-padded."""
    diffraction = fourier(obj)
    padded = torch.zeros((*obj.shape[:-3], *shape), dtype=obj.dtype, device=obj.device)
    padded[..., *_middle(shape, obj.shape[-3:])] = diffraction
    return inverse_fourier(padded)


def lower(obj: Tensor, shape: Shape) -> Tensor:
    """Return objects ``(..., z, y, x)`` on a coarser grid of the same field of view: their diffraction's centre."""
    return inverse_fourier(fourier(obj)[..., *_middle(obj.shape[-3:], shape)])


def lift_support(support: Tensor, shape: Shape) -> Tensor:
    """Return supports ``(..., z, y, x)`` on a finer grid of the same field of view, from the nearest coarse voxel."""
    for axis, (coarse, fine) in enumerate(zip(support.shape[-3:], shape, strict=True), start=support.ndim - 3):
        position = (torch.arange(fine, device=support.device) - fine // 2) * (coarse / fine)
        nearest = (position.round().long() + coarse // 2).clamp(0, coarse - 1)
        support = support.index_select(axis, nearest)
    return support


def _middle(outer: Shape | torch.Size, inner: Shape | torch.Size) -> tuple[slice, slice, slice]:
    first = [n // 2 - m // 2 for n, m in zip(outer, inner, strict=True)]
    z, y, x = (slice(start, start + m) for start, m in zip(first, inner, strict=True))
    return z, y, x
