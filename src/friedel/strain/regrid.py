"""From the detector's skewed voxels to a regular cubic grid: the complex field is interpolated, never its phase."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from friedel.base.fourier import fourier, inverse_fourier

Floats = NDArray[np.float64]
MARGIN = 4


@dataclass(frozen=True, kw_only=True)
class CubicGrid:
    """A cubic grid in a frame, origin at index ``n // 2``.

    Attributes
    ----------
    shape : (int, int, int)
        ``(z, y, x)``.
    voxel_size : float
        Å.
    """

    shape: tuple[int, int, int]
    voxel_size: float

    def positions(self) -> Floats:
        """Return the voxels' positions ``(z, y, x, 3)``, Å, components ``(x, y, z)``."""
        axes = [(np.arange(n) - n // 2) * self.voxel_size for n in self.shape]
        z, y, x = np.meshgrid(*axes, indexing="ij")
        return np.stack([x, y, z], axis=-1)


def grid_around(support: NDArray[np.bool_], basis: Floats, voxel_size: float | None) -> CubicGrid:
    """Return a cubic grid that holds a support.

    Parameters
    ----------
    support : (z, y, x) bool
        On voxels of the steps ``basis``.
    basis : (3, 3) float64, Å
        Row ``k`` is the step ``(x, y, z)`` along array axis ``k``.
    voxel_size : float or None
        Å; None takes the finest step.
    """
    size = voxel_size or float(np.linalg.norm(basis, axis=1).min())
    positions = (np.argwhere(support) - np.array(support.shape) // 2) @ basis
    reach = np.abs(positions).max(axis=0)[::-1] / size + MARGIN
    half = np.ceil(reach).astype(int)
    return CubicGrid(shape=(2 * int(half[0]), 2 * int(half[1]), 2 * int(half[2])), voxel_size=size)


def interpolated(
    field: NDArray[np.complexfloating],
    basis: Floats,
    grid: CubicGrid,
    *,
    support: NDArray[np.bool_],
    upsampling: int = 2,
) -> NDArray[np.complex128]:
    """Return a complex field on a cubic grid.

    The part around the support is upsampled by zero padding in Fourier space, exact for the band-limited field that
    phasing yields, and read off with cubic splines, whose error at the finer step is small.

    Parameters
    ----------
    field : (z, y, x) complex
        On voxels of the steps ``basis``, zero outside the support.
    basis : (3, 3) float64, Å
        Row ``k`` is the step ``(x, y, z)`` along array axis ``k``.
    grid : CubicGrid
        Where to.
    support : (z, y, x) bool
        Where the field is.
    upsampling : int
        1 for splines alone.
    """
    fine = upsampled(_centred_crop(field, support), upsampling)
    to_index = np.linalg.inv(basis) * upsampling
    index = grid.positions() @ to_index + np.array(fine.shape) // 2
    coordinates = np.moveaxis(index, -1, 0)
    return np.asarray(ndimage.map_coordinates(fine, coordinates, order=3, mode="constant", cval=0.0))


def upsampled(field: NDArray[np.complex128], factor: int) -> NDArray[np.complex128]:
    """Return a field of odd sizes on voxels finer by a whole factor, by zero padding its transform; centred both."""
    if factor == 1:
        return field
    spectrum = fourier(torch.from_numpy(np.ascontiguousarray(field))).numpy()
    padded = np.zeros([factor * n for n in field.shape], dtype=np.complex128)
    place = tuple(slice((factor * n) // 2 - n // 2, (factor * n) // 2 - n // 2 + n) for n in field.shape)
    padded[place] = spectrum
    return np.asarray(inverse_fourier(torch.from_numpy(padded)).numpy() * factor**1.5)


def rotation_to(frame: str, direction: Floats) -> Floats:
    """Return the shortest rotation ``(3, 3)`` from the laboratory to a frame: ``v_frame = rotation @ v_laboratory``."""
    if frame == "laboratory":
        return np.eye(3)
    target = np.array([0.0, 1.0, 0.0]) if frame == "h along y" else np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(direction, target), float(direction @ target)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    return np.asarray(Rotation.from_rotvec(axis / sine * np.arctan2(sine, cosine)).as_matrix())


def _centred_crop(field: NDArray[np.complexfloating], support: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """Return the box around the support, of odd sizes about index ``n // 2``, with an empty margin."""
    middle = np.array(field.shape) // 2
    half = np.abs(np.argwhere(support) - middle).max(axis=0) + MARGIN
    cropped = np.zeros(2 * half + 1, dtype=np.complex128)
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half + 1, field.shape)
    source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    target = tuple(slice(a, b) for a, b in zip(low - middle + half, high - middle + half, strict=True))
    cropped[target] = np.where(support[source], field[source], 0)
    return cropped
