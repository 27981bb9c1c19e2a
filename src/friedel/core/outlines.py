"""Outlines of crystals and particles: textbook polyhedra, Wulff shapes, and random ones of several families."""

from collections.abc import Callable, Mapping
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.core.polyhedra import Polyhedron

Floats = NDArray[np.float64]


def family(indices: tuple[int, int, int]) -> Floats:
    """Return the unit normals of all planes equivalent to ``{hkl}`` in a cubic crystal, ``(n, 3)``."""
    signed = {
        tuple(s * i for s, i in zip(signs, order, strict=True))
        for order in permutations(indices)
        for signs in product((1, -1), repeat=3)
    }
    planes = np.array(sorted(signed), dtype=float)
    return np.asarray(planes / np.linalg.norm(planes, axis=1, keepdims=True))


def wulff(energies: dict[tuple[int, int, int], float]) -> Polyhedron:
    """Return the Wulff shape of a cubic crystal.

    Parameters
    ----------
    energies : dict
        Distance of each family of planes from the centre, proportional to its surface energy:
        ``{(1, 1, 1): 1.0, (1, 0, 0): 1.15}``.

    References
    ----------
    Wulff, Z. Kristallogr. 34, 449 (1901).
    """
    normals = [family(indices) for indices in energies]
    distances = [np.full(len(n), d) for n, d in zip(normals, energies.values(), strict=True)]
    return Polyhedron(np.concatenate(normals), np.concatenate(distances))


def cube(edge: float) -> Polyhedron:
    """Return a cube of the given edge."""
    return wulff({(1, 0, 0): edge / 2})


def octahedron(edge: float) -> Polyhedron:
    """Return a regular octahedron of the given edge."""
    return wulff({(1, 1, 1): edge / np.sqrt(6)})


def cuboctahedron(edge: float) -> Polyhedron:
    """Return a cuboctahedron of the given edge."""
    return wulff({(1, 0, 0): edge / np.sqrt(2), (1, 1, 1): edge * np.sqrt(2 / 3)})


def truncated_octahedron(edge: float) -> Polyhedron:
    """Return a regular truncated octahedron of the given edge."""
    return wulff({(1, 0, 0): edge * np.sqrt(2), (1, 1, 1): edge * np.sqrt(3 / 2)})


def random_wulff(rng: np.random.Generator) -> Polyhedron:
    """Return a face-centred cubic crystal with {111}, {100} and {110} facets, no two of a family alike.

    Distances scatter about those of a common truncated shape, as growth does: some facets vanish, some dominate.
    """
    mean = {(1, 1, 1): 1.0, (1, 0, 0): rng.uniform(0.95, 1.35), (1, 1, 0): rng.uniform(1.05, 1.4)}
    shape = wulff(mean)
    spread = rng.uniform(0.0, 0.25)
    distances = shape.distances * rng.uniform(1 - spread, 1 + spread, shape.distances.size)
    return Polyhedron(shape.normals, distances).centred()


def random_supported(rng: np.random.Generator) -> Polyhedron:
    """Return a random face-centred cubic crystal cut by a substrate: a Winterbottom shape.

    References
    ----------
    Winterbottom, Acta Metall. 15, 303 (1967).
    """
    shape = random_wulff(rng)
    normal = rng.choice(family((1, 1, 1)))
    cut = rng.uniform(0.15, 0.7) * float((shape.vertices @ normal).max())
    return Polyhedron(np.vstack([shape.normals, normal]), np.append(shape.distances, cut)).centred()


def random_convex(rng: np.random.Generator, *, n_planes: int = 0) -> Polyhedron:
    """Return a polyhedron bounded by random planes.

    Parameters
    ----------
    rng : numpy Generator
        Source of chance.
    n_planes : int
        Planes to draw beside the six of a loose box that keeps it bounded; 0 draws 8 to 20.
    """
    count = n_planes or int(rng.integers(8, 21))
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    box = family((1, 0, 0))
    distances = np.concatenate([rng.uniform(0.75, 1.2, count), np.full(6, 1.35)])
    return Polyhedron(np.vstack([normals, box]), distances).centred()


def random_prism(rng: np.random.Generator) -> Polyhedron:
    """Return a flat or long prism with three to eight sides, corners cut at random: platelets and rods."""
    n_sides, height = int(rng.integers(3, 9)), float(np.exp(rng.uniform(np.log(0.4), np.log(2.0))))
    angles = 2 * np.pi * (np.arange(n_sides) + rng.uniform(-0.15, 0.15, n_sides)) / n_sides
    sides = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(n_sides)])
    ends = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    distances = np.concatenate([rng.uniform(0.8, 1.2, n_sides), np.full(2, height)])
    return Polyhedron(np.vstack([sides, ends]), distances).centred()


def rotated(shape: Polyhedron, rng: np.random.Generator) -> Polyhedron:
    """Return the polyhedron in a random orientation."""
    return shape.transformed(Rotation.random(random_state=rng).as_matrix())


SHAPES: Mapping[str, Callable[[np.random.Generator], Polyhedron]] = {
    "wulff": random_wulff,
    "supported": random_supported,
    "convex": random_convex,
    "prism": random_prism,
    "cube": lambda rng: cube(1.0),
    "octahedron": lambda rng: octahedron(1.0),
    "cuboctahedron": lambda rng: cuboctahedron(1.0),
    "truncated octahedron": lambda rng: truncated_octahedron(1.0),
}
"""Families of outlines by name."""
