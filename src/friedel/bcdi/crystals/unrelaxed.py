"""A crystal of atoms before relaxation: outline, defects, deformation, what is held; all from a seed and a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals import defects
from friedel.bcdi.crystals.fcc import ATOMS_PER_CELL, METALS, Metal, lattice_sites
from friedel.bcdi.crystals.options import MARGIN_VOXELS, CrystalRunOptions, outline_of
from friedel.core.errors import InputError
from friedel.core.polyhedra import Polyhedron

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rng = np.random.Generator

HELD_THICKNESS_ANGSTROM = 6.0
"""Atoms this near to a held facet stay where they are: beyond the reach of the potentials, as a stiff substrate is."""
FEWEST_ATOMS = 100  # a crystal of fewer is three cells wide, nearly all surface: no lattice can be fitted to it


@dataclass(frozen=True, eq=False, kw_only=True)
class UnrelaxedCrystal:
    """Atoms and where they belong, along the cubic axes ``(x, y, z)``, Å.

    Attributes
    ----------
    metal : Metal
        What it is made of.
    sites : (n, 3) float64
        Sites of the ideal lattice.
    positions : (n, 3) float64
        Where the atoms begin.
    parent : (n,) bool
        False for atoms of a twin, whose lattice is another.
    held : (n,) bool
        Atoms that don't move.
    steps : int
        Steps of minimisation to take.
    history : mapping of str
        How it was made, as plain values.
    """

    metal: Metal
    sites: Floats
    positions: Floats
    parent: Flags
    held: Flags
    steps: int
    history: Mapping[str, Any]


def crystal_rng(options: CrystalRunOptions, number: int) -> Rng:
    """Return the source of chance of one crystal of a run."""
    return np.random.default_rng([options.seed, number])


def draw_outline(options: CrystalRunOptions, rng: Rng) -> tuple[Metal, str, Polyhedron]:
    """Draw a metal, the name of a family of outlines, and an outline in Å that fits the options' box."""
    metal = METALS[options.metals[int(rng.integers(len(options.metals)))]]
    name = options.shapes[int(rng.integers(len(options.shapes)))]
    cell = metal.lattice_constant_angstrom
    volume = options.atoms * rng.uniform(0.8, 1.2) / ATOMS_PER_CELL * cell**3
    longest = (options.voxels - MARGIN_VOXELS) * cell
    return metal, name, outline_of(name, rng, volume=volume, longest=longest)


def draw_crystal(options: CrystalRunOptions, number: int) -> UnrelaxedCrystal:
    """Draw one crystal of a run.

    Parameters
    ----------
    options : CrystalRunOptions
        Ranges and seed.
    number : int
        Which crystal of the run; the same number gives the same crystal.

    Raises
    ------
    InputError
        If too few atoms are left in it.
    """
    rng = crystal_rng(options, number)
    metal, name, outline = draw_outline(options, rng)
    sites, parent, twin = _sites(options, metal, outline, rng)
    kept = defects.without_vacancies(len(sites), rng.uniform(0, options.max_vacancies), rng)
    sites, parent = sites[kept], parent[kept]
    if len(sites) < FEWEST_ATOMS:
        raise InputError(f"crystal {number}: {len(sites)} atoms left, {FEWEST_ATOMS} needed; raise 'atoms'")
    faults, slip = _faults(options, metal, outline, sites, rng)
    contacts, strain, kind = _strain(options, outline, sites, rng)
    history = {"shape": name, "strain": kind, "held_facets": len(contacts), "twin": twin, **faults}
    return UnrelaxedCrystal(
        metal=metal,
        sites=sites,
        positions=sites + slip + strain,
        parent=parent,
        held=defects.held_by(sites, contacts, HELD_THICKNESS_ANGSTROM),
        steps=int(rng.integers(options.steps[0], options.steps[1] + 1)),
        history={**history, "vacancies": int(np.sum(~kept))},
    )


def _sites(options: CrystalRunOptions, metal: Metal, outline: Polyhedron, rng: Rng) -> tuple[Floats, Flags, bool]:
    cell = metal.lattice_constant_angstrom
    spacing, radius = cell / np.sqrt(3), float(np.linalg.norm(outline.vertices, axis=1).max())
    twin, normal = bool(rng.random() < options.twin), defects.close_packed_plane(rng)
    plane = round(rng.uniform(0.1, 0.8) * float((outline.vertices @ normal).max()) / spacing)
    outline = outline.shifted(rng.uniform(-0.25, 0.25, 3) * cell)  # where in the cell the outline lies
    if twin:
        lattice = lattice_sites(radius + 2 * plane * spacing, cell)
        return *defects.twinned(lattice, outline, normal=normal, plane=plane, spacing=spacing), True
    lattice = lattice_sites(radius, cell)
    sites = lattice[outline.depth(lattice) >= 0]
    return sites, np.ones(len(sites), dtype=bool), False


def _faults(
    options: CrystalRunOptions, metal: Metal, outline: Polyhedron, sites: Floats, rng: Rng
) -> tuple[dict[str, Any], Floats]:
    """Return which faults there are, and the displacement they bring."""
    cell, fields = metal.lattice_constant_angstrom, []
    draws, normal, which = rng.random(3), defects.close_packed_plane(rng), int(rng.integers(3))
    point = rng.uniform(-0.25, 0.25, 3) * outline.extent
    fault, dislocation = bool(draws[0] < options.stacking_fault), bool(draws[1] < options.dislocation)
    if fault:
        planes = np.floor(point @ normal * np.sqrt(3) / cell) + 0.5  # between two planes of sites
        height = float(planes * cell / np.sqrt(3))
        fields.append(defects.stacking_fault(normal, height, lattice_constant=cell, which=which))
    if dislocation:
        edge = bool(draws[2] < 0.5)
        # The cut must run between planes of sites, not through one.
        between = (np.floor(point @ normal * np.sqrt(3) / cell) + 0.5) * cell / np.sqrt(3)
        line = point + (between - point @ normal) * normal
        fields.append(defects.perfect_dislocation(line, normal, lattice_constant=cell, edge=edge, which=which))
    slip = np.sum([field(sites) for field in fields], axis=0) if fields else np.zeros_like(sites)
    return {"stacking_fault": fault, "dislocation": dislocation}, slip


def _strain(
    options: CrystalRunOptions, outline: Polyhedron, sites: Floats, rng: Rng
) -> tuple[list[defects.Contact], Floats, str]:
    chances = np.asarray(options.held_chances) / sum(options.held_chances)
    n_held = int(rng.choice(len(chances), p=chances))
    contacts = defects.random_contacts(outline, n_held, max_strain=options.max_strain, rng=rng)
    gradient, kind = defects.random_gradient(rng, options.max_strain)
    decay = rng.uniform(0.2, 0.6) * float(outline.extent.mean())
    return contacts, defects.deformation(sites, contacts, gradient, decay=decay), kind
