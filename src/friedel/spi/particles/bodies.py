"""Solid bodies as a depth below their surface, and their voxels: what single particles are carved from.

Smooth bodies are written here, facetted ones come from `polyhedra`. All are solid and of density one; `particle` gives
them names, random proportions, cores and shells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.polyhedra import Polyhedron

Floats = NDArray[np.float64]

SUBDIVISIONS = 2
"""Points per voxel edge at which a voxel on the surface is tried; each then takes a linear share of its part."""


@dataclass(frozen=True, eq=False)
class Body:
    """A solid about the origin.

    Attributes
    ----------
    depth : function
        Positions ``(n, 3)`` to the distance below the surface ``(n,)``: positive inside, negative outside, and right to
        first order close to the surface. Same unit of length as the positions.
    radius : float
        Radius of the smallest sphere about the origin that holds the body.
    """

    depth: Callable[[Floats], Floats]
    radius: float


def ball() -> Body:
    """Return a sphere of radius 1."""
    return Body(lambda r: 1.0 - np.linalg.norm(r, axis=-1), 1.0)


def ellipsoid(semi_axes: tuple[float, float, float]) -> Body:
    """Return an ellipsoid; its depth is f/|∇f| of f = 1 − |r/a|, exact at the surface only."""
    axes = np.asarray(semi_axes, dtype=float)

    def depth(r: Floats) -> Floats:
        scaled = r / axes
        length = np.maximum(np.linalg.norm(scaled, axis=-1), 1e-6)
        slope = np.maximum(np.linalg.norm(scaled / axes, axis=-1) / length, 1e-6)
        return np.asarray((1.0 - length) / slope)

    return Body(depth, float(axes.max()))


def torus(tube: float) -> Body:
    """Return a torus about the first axis: a ring of radius 1, ``tube`` the radius of its cross-section."""

    def depth(r: Floats) -> Floats:
        from_ring = np.hypot(np.hypot(r[..., 1], r[..., 2]) - 1.0, r[..., 0])
        return np.asarray(tube - from_ring)

    return Body(depth, 1.0 + tube)


def capsule(aspect: float) -> Body:
    """Return a cylinder of radius 1 along the first axis with round caps; ``aspect`` is whole length over width."""
    half_line = max(aspect - 1.0, 0.0)

    def depth(r: Floats) -> Floats:
        beyond = r[..., 0] - np.clip(r[..., 0], -half_line, half_line)
        return np.asarray(1.0 - np.sqrt(beyond**2 + r[..., 1] ** 2 + r[..., 2] ** 2))

    return Body(depth, 1.0 + half_line)


def dumbbell(apart: float, neck: float) -> Body:
    """Return two balls of radius 1 joined by a cylinder along the first axis: one body with a waist.

    Parameters
    ----------
    apart : float
        Distance of the balls' centres.
    neck : float
        Radius of the cylinder between them, at most 1.
    """
    half = apart / 2

    def depth(r: Floats) -> Floats:
        across, along = np.hypot(r[..., 1], r[..., 2]), np.abs(r[..., 0])
        balls = 1.0 - np.hypot(across, along - half)
        return np.asarray(np.maximum(balls, np.minimum(neck - across, half - along)))

    return Body(depth, 1.0 + half)


def facetted(outline: Polyhedron) -> Body:
    """Return a convex polyhedron as a body."""
    return Body(outline.depth, float(np.linalg.norm(outline.vertices, axis=1).max()))


def filled(body: Body, *, n: int, diameter_voxels: float) -> NDArray[np.float32]:
    """Return the share of each voxel that lies inside the body.

    Parameters
    ----------
    body : Body
        The solid; it is scaled so that the sphere that holds it has the wanted diameter.
    n : int
        Voxels along each edge of the box.
    diameter_voxels : float
        Diameter of the sphere about the centre that holds the body.

    Returns
    -------
    (z, y, x) float32
        0 outside to 1 inside; the origin is at index ``n // 2``. A body's components go in array order.

    Raises
    ------
    InputError
        If the body doesn't fit the box.
    """
    if not 0 < diameter_voxels <= n - 2:
        raise InputError(f"a body of {diameter_voxels!r} voxels doesn't fit a box of {n}; at most {n - 2} fit")
    scale = 2 * body.radius / diameter_voxels
    near, positions = _within(n, diameter_voxels)
    depth = body.depth(positions * scale) / scale
    share = np.clip(depth + 0.5, 0.0, 1.0)
    surface = np.abs(depth) < 1.5  # √3/2 for the voxel's corner, and room for a depth of first order
    share[surface] = _share(body, positions[surface], scale)
    density = np.zeros(n**3, dtype=np.float32)
    density[near] = share
    return density.reshape(n, n, n)


def _share(body: Body, positions: Floats, scale: float) -> Floats:
    ticks = (np.arange(SUBDIVISIONS) + 0.5) / SUBDIVISIONS - 0.5
    parts = [body.depth((positions + np.array(offset)) * scale) / scale for offset in product(ticks, repeat=3)]
    return np.asarray(np.mean([np.clip(SUBDIVISIONS * part + 0.5, 0.0, 1.0) for part in parts], axis=0))


@lru_cache(maxsize=4)
def _within(n: int, diameter_voxels: float) -> tuple[NDArray[np.int64], Floats]:
    """Return the flat indices and the positions of the voxels that a body of this diameter can touch."""
    ticks = np.arange(n, dtype=np.float64) - n // 2
    squared = ticks[:, None, None] ** 2 + ticks[:, None] ** 2 + ticks**2
    index = np.flatnonzero(squared <= (diameter_voxels / 2 + 1.0) ** 2)
    return index, np.stack([ticks[axis] for axis in np.unravel_index(index, (n, n, n))], axis=-1)


GOLDEN = (1 + np.sqrt(5)) / 2


def five_fold() -> Floats:
    """Return the unit vectors of the five-fold axes, ``(12, 3)``: corners of an icosahedron, a dodecahedron's faces."""
    return _with_cyclic([(0.0, first, second * GOLDEN) for first, second in product((1, -1), repeat=2)])


def three_fold() -> Floats:
    """Return the unit vectors of the three-fold axes, ``(20, 3)``: faces of an icosahedron."""
    diagonal = np.array(list(product((1.0, -1.0), repeat=3))) / np.sqrt(3)
    others = [(0.0, first * GOLDEN, second / GOLDEN) for first, second in product((1, -1), repeat=2)]
    return np.vstack([diagonal, _with_cyclic(others)])


def icosahedron(edge: float) -> Polyhedron:
    """Return a regular icosahedron of the given edge."""
    normals = three_fold()
    return Polyhedron(normals, np.full(len(normals), edge * GOLDEN**2 / (2 * np.sqrt(3))))


def dodecahedron(edge: float) -> Polyhedron:
    """Return a regular dodecahedron of the given edge."""
    normals = five_fold()
    return Polyhedron(normals, np.full(len(normals), edge * GOLDEN**2 / (2 * np.sqrt(3 - GOLDEN))))


def truncated_icosahedron(edge: float) -> Polyhedron:
    """Return a soccer ball of the given edge: an icosahedron of three times the edge, its corners cut off.

    The cut goes through the points a third of the way along each edge from the corner. A corner lies at R from the
    centre, its neighbours at R/√5 along the same axis, so the cut lies at R (2/3 + 1/(3√5)).
    """
    whole = icosahedron(3 * edge)
    corner = 3 * edge * np.sqrt(GOLDEN * np.sqrt(5)) / 2
    normals = five_fold()
    cuts = np.full(len(normals), corner * (2 + 1 / np.sqrt(5)) / 3)
    return Polyhedron(np.vstack([whole.normals, normals]), np.concatenate([whole.distances, cuts]))


def _with_cyclic(vectors: list[tuple[float, float, float]]) -> Floats:
    turned = np.concatenate([np.roll(np.array(vectors), shift, axis=1) for shift in range(3)])
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))
