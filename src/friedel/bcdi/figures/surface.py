"""The surface of an object as triangles in laboratory nanometres, with a value at each corner.

Both the still picture and the turnable view in the report draw this one mesh.
"""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates
from skimage.measure import marching_cubes

from friedel.core.errors import InputError
from friedel.core.figures import INK, PHASE_MAP, SMALL_POINTS, TEXT_POINTS, new_figure

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


# Azimuths of the two views, degrees about the vertical (laboratory y), and the camera's elevation, degrees, from which
# both top and sides are seen.
VIEWS = (("from one side", 35.0), ("from the other", 215.0))
ELEVATION_DEG = 22.0
# Colour carries the numbers, so the shade on the dark side stays light.
AMBIENT = 0.6


def surface_figure(mesh: SurfaceMesh) -> Figure:
    """Draw the surface from two opposite sides, y upwards, and say how large the object is."""
    figure = new_figure(9.0, 4.4)
    colours, norm = colormaps[mesh.colouring.colour_map], Normalize(*mesh.colouring.limits)
    panels = [figure.add_subplot(1, 2, index, projection="3d") for index in (1, 2)]
    for axes, (title, azimuth) in zip(panels, VIEWS, strict=True):
        axes.add_collection3d(_shaded(mesh, azimuth))
        _frame(axes, mesh)
        axes.view_init(elev=ELEVATION_DEG, azim=azimuth)
        _draw_directions(axes, mesh.axes, azimuth)
        axes.set_title(title, fontsize=SMALL_POINTS, color=INK)
    figure.supxlabel(size_words(mesh), fontsize=TEXT_POINTS, color=INK)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=panels, shrink=0.7, aspect=22, pad=0.02)
    bar.set_label(mesh.colouring.title, fontsize=TEXT_POINTS, color=INK)
    bar.ax.tick_params(labelsize=SMALL_POINTS, colors=INK, length=2)
    bar.outline.set_visible(False)
    return figure


def vertex_colours(mesh: SurfaceMesh) -> NDArray[np.float64]:
    """Return the colour of each corner before light falls on it, ``(n, 4)`` red, green, blue, alpha in 0–1."""
    colours: NDArray[np.float64] = colormaps[mesh.colouring.colour_map](Normalize(*mesh.colouring.limits)(mesh.values))
    return colours


def size_words(mesh: SurfaceMesh) -> str:
    """Return the object's extent along the three directions in words."""
    x, y, z = np.ptp(mesh.vertices, axis=0)
    return f"{x:.0f} × {y:.0f} × {z:.0f} {mesh.unit} along {', '.join(name.split()[0] for name in mesh.axes)}"


def _shaded(mesh: SurfaceMesh, azimuth_deg: float) -> Poly3DCollection:
    normals = _upright(mesh.normals)[mesh.triangles].mean(axis=1)
    light = np.clip(normals @ _towards_eye(azimuth_deg + 25.0, ELEVATION_DEG + 20.0), 0.0, 1.0)
    # A cyclic map's colours may be averaged over a small triangle, its values may not.
    colours = vertex_colours(mesh)[mesh.triangles].mean(axis=1)
    colours[:, :3] *= (AMBIENT + (1 - AMBIENT) * light)[:, None]
    corners = _upright(mesh.vertices)[mesh.triangles]
    return Poly3DCollection(corners, facecolors=colours, linewidths=0, antialiased=False)


def _upright(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Exchange laboratory (x, y, z) cyclically so that matplotlib's vertical is y; axes stay right-handed."""
    return vectors[:, [2, 0, 1]]


def _towards_eye(azimuth_deg: float, elevation_deg: float) -> NDArray[np.float64]:
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


def _frame(axes: Axes3D, mesh: SurfaceMesh) -> None:
    corners = _upright(mesh.vertices)
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle, half = (low + high) / 2, float((high - low).max()) * 0.5
    for set_limits, centre in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), middle, strict=True):
        set_limits(centre - half, centre + half)
    axes.set_box_aspect((1, 1, 1), zoom=1.2)
    axes.set_proj_type("ortho")
    axes.set_axis_off()


def _draw_directions(axes: Axes3D, names: tuple[str, str, str], azimuth_deg: float) -> None:
    """Draw where x, y and z point, in the lower left corner."""
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(ELEVATION_DEG)
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    up = np.array([-np.sin(elevation) * np.cos(azimuth), -np.sin(elevation) * np.sin(azimuth), np.cos(elevation)])
    foot = np.array([0.12, 0.13])
    words = {"fontsize": SMALL_POINTS, "color": INK, "ha": "center", "va": "center"}
    for axis, name in enumerate((names[2], names[0], names[1])):
        step = 0.09 * np.array([right[axis], up[axis]])
        arrow = {"arrowstyle": "->", "color": INK, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", foot + step, foot, xycoords="axes fraction", textcoords="axes fraction", arrowprops=arrow)
        axes.text2D(*(foot + 1.35 * step), name, transform=axes.transAxes, **words)
