"""A still 3D picture of a surface, seen from both sides.

Drawn by matplotlib, not by a graphics library: it needs no display and no driver, and looks the same everywhere.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]
from numpy.typing import NDArray

from friedel.plotting.appearance import INK, SMALL_POINTS, TEXT_POINTS, new_figure
from friedel.plotting.mesh import SurfaceMesh

# Azimuths of the two views, degrees about the vertical (laboratory y), and the height of the eye.
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
    """Turn laboratory (x, y, z) so that matplotlib's vertical is y; a cyclic exchange keeps the hand."""
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
