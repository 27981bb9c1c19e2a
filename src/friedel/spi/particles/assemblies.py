"""Particles built of many small lumps: capsids, globular chains, helical rods.

They aren't among `PARTICLES`, so that a classifier trained on those can be tested on shapes it has never seen.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from friedel.core.errors import InputError
from friedel.spi.particles.atomic_density import shared_out
from friedel.spi.particles.particle import FILL, SMALLEST_BOX, Particle

Floats = NDArray[np.float64]
Rng: TypeAlias = np.random.Generator
Lumps: TypeAlias = tuple[Floats, Floats]

LUMP = 0.07
"""Width (standard deviation) of a lump over the particle's radius."""


def assembly(name: str, *, rng: np.random.Generator, n: int = 64) -> Particle:
    """Make a particle of the named kind out of lumps.

    Parameters
    ----------
    name : str
        One of `ASSEMBLIES`.
    rng : numpy Generator
        Source of the lumps' places; the same state gives the same particle.
    n : int
        Voxels along each edge of the box. The particle's diameter is `FILL` of it.

    Raises
    ------
    InputError
        If the name is unknown, or the box too small.
    """
    if name not in _MAKERS:
        near = difflib.get_close_matches(name, ASSEMBLIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(ASSEMBLIES)}"
        raise InputError(f"unknown assembly {name!r}; {hint}")
    if n < SMALLEST_BOX:
        raise InputError(f"a particle's box must have at least {SMALLEST_BOX} voxels an edge, got n={n!r}")
    places, weights = _MAKERS[name](rng)
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    reach = float(np.linalg.norm(places - middle, axis=1).max())
    radius = FILL * n / 2
    sigma = LUMP * radius
    # Three widths of a lump lie beyond the outermost lump's centre; it is cut to zero where they end.
    grid = shared_out((places - middle) * (radius - 3 * sigma) / reach, weights, n)
    density = gaussian_filter(grid, sigma, truncate=2.0, mode="constant")
    return Particle(name=name, density=(density / density.max()).astype(np.float32), diameter_voxels=FILL * n)


def _capsid(rng: Rng) -> Lumps:
    """Return three to nine lumps near the surface, repeated by the sixty rotations of the icosahedron: a virus' shell.

    Half of the capsids hold a core of lumps in no order, as a genome.
    """
    count = int(rng.integers(3, 10))
    own = rng.normal(size=(count, 3))
    own *= rng.uniform(0.8, 1.0, (count, 1)) / np.linalg.norm(own, axis=1, keepdims=True)
    shell = np.concatenate([turn.apply(own) for turn in Rotation.create_group("I")])
    weights = np.tile(rng.uniform(0.5, 1.5, count), 60)
    if rng.random() < 0.5:
        return shell, weights
    core = rng.normal(size=(400, 3))
    core *= rng.uniform(0.3, 0.7) * rng.random((400, 1)) ** (1 / 3) / np.linalg.norm(core, axis=1, keepdims=True)
    return np.concatenate([shell, core]), np.concatenate([weights, np.full(400, rng.uniform(0.2, 1.0))])


def _chain(rng: Rng) -> Lumps:
    """Return a random walk that is drawn back to its beginning: a globular protein, lobed and of no symmetry."""
    count, pull = int(rng.integers(150, 500)), rng.uniform(0.01, 0.06)
    steps = rng.normal(size=(count, 3))
    places = np.zeros((count, 3))
    for k in range(1, count):
        places[k] = (1 - pull) * places[k - 1] + steps[k]
    return places, np.ones(count)


def _helix(rng: Rng) -> Lumps:
    """Return lumps along a helix: a filamentous virus or a bundle, hollow along its axis, two to five times as long."""
    aspect, per_turn = rng.uniform(2.0, 5.0), rng.uniform(8.0, 17.0)
    turns = 2 * aspect / rng.uniform(0.25, 0.6)
    angle = 2 * np.pi * np.arange(0.0, turns, 1 / per_turn)
    along = np.linspace(-aspect, aspect, angle.size)
    bent = rng.uniform(0.0, 0.3) * (along / aspect) ** 2 * aspect
    return np.column_stack([along, np.cos(angle) + bent, np.sin(angle)]), np.ones(angle.size)


_MAKERS: Mapping[str, Callable[[Rng], Lumps]] = {"capsid": _capsid, "chain": _chain, "helix": _helix}

ASSEMBLIES: tuple[str, ...] = tuple(_MAKERS)
"""Names that `assembly` knows."""
