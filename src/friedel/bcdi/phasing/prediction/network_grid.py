"""From a pattern of any size to a network's grid, and from the network's prediction back to full resolution.

Along each axis a step of the network's grid is as many voxels of the pattern as make box over crystal the wanted ratio
(`OVERSAMPLING`), whatever the pattern's own. In real space the network's box is smaller than the pattern's by that
factor.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError, PlanError

Number = TypeVar("Number", bound=np.inexact[Any])
Steps = tuple[float, float, float]
Shape = tuple[int, int, int]

OVERSAMPLING = 1.5
"""Box over crystal on the network's grid, along each axis."""
_LOBES = 3  # of the Lanczos kernel, on either side: the usual compromise of a flat pass band and a short reach
# A voxel counts as measured where this share of what it is made from was.
_ENOUGH = 0.5
# The kernel passes the autocorrelation and this much around it.
_ROOM = 1.15


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkGrid:
    """How a network's cubic grid lies on a pattern's.

    Attributes
    ----------
    size : int
        Voxels of the network's grid along each axis.
    shape : (int, int, int)
        The pattern's shape ``(z, y, x)``.
    oversampling : (float, float, float)
        Estimated for the pattern along ``(z, y, x)``.
    steps : (float, float, float)
        Voxels of the pattern per voxel of the network's grid in reciprocal space.
    """

    size: int
    shape: Shape
    oversampling: tuple[float, float, float]
    steps: Steps

    def lift(self, obj: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
        """Return a prediction ``(size, size, size)`` on the pattern's grid; the field, not its phase, is resampled."""
        ratios = [self.size * step / n for n, step in zip(self.shape, self.steps, strict=True)]
        return _resampled(obj, self.shape, ratios, [max(1.0, ratio) for ratio in ratios]).astype(np.complex64)

    def lower(self, obj: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
        """Return an object of the pattern's grid on the network's: what a perfect prediction would be."""
        ratios = [n / (self.size * step) for n, step in zip(self.shape, self.steps, strict=True)]
        cube = (self.size, self.size, self.size)
        return _resampled(obj, cube, ratios, [max(1.0, ratio) for ratio in ratios]).astype(np.complex64)


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkPattern:
    """A pattern on a network's grid.

    Attributes
    ----------
    intensities : (size, size, size) float32
        Photons per voxel of the original pattern; 0 where unknown. Origin at index ``n // 2``.
    mask : (size, size, size) bool
        Where it was measured.
    grid : NetworkGrid
        How to get back.
    """

    intensities: NDArray[np.float32]
    mask: NDArray[np.bool_]
    grid: NetworkGrid


def network_grid(diffraction: Diffraction, *, size: int = 32, oversampling: float = OVERSAMPLING) -> NetworkGrid:
    """Place a network's grid on a pattern.

    Parameters
    ----------
    diffraction : Diffraction
        The pattern.
    size : int
        Voxels of the network's grid along each axis.
    oversampling : float
        Box over crystal wanted there, at least 1.

    Raises
    ------
    PlanError
        If size or oversampling is out of range.
    """
    if size < 8 or oversampling < 1:
        given = f"got {size}, {oversampling}"
        raise PlanError(f"a network's grid needs a size of at least 8 and oversampling of at least 1, {given}")
    found = estimate_oversampling(diffraction.intensities, diffraction.mask)
    z, y, x = (ratio / oversampling for ratio in found)
    depth, height, width = diffraction.intensities.shape
    return NetworkGrid(size=size, shape=(depth, height, width), oversampling=found, steps=(z, y, x))


def network_pattern(diffraction: Diffraction, *, size: int = 32, oversampling: float = OVERSAMPLING) -> NetworkPattern:
    """Resample a pattern to a network's grid.

    Intensities are band-limited (by the autocorrelation's extent), so they can be interpolated: by a Lanczos kernel as
    wide as the autocorrelation allows, which averages over noise where the sampling is fine. Unknown voxels take no
    part; a voxel made from too few known ones is unknown.

    Parameters
    ----------
    diffraction, size, oversampling
        As for `network_grid`.

    Raises
    ------
    InputError
        If nothing measured above zero lies on the network's grid.
    PlanError
        If size or oversampling is out of range.
    """
    grid = network_grid(diffraction, size=size, oversampling=oversampling)
    cube = (size, size, size)
    widths = [max(1.0, ratio / (2 * _ROOM)) for ratio in grid.oversampling]
    known = diffraction.mask.astype(np.float32)
    share = _resampled(known, cube, grid.steps, widths)
    values = _resampled(np.where(diffraction.mask, diffraction.intensities, np.float32(0)), cube, grid.steps, widths)
    mask = share > _ENOUGH
    intensities = np.where(mask, np.maximum(values, 0) / np.maximum(share, _ENOUGH), 0).astype(np.float32)
    if not intensities.any():
        raise InputError(f"{diffraction.name}: nothing measured near the pattern's centre; a network can't be shown it")
    return NetworkPattern(intensities=intensities, mask=mask, grid=grid)


def _resampled(
    array: NDArray[Number], shape: Shape, steps: Steps | list[float], widths: list[float]
) -> NDArray[Number]:
    """Return the array at steps from its centre, axis by axis; beyond its edges it counts as zero."""
    values = torch.from_numpy(array)
    for axis, (n, step, width) in enumerate(zip(shape, steps, widths, strict=True)):
        weights = torch.from_numpy(_kernel_matrix(values.shape[axis], n, step, width)).to(values.dtype)
        values = torch.tensordot(weights, values, dims=([1], [axis])).movedim(0, axis)
    resampled: NDArray[Number] = values.numpy()
    return resampled


def _kernel_matrix(n_from: int, n_to: int, step: float, width: float) -> NDArray[np.float32]:
    """Return Lanczos weights ``(n_to, n_from)``: sinc windowed by its own main lobe, stretched by ``width``."""
    wanted = (np.arange(n_to) - n_to // 2) * step + n_from // 2
    away = (wanted[:, None] - np.arange(n_from)) / width
    kernel = np.where(np.abs(away) < _LOBES, np.sinc(away) * np.sinc(away / _LOBES), 0.0) / width
    return kernel.astype(np.float32)
