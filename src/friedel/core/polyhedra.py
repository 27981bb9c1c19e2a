"""Convex polyhedra as half-spaces, and their exact Fourier transform.

Only geometry: what is inside, corners, faces, volume, and how much of a voxel is filled; the outlines themselves are in
`friedel.core.outlines`.
Lengths are in whatever unit the caller uses; a vector's three components mean whatever the caller's positions mean.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, HalfspaceIntersection

from friedel.core.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """The points r with ``normals @ r <= distances``: convex, bounded, with the origin inside.

    Attributes
    ----------
    normals : (n_planes, 3) float64
        Outward unit normals. Planes that cut nothing off are allowed.
    distances : (n_planes,) float64
        Distance of each plane from the origin, positive.
    """

    normals: Floats
    distances: Floats

    def __post_init__(self) -> None:
        if self.normals.ndim != 2 or self.normals.shape != (self.distances.size, 3):
            raise InputError(f"polyhedron: normals {self.normals.shape} don't fit distances {self.distances.shape}")
        if not np.all(self.distances > 0):
            raise InputError(f"polyhedron: the origin must lie inside; smallest distance is {self.distances.min()!r}")

    @cached_property
    def vertices(self) -> Floats:
        """Corners, ``(n_vertices, 3)``."""
        halfspaces = np.column_stack([self.normals, -self.distances])
        points = HalfspaceIntersection(halfspaces, np.zeros(3)).intersections
        points = points[np.all(np.isfinite(points), axis=1)]
        decimals = 9 - int(np.ceil(np.log10(np.abs(points).max())))
        return np.asarray(np.unique(np.round(points, decimals), axis=0))

    @cached_property
    def facets(self) -> list[int]:
        """Numbers of the planes that bound a face; the others cut nothing off."""
        return [k for k in range(self.distances.size) if self._on_plane(k).sum() >= 3]

    @cached_property
    def faces(self) -> list[Floats]:
        """Corners of each of `facets`, ``(n_corners, 3)``, anticlockwise seen from outside."""
        return [_anticlockwise(self.vertices[self._on_plane(k)], self.normals[k]) for k in self.facets]

    def _on_plane(self, k: int) -> NDArray[np.bool_]:
        tolerance = 1e-7 * float(np.abs(self.vertices).max())
        return np.asarray(np.abs(self.vertices @ self.normals[k] - self.distances[k]) < tolerance)

    @property
    def volume(self) -> float:
        """Volume, in the unit of length cubed."""
        return float(ConvexHull(self.vertices).volume)

    @property
    def extent(self) -> Floats:
        """Size of the bounding box along the three axes, ``(3,)``."""
        return np.asarray(np.ptp(self.vertices, axis=0))

    def depth(self, positions: Floats) -> Floats:
        """Return how far each position ``(..., 3)`` lies below the nearest plane; negative outside, ``(...)``."""
        deepest = np.full(positions.shape[:-1], np.inf)
        for normal, distance in zip(self.normals, self.distances, strict=True):
            np.minimum(deepest, distance - positions @ normal, out=deepest)
        return deepest

    def transformed(self, matrix: Floats) -> "Polyhedron":
        """Return the polyhedron after the linear map ``r -> matrix @ r``, ``(3, 3)`` and invertible."""
        normals = self.normals @ np.linalg.inv(matrix)
        lengths = np.linalg.norm(normals, axis=1)
        return Polyhedron(normals / lengths[:, None], self.distances / lengths)

    def shifted(self, offset: Floats) -> "Polyhedron":
        """Return the polyhedron moved by ``offset``, ``(3,)``."""
        return Polyhedron(self.normals, self.distances + self.normals @ offset)

    def centred(self) -> "Polyhedron":
        """Return the polyhedron with the middle of its bounding box at the origin."""
        return self.shifted(-(self.vertices.max(axis=0) + self.vertices.min(axis=0)) / 2)


def _anticlockwise(corners: Floats, normal: Floats) -> Floats:
    across = corners - corners.mean(axis=0)
    first = across[0] / np.linalg.norm(across[0])
    second = np.cross(normal, first)
    return np.asarray(corners[np.argsort(np.arctan2(across @ second, across @ first))])


def coverage(shape: Polyhedron, positions: Floats, steps: Floats, *, subdivisions: int = 4) -> Floats:
    """Return the share of each voxel that lies inside.

    Parameters
    ----------
    shape : Polyhedron
        The outline.
    positions : (..., 3) float64
        Voxel centres.
    steps : (3, 3) float64
        Rows are the voxel's edges, which need not be orthogonal.
    subdivisions : int
        Points per edge at which voxels on the surface are tried; 1 gives a binary outline.

    Returns
    -------
    (...) float64
        0 outside to 1 inside.
    """
    depth = shape.depth(positions)
    share = (depth >= 0).astype(np.float64)
    if subdivisions == 1:
        return share
    reach = max(np.linalg.norm(np.asarray(signs) @ steps) for signs in product((-0.5, 0.5), repeat=3))
    near = np.abs(depth) <= reach
    ticks = (np.arange(subdivisions) + 0.5) / subdivisions - 0.5
    offsets = np.array(list(product(ticks, repeat=3))) @ steps
    share[near] = np.mean([shape.depth(positions[near] + offset) >= 0 for offset in offsets], axis=0)
    return share


Complexes = NDArray[np.complex128]


def form_factor(shape: Polyhedron, q: Floats, *, small: float = 1e-4) -> Complexes:
    """Return ∫ exp(−i q·r) d³r over a polyhedron.

    The divergence theorem turns the volume into faces and the faces into edges:
    F = (i/q²) Σ_faces (q·n) F_face, and F_face = exp(−i q_n d) (i/q_∥²) Σ_edges (q·m) L sinc(q·E) exp(−i q·R),
    with n the face's normal, m the edge's normal within the face, L, 2E and R its length, vector and midpoint.

    Parameters
    ----------
    shape : Polyhedron
        The body.
    q : (..., 3) float64
        Scattering vectors, 1/length. Where ``|q|`` times the size falls under ``small`` the leading terms are used.
    small : float
        Below this phase difference across the body, or across a face, the limit replaces the singular quotient.

    Returns
    -------
    (...) complex128
        In the unit of length cubed; F(0) is the volume.

    References
    ----------
    Wuttke, J. Appl. Cryst. 54, 580 (2021), up to the sign of the exponent.
    """
    size = float(np.abs(shape.vertices).max())
    q_squared = np.sum(q * q, axis=-1)
    safe = np.where(q_squared * size**2 < small**2, 1.0, q_squared)
    total = np.zeros(q.shape[:-1], dtype=np.complex128)
    for corners in shape.faces:
        normal = _normal(corners)
        total += (q @ normal) * _face(corners, normal, q, small / size)
    return np.where(q_squared * size**2 < small**2, shape.volume, 1j * total / safe)


def _normal(corners: Floats) -> Floats:
    vector = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    return np.asarray(vector / np.linalg.norm(vector))


def _face(corners: Floats, normal: Floats, q: Floats, q_small: float) -> Complexes:
    """Return ∫ exp(−i q·r) dS over one face."""
    in_plane = q - (q @ normal)[..., None] * normal
    squared = np.sum(in_plane * in_plane, axis=-1)
    flat = squared < q_small**2
    total = np.zeros(q.shape[:-1], dtype=np.complex128)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, middle = end - start, (start + end) / 2
        outward = np.cross(edge, normal)  # length L, pointing out of the face
        total += (q @ outward) * np.sinc(q @ edge / (2 * np.pi)) * np.exp(-1j * (q @ middle))
    area, centroid = _area_and_centroid(corners, normal)
    limit = area * np.exp(-1j * (q @ centroid))
    return np.where(flat, limit, 1j * total / np.where(flat, 1.0, squared))


def _area_and_centroid(corners: Floats, normal: Floats) -> tuple[float, Floats]:
    first, second, third = corners[0], corners[1:-1], corners[2:]
    areas = np.cross(second - first, third - first) @ normal / 2
    centroids = (first + second + third) / 3
    return float(areas.sum()), np.asarray(areas @ centroids / areas.sum())
