"""Icosahedra stretched and carved: bodies of any elongation, hollow ones and rings, that no other shape is needed for.

A network that saw regular icosahedra alone takes any body that differs from a ball for two. But what tells one body
from two isn't its shape: the autocorrelation of one ends at its diameter, without a gap. Stretching changes the outline
by a linear map, carving takes another icosahedron out of the middle; neither makes two bodies of one.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from friedel.spi.particles.bodies import Body, facetted, filled, icosahedron
from friedel.spi.particles.particle import FILL, Particle

PLAIN, CARVED = 0.25, 0.6
"""Shares of regular icosahedra, and of the others that are carved."""
_FLATTEST = 0.3  # shortest axis over the longest, of those stretched: about 1 : 3, beyond which bodies are rare
# Radius of what is carved out, relative to the whole; below 0.79, where the facets are, the body stays one.
_HOLES = (0.15, 0.75)
_THROUGH = 4.0  # length of what is carved out over its width, where it passes through the whole body
# Shares of those carved that are pierced rather than hollow, and whose hollow keeps some density, at most a half.
_PIERCED, _WITH_CORE, _DENSEST_CORE = 0.7, 0.3, 0.5


def carved_icosahedron(rng: np.random.Generator, *, n: int = 64) -> Particle:
    """Return an icosahedron: regular, or stretched along two axes, hollow, or pierced.

    Parameters
    ----------
    rng : numpy Generator
        Source of its proportions; the same state gives the same particle.
    n : int
        Voxels along each edge of the box. The particle's diameter is `FILL` of it, less where a bore takes its tips.
    """
    whole, diameter = icosahedron(1.0), FILL * n
    if rng.random() < PLAIN:
        regular = filled(facetted(whole), n=n, diameter_voxels=diameter)
        return Particle(name="icosahedron", density=regular, diameter_voxels=diameter)
    axes = Rotation.random(random_state=rng).as_matrix()
    lengths = np.array([1.0, *np.exp(rng.uniform(np.log(_FLATTEST), 0, 2))])
    stretch = axes @ np.diag(lengths) @ axes.T
    outer = facetted(whole.transformed(stretch))
    density = filled(outer, n=n, diameter_voxels=diameter)
    if rng.random() < CARVED:
        hole, through = rng.uniform(*_HOLES), _THROUGH if rng.random() < _PIERCED else 1.0
        bore = np.diag(hole * (1 + (through - 1) * np.eye(3)[rng.integers(3)]))
        inner = facetted(whole.transformed(stretch @ axes @ bore @ axes.T))
        rest = Body(lambda r: np.minimum(outer.depth(r), -inner.depth(r)), outer.radius)
        left = _DENSEST_CORE * rng.random() if rng.random() < _WITH_CORE else 0.0
        density = np.float32(left) * density + np.float32(1 - left) * filled(rest, n=n, diameter_voxels=diameter)
    return Particle(name="carved icosahedron", density=density, diameter_voxels=diameter)
