"""Single particles by name, on a voxel grid: density, diameter and electrons.

A drawn particle has no size in metres: the simulation sets its diameter. Its proportions (aspect, tube, shell, outline)
are drawn; its orientation is not, because every frame draws its own.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core import outlines
from friedel.core.errors import InputError
from friedel.core.polyhedra import Polyhedron
from friedel.spi.particles import bodies
from friedel.spi.particles.blob import blob
from friedel.spi.particles.bodies import Body, ball, capsule, dumbbell, ellipsoid, facetted, filled, torus

Rng: TypeAlias = np.random.Generator
Density: TypeAlias = NDArray[np.float32]

FILL = 0.72
"""Diameter of a particle over the edge of its box."""
SMALLEST_BOX = 16  # voxels an edge: the particle is then 11.5 across


@dataclass(frozen=True, eq=False, kw_only=True)
class Particle:
    """A particle's scattering density on a cubic grid.

    Attributes
    ----------
    name : str
        What it is: one of `PARTICLES`, or the name of the file it came from.
    density : (z, y, x) float32
        Relative electron density, not negative, the origin at index ``n // 2``; n is the same along all axes.
    diameter_voxels : float
        Diameter of the smallest sphere about the origin that holds it.
    voxel_size_angstrom : float or None
        Edge of a voxel where the particle has a size of its own (a molecule, a measured map).
    """

    name: str
    density: Density
    diameter_voxels: float
    voxel_size_angstrom: float | None = None

    def __post_init__(self) -> None:
        shape = self.density.shape
        if len(shape) != 3 or len(set(shape)) != 1:
            raise InputError(f"particle {self.name!r}: the density must be a cube (n, n, n), got shape {shape}")
        if not self.diameter_voxels > 0:
            raise InputError(f"particle {self.name!r}: diameter_voxels must be positive, got {self.diameter_voxels!r}")


def particle(name: str, *, rng: np.random.Generator, n: int = 64) -> Particle:
    """Make a particle of the named kind.

    Parameters
    ----------
    name : str
        One of `PARTICLES`.
    rng : numpy Generator
        Source of its proportions; the same state gives the same particle.
    n : int
        Voxels along each edge of the box. The particle's diameter is `FILL` of it.

    Raises
    ------
    InputError
        If the name is unknown, or the box too small to hold a shape.
    """
    if name not in _MAKERS:
        near = difflib.get_close_matches(name, PARTICLES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(PARTICLES)}"
        raise InputError(f"unknown particle {name!r}; {hint}")
    if n < SMALLEST_BOX:
        raise InputError(f"a particle's box must have at least {SMALLEST_BOX} voxels an edge, got n={n!r}")
    diameter = FILL * n
    return Particle(name=name, density=_MAKERS[name](rng, n, diameter), diameter_voxels=diameter)


def largest_diameter(density: NDArray[np.floating], *, threshold: float = 0.5) -> float:
    """Return the diameter, voxels, of the sphere about index ``n // 2`` that holds all above ``threshold`` × maximum.

    Raises
    ------
    InputError
        If nothing is above zero.
    """
    peak = float(density.max(initial=0.0))
    if not peak > 0:
        raise InputError("the density is nowhere above zero, so there is no particle in it")
    offsets = np.argwhere(density > threshold * peak) - np.array(density.shape) // 2
    return float(2 * np.linalg.norm(offsets, axis=1).max() + 1)


def _solid(make: Callable[[Rng], Body]) -> Callable[[Rng, int, float], Density]:
    return lambda rng, n, diameter: filled(make(rng), n=n, diameter_voxels=diameter)


def _regular(outline: Polyhedron) -> Callable[[Rng, int, float], Density]:
    body = facetted(outline)
    return lambda rng, n, diameter: filled(body, n=n, diameter_voxels=diameter)


def _random_ellipsoid(rng: Rng) -> Body:
    return ellipsoid((1.0, float(rng.uniform(0.45, 0.9)), float(rng.uniform(0.45, 0.9))))


def _random_torus(rng: Rng) -> Body:
    return torus(float(rng.uniform(0.15, 0.7)))


def _random_rod(rng: Rng) -> Body:
    """Return a rod: round with caps, or a prism of four to eight sides with flat ends."""
    aspect, round_one = float(rng.uniform(1.8, 5.0)), bool(rng.random() < 0.5)
    sides = int(rng.integers(4, 9))
    return capsule(aspect) if round_one else facetted(_prism(sides, aspect))


def _random_disc(rng: Rng) -> Body:
    """Return something flat: an oblate ellipsoid, or a plate of four to eight sides."""
    flatness, round_one = float(rng.uniform(0.2, 0.5)), bool(rng.random() < 0.5)
    sides = int(rng.integers(4, 9))
    return ellipsoid((flatness, 1.0, 1.0)) if round_one else facetted(_prism(sides, flatness))


def _random_dumbbell(rng: Rng) -> Body:
    """Return one body with a waist, which is never thinner than 0.6 of its ends: thinner ones look like a pair."""
    return dumbbell(float(rng.uniform(1.0, 1.9)), float(rng.uniform(0.6, 0.95)))


def _prism(sides: int, aspect: float) -> Polyhedron:
    angles = 2 * np.pi * np.arange(sides) / sides
    walls = np.column_stack([np.zeros(sides), np.cos(angles), np.sin(angles)])
    ends = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    return Polyhedron(np.vstack([walls, ends]), np.concatenate([np.ones(sides), np.full(2, aspect)]))


def _tetrahedron() -> Polyhedron:
    """Return a regular tetrahedron whose faces lie at distance 1."""
    normals = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    return Polyhedron(normals, np.ones(4))


def _core_shell(rng: Rng, n: int, diameter: float) -> Density:
    """Return a round or icosahedral shell around an empty, a lighter or a heavier core.

    A third of them is empty inside; the others' core has 0.1 to 3 times the shell's density, drawn on a log scale.
    """
    thickness, empty = float(rng.uniform(0.1, 0.45)), bool(rng.random() < 1 / 3)
    contrast = 0.0 if empty else float(np.exp(rng.uniform(np.log(0.1), np.log(3.0))))
    outlines = [ball(), facetted(bodies.icosahedron(1.0)), facetted(bodies.truncated_icosahedron(1.0))]
    outer, inner = int(rng.integers(3)), int(rng.integers(3))
    shell = filled(outlines[outer], n=n, diameter_voxels=diameter)
    # A core of another outline must stay under the shell's facets, the nearest of which lie at 0.79 of the radius.
    room = 1.0 if outer == inner else 0.79
    core = filled(outlines[inner], n=n, diameter_voxels=diameter * room * (1 - thickness))
    return np.asarray(shell + np.float32(contrast - 1) * core).clip(min=0)


_MAKERS: Mapping[str, Callable[[Rng, int, float], Density]] = {
    "icosahedron": _regular(bodies.icosahedron(1.0)),
    "soccer_ball": _regular(bodies.truncated_icosahedron(1.0)),
    "torus": _solid(_random_torus),
    "sphere": _solid(lambda rng: ball()),
    "ellipsoid": _solid(_random_ellipsoid),
    "cube": _regular(outlines.cube(1.0)),
    "tetrahedron": _regular(_tetrahedron()),
    "octahedron": _regular(outlines.octahedron(1.0)),
    "dodecahedron": _regular(bodies.dodecahedron(1.0)),
    "rod": _solid(_random_rod),
    "disc": _solid(_random_disc),
    "dumbbell": _solid(_random_dumbbell),
    "core_shell": _core_shell,
    "convex": _solid(lambda rng: facetted(outlines.random_convex(rng))),
    "blob": lambda rng, n, diameter: blob(rng, n=n, diameter_voxels=diameter),
}

PARTICLES: tuple[str, ...] = tuple(_MAKERS)
"""Names that `particle` knows."""
