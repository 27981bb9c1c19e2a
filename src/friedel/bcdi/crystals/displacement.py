"""Displacement fields: how far each point of a crystal lies from its ideal lattice.

Every field is a function u(r): positions ``(..., 3)`` to displacements ``(..., 3)``, same unit, same frame. They are
elastic textbook solutions or plain models of relaxation; none solves the elastic problem of the actual crystal.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core.polyhedra import Polyhedron

Floats = NDArray[np.float64]
Displacement: TypeAlias = Callable[[Floats], Floats]

# Isotropic average for polycrystalline gold: the Hill average of its elastic constants c11, c12, c44 = 193, 164, 42 GPa
# gives K = 174, G = 27 GPa, and (3K − 2G) / (6K + 2G) = 0.42.
POISSON_RATIO_GOLD = 0.42


def none(positions: Floats) -> Floats:
    """Return zero everywhere: an ideal lattice."""
    return np.zeros_like(positions)


def combined(*fields: Displacement) -> Displacement:
    """Return the sum of fields."""
    return lambda positions: np.sum([field(positions) for field in fields], axis=0)


def homogeneous(strain: Floats) -> Displacement:
    """Return u = strain @ r for a constant ``(3, 3)`` displacement gradient."""
    return lambda positions: np.asarray(positions @ np.asarray(strain).T)


def smooth(rng: np.random.Generator, *, radius: float, amplitude: float) -> Displacement:
    """Return a smooth random field: quadratic and cubic terms and two to four long waves.

    Parameters
    ----------
    rng : numpy Generator
        Source of chance.
    radius : float
        Half the crystal's size; the waves are 1.5 to 5 radii long.
    amplitude : float
        Typical displacement at that radius.
    """
    quadratic, cubic = rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3, 3, 3)) * rng.uniform(0, 1)
    n_waves = int(rng.integers(2, 5))
    directions = rng.normal(size=(n_waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    vectors = directions * (2 * np.pi / rng.uniform(1.5, 5.0, (n_waves, 1)))
    offsets, polarisation = rng.uniform(0, 2 * np.pi, n_waves), rng.normal(size=(n_waves, 3))

    def field(positions: Floats) -> Floats:
        r = positions / radius
        bend = np.einsum("ijk,...j,...k->...i", quadratic, r, r)
        twist = np.einsum("ijkl,...j,...k,...l->...i", cubic, r, r, r)
        waves = np.sin(r @ vectors.T + offsets) @ polarisation
        return np.asarray(amplitude * (bend + twist + 2 * waves) / 3)

    return field


def surface_relaxation(
    shape: Polyhedron, *, amplitude: float, depth: float, weights: Floats | None = None
) -> Displacement:
    """Return facets drawn inwards by ``amplitude``, falling off with ``exp(−depth below the facet / depth)``.

    ``weights``, one a plane, lets facets differ; a negative one pushes its facet outwards.

    Parameters
    ----------
    shape : Polyhedron
        The outline.
    amplitude : float
        How far a facet moves inwards, in the outline's unit of length.
    depth : float
        Depth below the facet at which the displacement has fallen to 1/e.
    weights : (n_planes,) float64, optional
        Factor of each plane; a negative one pushes its facet outwards.
    """
    shares = np.ones(shape.distances.size) if weights is None else weights

    def field(positions: Floats) -> Floats:
        total = np.zeros_like(positions)
        for normal, distance, share in zip(shape.normals, shape.distances, shares, strict=True):
            below = np.maximum(distance - positions @ normal, 0.0)
            total -= (share * amplitude * np.exp(-below / depth))[..., None] * normal
        return total

    return field


def substrate_pull(
    normal: Floats, distance: float, *, strain: float, decay: float, poisson_ratio: float = POISSON_RATIO_GOLD
) -> Displacement:
    """Return the pull of a substrate that stretches one facet.

    The facet ``normal @ r = distance`` is stretched in its plane by ``strain``, which dies off with
    ``exp(−height/decay)``; the lattice gives way along the normal by the biaxial Poisson contraction 2ν/(1−ν).

    Parameters
    ----------
    normal : (3,) float64
        Unit normal of the facet on the substrate.
    distance : float
        The facet is ``normal @ r = distance``.
    strain : float
        In the facet's plane.
    decay : float
        Height above the facet at which the strain has fallen to 1/e.
    poisson_ratio : float
        ν of the crystal.
    """
    biaxial = 2 * poisson_ratio / (1 - poisson_ratio)

    def field(positions: Floats) -> Floats:
        height = np.maximum(distance - positions @ normal, 0.0)
        in_plane = positions - (positions @ normal)[..., None] * normal
        kept = np.exp(-height / decay)
        sunk = biaxial * strain * decay * (1 - kept)
        return np.asarray(strain * kept[..., None] * in_plane + sunk[..., None] * normal)

    return field


def inclusion(centre: Floats, *, radius: float, misfit: float) -> Displacement:
    """Return the field of a misfitting sphere: u = ε r inside, ε R³ r/r³ outside.

    References
    ----------
    Eshelby, Solid State Phys. 3, 79 (1956); ``misfit`` is the constrained strain ε within the sphere.
    """

    def field(positions: Floats) -> Floats:
        r = positions - centre
        cubed = np.maximum(np.sum(r * r, axis=-1), radius**2) ** 1.5
        return np.asarray(misfit * radius**3 * r / cubed[..., None])

    return field


def screw_dislocation(point: Floats, line: Floats, *, burgers: float) -> Displacement:
    """Return the field of a screw dislocation: u = b θ / 2π along the line.

    Parameters
    ----------
    point, line : (3,) float64
        A point on the line and its unit direction.
    burgers : float
        Length b of the Burgers vector; its sign is the handedness.

    References
    ----------
    Hirth & Lothe, Theory of Dislocations, 2nd ed. (1982), chapter 3; isotropic, infinite medium.
    """
    first, second = _across(line)

    def field(positions: Floats) -> Floats:
        r = positions - point
        angle = np.arctan2(r @ second, r @ first)
        return np.asarray((burgers / (2 * np.pi) * angle)[..., None] * line)

    return field


def edge_dislocation(
    point: Floats, line: Floats, burgers: Floats, *, poisson_ratio: float = POISSON_RATIO_GOLD, core: float = 1.0
) -> Displacement:
    """Return the field of an edge dislocation.

    Parameters
    ----------
    point, line : (3,) float64
        A point on the line and its unit direction.
    burgers : (3,) float64
        Burgers vector, normal to the line.
    poisson_ratio : float
        Of the isotropic medium.
    core : float
        Length below which the logarithm is cut off, same unit as the positions.

    References
    ----------
    Hirth & Lothe, Theory of Dislocations, 2nd ed. (1982), chapter 3; isotropic, infinite medium.
    """
    length = float(np.linalg.norm(burgers))
    along, up = burgers / length, np.cross(line, burgers / length)

    def field(positions: Floats) -> Floats:
        r = positions - point
        x, y = r @ along, r @ up
        squared = np.maximum(x * x + y * y, core**2)
        u_x = np.arctan2(y, x) + x * y / (2 * (1 - poisson_ratio) * squared)
        u_y = -(1 - 2 * poisson_ratio) / (4 * (1 - poisson_ratio)) * np.log(squared)
        u_y -= (x * x - y * y) / (4 * (1 - poisson_ratio) * squared)
        return np.asarray(length / (2 * np.pi) * (u_x[..., None] * along + u_y[..., None] * up))

    return field


def _across(line: Floats) -> tuple[Floats, Floats]:
    helper = np.eye(3)[int(np.argmin(np.abs(line)))]
    first = np.cross(helper, line)
    first /= np.linalg.norm(first)
    return first, np.cross(line, first)
