"""Simulated crystals by seed and number: relaxed atoms, or facetted outlines with elastic textbook fields.

For machines without LAMMPS, and for training sets that need thousands in minutes. The fields are models: contacts that
decay inwards, drawn-in facets, smooth bending, dislocations in an infinite medium; nothing is relaxed.
"""

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals import defects, displacement
from friedel.bcdi.crystals.defects import close_packed_plane, perfect_dislocation
from friedel.bcdi.crystals.displacement import Displacement
from friedel.bcdi.crystals.fcc import ATOMS_PER_CELL
from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.lammps import relax
from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.unrelaxed import crystal_rng, draw_crystal, draw_outline
from friedel.bcdi.crystals.voxelise import crystal_field
from friedel.core.polyhedra import Polyhedron, coverage

Floats = NDArray[np.float64]
Rng = np.random.Generator

EMPTY_BELOW = 1e-3
"""Shares of a voxel below this count as empty."""


def continuum_crystal(options: CrystalRunOptions, number: int) -> CrystalField:
    """Draw one crystal of a run without atoms.

    Parameters
    ----------
    options : CrystalRunOptions
        Ranges and seed; vacancies, twins, stacking faults and steps mean nothing here.
    number : int
        Which crystal of the run; the same number gives the same crystal.
    """
    rng = crystal_rng(options, number)
    metal, name, outline = draw_outline(options, rng)
    cell = metal.lattice_constant_angstrom
    positions = _voxel_centres(options.voxels) * cell
    density = coverage(outline, positions, np.eye(3) * cell)
    inside = density > EMPTY_BELOW
    smooth, held = _strain(options, outline, rng)
    u = _less_linear(smooth(positions[inside]), positions[inside], density[inside])
    dislocation = bool(rng.random() < options.dislocation)
    if dislocation:
        u = u + _dislocation(outline, cell, rng)(positions[inside])
    field = np.zeros((3, *density.shape), dtype=np.float32)
    field[:, inside] = u.T
    return CrystalField(
        metal=metal.symbol,
        density=np.where(inside, density, 0.0).astype(np.float32),
        displacement=field,
        lattice=np.eye(3) * cell,
        n_atoms=round(ATOMS_PER_CELL * float(density.sum())),
        history={"shape": name, "held_facets": held, "dislocation": dislocation},
    )


def _voxel_centres(n: int) -> Floats:
    """Return the index offsets of voxels as vectors ``(x, y, z)``, ``(z, y, x, 3)``."""
    axis = np.arange(n, dtype=np.float64) - n // 2
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)[..., ::-1]


def _strain(options: CrystalRunOptions, outline: Polyhedron, rng: Rng) -> tuple[Displacement, int]:
    """Return a smooth field whose strain is within the options' range, and how many facets are held."""
    chances = np.asarray(options.held_chances) / sum(options.held_chances)
    contacts = defects.random_contacts(
        outline, int(rng.choice(len(chances), p=chances)), max_strain=options.max_strain, rng=rng
    )
    radius = float(outline.extent.mean() / 2)
    decay, strain = rng.uniform(0.3, 1.0) * radius, rng.uniform(0, options.max_strain)
    bent = displacement.smooth(rng, radius=radius, amplitude=0.1 * strain * radius)
    drawn_in = displacement.surface_relaxation(
        outline, amplitude=rng.uniform(0.0, 0.15), depth=rng.uniform(0.1, 0.4) * radius
    )
    return displacement.combined(
        lambda r: defects.deformation(r, contacts, np.zeros((3, 3)), decay=decay), bent, drawn_in
    ), len(contacts)


def _dislocation(outline: Polyhedron, cell: float, rng: Rng) -> Displacement:
    return perfect_dislocation(
        rng.uniform(-0.25, 0.25, 3) * outline.extent,
        close_packed_plane(rng),
        lattice_constant=cell,
        edge=bool(rng.random() < 0.5),
        which=int(rng.integers(3)),
    )


def _less_linear(u: Floats, positions: Floats, weights: Floats) -> Floats:
    """Return u less its best linear map of the positions: the displacement from the best-fitting lattice."""
    design = np.column_stack([np.ones(len(positions)), positions])
    root = np.sqrt(weights)[:, None]
    plane, *_ = np.linalg.lstsq(design * root, u * root, rcond=None)
    return np.asarray(u - design @ plane)


def atomistic_crystal(options: CrystalRunOptions, number: int) -> CrystalField:
    """Draw and relax one crystal of a run.

    Parameters
    ----------
    options : CrystalRunOptions
        Ranges and seed.
    number : int
        Which crystal of the run; the same number gives the same crystal.

    Raises
    ------
    MissingDependencyError
        Without LAMMPS.
    InputError
        If the metal's potential is missing, too few atoms are left, or they don't fit the box.
    RelaxationError
        If LAMMPS dies or takes too long.
    """
    crystal = draw_crystal(options, number)
    return crystal_field(crystal, relax(crystal, timeout_s=options.timeout_s), voxels=options.voxels)
