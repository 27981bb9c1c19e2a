"""From a coarse object to a fine one: a pattern's centre gives a low-resolution object of the same field of view."""

from dataclasses import replace

import torch
from torch import Tensor

from friedel.bcdi.phasing.measured import Measured
from friedel.core.fourier import fourier, inverse_fourier, to_centre, to_corner

Shape = tuple[int, int, int]
SHORTEST = 16


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
