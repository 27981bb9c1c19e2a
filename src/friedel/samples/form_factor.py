"""The exact Fourier transform of a polyhedron: the truth that voxel models are tested against.

No absorption, no strain, no atoms: a body of density one.
"""

import numpy as np
from numpy.typing import NDArray

from friedel.samples.polyhedra import Polyhedron

Floats = NDArray[np.float64]
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
