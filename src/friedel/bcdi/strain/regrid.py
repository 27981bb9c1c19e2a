"""From the measurement's skewed voxels to a cubic grid; the complex field is interpolated, never its wrapped phase."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Mask = NDArray[np.bool_]

# Voxels around the crystal, and layers by which its phase is continued: a cubic spline's coefficients depend on values
# n voxels away by 0.27ⁿ (its pole √3 − 2), so what ends 4 voxels beyond changes the surface by 0.5 %.
MARGIN = 4
LAYERS = 4
SPLINE_ORDER = 3  # see `regridded` for its error


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


def grid_around(support: Mask, basis: Floats, voxel_size: float | None) -> CubicGrid:
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


def regridded(
    field: NDArray[np.complexfloating], basis: Floats, grid: CubicGrid, *, trusted: Mask
) -> tuple[Floats, Complexes]:
    """Return a complex field on a cubic grid as amplitude and phase factor.

    A field that stops at the surface makes any interpolation ring into the crystal, and the ringing bends the phase.
    So the phase factor exp(iφ) is first continued a few voxels beyond the surface, and interpolated from there; the
    amplitude comes from the field as it is. Both by cubic splines, whose error at a phase step of ω radians a voxel is
    about ω⁴/720.

    Parameters
    ----------
    field : (z, y, x) complex
        On voxels of the steps ``basis``.
    basis : (3, 3) float64, Å
        Row ``k`` is the step ``(x, y, z)`` along array axis ``k``.
    grid : CubicGrid
        Where to.
    trusted : (z, y, x) bool
        Voxels bright enough for their phase to mean something.

    Returns
    -------
    amplitude : (z, y, x) float64
        |ψ|.
    factor : (z, y, x) complex128
        exp(iφ), continued beyond the surface; 0 far outside.
    """
    box = _box(trusted)
    amplitude = np.abs(_at(np.asarray(field[box], dtype=np.complex128), _index(field.shape, basis, grid, box)))
    return amplitude, phase_factor(field, basis, grid, trusted=trusted)


def phase_factor(field: NDArray[np.complexfloating], basis: Floats, grid: CubicGrid, *, trusted: Mask) -> Complexes:
    """Return the factor exp(iφ) of `regridded` alone, ``(z, y, x)`` complex128.

    Parameters
    ----------
    field, basis, grid, trusted
        As for `regridded`.
    """
    box = _box(trusted)
    factor = _at(continued(field[box], trusted[box], layers=LAYERS), _index(field.shape, basis, grid, box))
    return unit(np.where(np.abs(factor) > 0.1, factor, 0))


def _index(shape: tuple[int, ...], basis: Floats, grid: CubicGrid, box: tuple[slice, slice, slice]) -> Floats:
    """Return where the grid's voxels lie in the box of an array of steps ``basis``, ``(3, z, y, x)`` in voxels."""
    middle = np.array(shape) // 2 - np.array([cut.start for cut in box])
    return np.moveaxis(grid.positions() @ np.linalg.inv(basis) + middle, -1, 0)


def continued(field: NDArray[np.complexfloating], trusted: Mask, *, layers: int) -> Complexes:
    """Return exp(iφ) of the trusted voxels, continued outwards voxel by voxel.

    Each new voxel takes the mean, as complex numbers, of the linear continuations 2φ₁ − φ₂ from its neighbours; of the
    neighbours' own phases where no line of two voxels points at it.

    Parameters
    ----------
    field : (z, y, x) complex
        ψ.
    trusted : (z, y, x) bool
        Where to start from.
    layers : int
        How many voxels far.
    """
    factor = np.pad(np.where(trusted, unit(field), 0), 2)
    for _ in range(layers):
        near = [np.roll(factor, step, axis) for axis in range(3) for step in (1, -1)]
        far = [np.roll(factor, 2 * step, axis) for axis in range(3) for step in (1, -1)]
        lines = np.sum([a * a * np.conj(b) for a, b in zip(near, far, strict=True)], axis=0)
        filled = np.where(np.abs(lines) > 1e-6, lines, np.sum(near, axis=0))
        factor = np.where(factor == 0, unit(filled), factor)
    return np.asarray(factor[2:-2, 2:-2, 2:-2])


def unit(field: NDArray[np.complexfloating]) -> Complexes:
    """Return ψ/|ψ|, and 0 where ψ is 0; any shape."""
    size = np.abs(field)
    return np.asarray(np.divide(field, size, out=np.zeros(field.shape, dtype=np.complex128), where=size > 1e-12))


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


def _box(trusted: Mask) -> tuple[slice, slice, slice]:
    where, reach = np.argwhere(trusted), LAYERS + MARGIN
    low = np.maximum(where.min(axis=0) - reach, 0)
    high = np.minimum(where.max(axis=0) + reach + 1, trusted.shape)
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _at(values: Complexes, index: Floats) -> Complexes:
    return np.asarray(ndimage.map_coordinates(values, index, order=SPLINE_ORDER, mode="constant", cval=0.0))
