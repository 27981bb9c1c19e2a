"""What crystals a run draws: metals, sizes, families of outlines, strain and defects."""

from collections.abc import Callable, Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from friedel.bcdi.crystals.fcc import METALS
from friedel.core.errors import InputError
from friedel.core.options import Options
from friedel.core.outlines import SHAPES, random_wulff
from friedel.core.polyhedra import Polyhedron

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


Chance = Annotated[float, Field(ge=0, le=1)]


class CrystalRunOptions(Options):
    """Ranges from which every crystal of a run is drawn."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Decides, with a crystal's number, everything random in it."""
    metals: Annotated[tuple[str, ...], Field(min_length=1)] = ("Au",)
    """Au, Ag, Cu, Ni, Pd, Pt; each crystal is of one of them."""
    shapes: Annotated[tuple[str, ...], Field(min_length=1)] = tuple(OUTLINES)
    """Families of outlines."""
    atoms: Annotated[int, Field(ge=200, le=2_000_000)] = 25_000
    """Atoms in a crystal, about; one that would not fit its box is made smaller."""
    voxels: Annotated[int, Field(ge=12, le=256)] = 32
    """Edge of the box that holds a crystal, in voxels of one lattice constant."""
    max_strain: Annotated[float, Field(ge=0, le=0.08)] = 0.03
    """Largest component of a deformation, drawn from zero up: compression, tension or shear."""
    held_chances: tuple[Chance, Chance, Chance, Chance] = (0.15, 0.35, 0.3, 0.2)
    """Relative chances that none, one, two or three facets are held: free, on a substrate, between neighbours."""
    max_vacancies: Annotated[float, Field(ge=0, le=0.05)] = 0.003
    """Largest share of atoms missing inside."""
    twin: Chance = 0.1
    """Chance of a {111} twin boundary."""
    stacking_fault: Chance = 0.1
    """Chance of an intrinsic stacking fault."""
    dislocation: Chance = 0.1
    """Chance of a dislocation, edge or screw, with a Burgers vector ½⟨110⟩."""
    steps: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (20, 120)
    """Fewest and most steps of minimisation; few leave long-waved strain behind."""
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Longest time one relaxation may take; after it the crystal counts as failed."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        for what, names, known in (("metal", self.metals, METALS), ("shape", self.shapes, OUTLINES)):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise ValueError(f"unknown {what}(s) {', '.join(unknown)}; choose from: {', '.join(known)}")
        if sum(self.held_chances) == 0:
            raise ValueError("held_chances are all zero; give at least one of them a share")
        if self.steps[0] > self.steps[1]:
            raise ValueError(f"steps: fewest ({self.steps[0]}) exceeds most ({self.steps[1]})")
        return self
