"""Outlines of the crystals that are simulated atom by atom: cubic facets, random planes, both together."""

from collections.abc import Callable, Mapping

import numpy as np

from friedel.base.errors import InputError
from friedel.samples.polyhedra import Polyhedron
from friedel.samples.shapes import SHAPES, random_wulff

MARGIN_VOXELS = 4
"""Voxels of a box that stay outside the crystal along every axis, together: room for relaxation and the kernel."""


def random_clipped(rng: np.random.Generator) -> Polyhedron:
    """Return a crystal with {111}, {100} and {110} facets, clipped by one to five planes of any direction."""
    shape = random_wulff(rng)
    normals = rng.normal(size=(int(rng.integers(1, 6)), 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    cuts = (shape.vertices @ normals.T).max(axis=0) * rng.uniform(0.5, 0.9, len(normals))
    return Polyhedron(np.vstack([shape.normals, normals]), np.append(shape.distances, cuts)).centred()


OUTLINES: Mapping[str, Callable[[np.random.Generator], Polyhedron]] = {
    "clipped": random_clipped,
    **{name: SHAPES[name] for name in ("wulff", "supported", "convex", "truncated octahedron", "cuboctahedron")},
}
"""Families of outlines by name, along cubic axes; most of them are drawn as growth and contacts leave them."""


def outline_of(name: str, rng: np.random.Generator, *, volume: float, longest: float) -> Polyhedron:
    """Return an outline of the named family.

    Parameters
    ----------
    name : str
        Key of `OUTLINES`.
    rng : numpy Generator
        Source of chance.
    volume : float
        Its volume, unless it would be too long.
    longest : float
        Largest extent along the cubic axes.

    Raises
    ------
    InputError
        If the family is unknown.
    """
    if name not in OUTLINES:
        raise InputError(f"unknown shape family {name!r}; choose one of: {', '.join(OUTLINES)}")
    outline = OUTLINES[name](rng).centred()
    factor = min((volume / outline.volume) ** (1 / 3), longest / float(outline.extent.max()))
    return outline.transformed(np.eye(3) * factor).centred()
