"""The surface of an object as triangles in laboratory nanometres, with a value at each corner.

Both the still picture and the turnable view in the report draw this one mesh.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates
from skimage.measure import marching_cubes

from friedel.base.errors import InputError
from friedel.plotting.appearance import PHASE_MAP

# Beyond this many triangles a page grows heavy and a still picture slow; a coarser mesh looks the same there.
MAX_TRIANGLES = 30_000

LABORATORY = ("x", "y (up)", "z (beam)")


@dataclass(frozen=True, eq=False, kw_only=True)
class Colouring:
    """What the colours of a surface mean."""

    title: str
    colour_map: str
    limits: tuple[float, float]


PHASE_COLOURING = Colouring(title="phase (rad)", colour_map=PHASE_MAP, limits=(-math.pi, math.pi))


@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceMesh:
    """A closed surface.

    Attributes
    ----------
    vertices : (n, 3) float32
        Corners, laboratory ``(x, y, z)``, nm (voxels where the geometry is unknown), about the array's origin.
    normals : (n, 3) float32
        Unit vectors pointing out of the object.
    triangles : (m, 3) int32
        Indices of each triangle's corners.
    values : (n,) float32
        What colours the surface.
    colouring : Colouring
        What the values are, and their colours.
    unit : str
        Unit of length.
    axes : (str, str, str)
        Names of the directions x, y and z.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    triangles: NDArray[np.int32]
    values: NDArray[np.float32]
    colouring: Colouring
    unit: str = "nm"
    axes: tuple[str, str, str] = LABORATORY


@dataclass(frozen=True, eq=False, kw_only=True)
class Placing:
    """Where the voxels of an array lie.

    Attributes
    ----------
    basis : (3, 3) float64
        Step along each array axis ``(z, y, x)``, one per row, components ``(x, y, z)``, in ``unit``; may be skewed.
    unit : str
        "nm" or "voxels".
    axes : (str, str, str)
        Names of the directions x, y and z.
    """

    basis: NDArray[np.float64]
    unit: str = "nm"
    axes: tuple[str, str, str] = LABORATORY


def phase_mesh(obj: NDArray[np.complexfloating], *, level: float, placing: Placing) -> SurfaceMesh:
    """Return the surface where the amplitude equals ``level``, coloured by phase.

    The complex field is interpolated at the corners, never the phase, so that jumps from π to −π do no harm.

    Parameters
    ----------
    obj : (z, y, x) complex
        The object.
    level : float
        Amplitude at which the surface is drawn.
    placing : Placing
        Where its voxels lie.

    Raises
    ------
    InputError
        If no voxel, or every voxel, lies above the level.
    """
    corners, triangles = _isosurface(np.abs(obj), level)
    values = np.angle(_sample(obj.real, corners) + 1j * _sample(obj.imag, corners))
    return _assemble(_from_origin(corners, obj.shape), triangles, values, placing, PHASE_COLOURING)


def scalar_mesh(
    amplitude: NDArray[np.floating],
    values: NDArray[np.floating],
    *,
    level: float,
    placing: Placing,
    colouring: Colouring,
) -> SurfaceMesh:
    """Return the surface where ``amplitude`` equals ``level``, coloured by ``values``.

    Parameters
    ----------
    amplitude, values : (z, y, x) float
        What the surface is cut from, and what colours it; where these aren't finite the nearest that is stands in.
    level : float
        Amplitude at which the surface is drawn.
    placing : Placing
        Where the voxels lie.
    colouring : Colouring
        Name, map and limits of the values.

    Raises
    ------
    InputError
        If no voxel, or every voxel, lies above the level.
    """
    corners, triangles = _isosurface(amplitude, level)
    sampled = _sample(_continued(values), corners)
    return _assemble(_from_origin(corners, amplitude.shape), triangles, sampled, placing, colouring)


def _isosurface(amplitude: NDArray[np.floating], level: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return corners, as array indices, and triangles of a surface that is closed at the array's faces too."""
    padded = np.pad(amplitude.astype(np.float32), 1)
    if not padded.min() < level < padded.max():
        raise InputError(f"no surface at amplitude {level:g}: the object reaches {padded.max():g}; take a lower level")
    for coarseness in (1, 2, 3, 4):
        corners, triangles, _, _ = marching_cubes(padded, level, step_size=coarseness)
        if len(triangles) <= MAX_TRIANGLES:
            break
    return corners.astype(np.float64) - 1.0, triangles.astype(np.int32)


def _continued(values: NDArray[np.floating]) -> NDArray[np.floating]:
    # The surface runs between the last voxels whose strain is known and the first whose isn't.
    known = np.isfinite(values)
    if known.all() or not known.any():
        return np.nan_to_num(values)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    continued: NDArray[np.floating] = values[tuple(nearest)]
    return continued


def _sample(volume: NDArray[np.floating], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    sampled: NDArray[np.float64] = map_coordinates(volume.astype(np.float64), corners.T, order=1, mode="nearest")
    return sampled


def _from_origin(corners: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return corners - np.array([n // 2 for n in shape])


def _assemble(
    offsets: NDArray[np.float64],
    triangles: NDArray[np.int32],
    values: NDArray[np.float64],
    placing: Placing,
    colouring: Colouring,
) -> SurfaceMesh:
    vertices = offsets @ placing.basis
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    if np.sum(a * faces) < 0:  # the enclosed volume, six-fold: negative where the triangles run clockwise
        triangles, faces = triangles[:, ::-1], -faces
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return SurfaceMesh(
        vertices=vertices.astype(np.float32),
        normals=normals.astype(np.float32),
        triangles=np.ascontiguousarray(triangles, dtype=np.int32),
        values=values.astype(np.float32),
        colouring=colouring,
        unit=placing.unit,
        axes=placing.axes,
    )
