"""Families of strain by name: how each draws its displacement field for a given outline.

A recipe's field has no scale of its own; whoever uses it scales the phase to the range wanted.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.samples import displacement
from friedel.samples.displacement import Displacement
from friedel.samples.polyhedra import Polyhedron

Floats = NDArray[np.float64]
TurningPhase: TypeAlias = Callable[[Floats], Floats]
Recipe: TypeAlias = Callable[[Polyhedron, np.random.Generator], tuple[Displacement, TurningPhase | None]]


def _radius(outline: Polyhedron) -> float:
    return float(outline.extent.mean() / 2)


def _no_strain(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    return displacement.none, None


def _smooth(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    return displacement.smooth(rng, radius=_radius(outline), amplitude=1.0), None


def _surface(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    weights, depth = rng.normal(0.5, 1.0, outline.distances.size), rng.uniform(0.2, 0.7) * _radius(outline)
    return displacement.surface_relaxation(outline, amplitude=1.0, depth=depth, weights=weights), None


def _substrate(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    plane = int(rng.choice(outline.facets))
    decay = rng.uniform(0.3, 1.0) * _radius(outline)
    pull = displacement.substrate_pull(outline.normals[plane], outline.distances[plane], strain=1.0, decay=decay)
    return displacement.combined(pull, displacement.smooth(rng, radius=_radius(outline), amplitude=0.1 * decay)), None


def _inclusion(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    radius = _radius(outline)
    centre = rng.uniform(-0.3, 0.3, 3) * outline.extent / 2
    core = displacement.inclusion(centre, radius=rng.uniform(0.25, 0.5) * radius, misfit=1.0)
    return displacement.combined(core, displacement.smooth(rng, radius=radius, amplitude=0.03 * radius)), None


def _dislocated(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    line = rng.normal(size=3)
    line /= np.linalg.norm(line)
    # With h·b = 2π the phase turns once round the line: the unit screw, projected on itself, times 2π.
    screw = displacement.screw_dislocation(rng.uniform(-0.2, 0.2, 3) * outline.extent, line, burgers=1.0)
    return displacement.smooth(rng, radius=_radius(outline), amplitude=1.0), lambda r: 2 * np.pi * (screw(r) @ line)


STRAINS: Mapping[str, Recipe] = {
    "smooth": _smooth,
    "surface": _surface,
    "substrate": _substrate,
    "inclusion": _inclusion,
    "none": _no_strain,
    "dislocation": _dislocated,
}
"""Families of strain by name; each gives the scaled field and, for a dislocation, a phase that is never scaled."""

UNDISLOCATED = ["smooth", "surface", "substrate", "inclusion"]
"""Families drawn when none is named."""
