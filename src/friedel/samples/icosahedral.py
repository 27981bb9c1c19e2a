"""Regular bodies of icosahedral symmetry: the outlines of many viruses, and of the soccer ball.

Only outlines, about the origin, five-fold axes along (0, ±1, ±φ) and its cyclic permutations, φ the golden ratio.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from friedel.samples.polyhedra import Polyhedron

Floats = NDArray[np.float64]

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
