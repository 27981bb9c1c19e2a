"""Molecules and capsids from PDB and mmCIF files, with their biological assembly: atoms in, a particle's density out.

The molecule stands in vacuum, as the deposited coordinates have it: no hydration layer, no hydrogens that the file
lacks (about 8 % of a protein's electrons), crystal water left out. Needs gemmi and xraydb.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.optional import load_optional
from friedel.spi.particles.atomic_density import Atoms, atomic_density
from friedel.spi.particles.particle import FILL, SMALLEST_BOX, Particle

Floats = NDArray[np.float64]

STRUCTURES = (".pdb", ".ent", ".cif", ".mmcif", ".gz")
"""Suffixes of files that hold atoms."""
ASYMMETRIC_UNIT = "asymmetric unit"
"""Name of the assembly that is just the coordinates in the file."""
ATOM_RADIUS_ANGSTROM = 2.0
"""What an outermost atom adds to the distance of its nucleus."""


def molecule(
    path: str | Path,
    *,
    n: int = 64,
    voxel_size_angstrom: float | None = None,
    assembly: str | None = None,
    photon_energy_ev: float | None = None,
) -> Particle:
    """Read a molecule and put its electrons on a grid.

    Parameters
    ----------
    path : str or Path
        PDB or mmCIF file, gzipped or not.
    n : int
        Voxels along each edge of the box.
    voxel_size_angstrom : float, optional
        Edge of a voxel; None makes the molecule's diameter 0.72 of the box.
    assembly : str, optional
        Name of the biological assembly; None takes the first of the file, or its bare coordinates where it names none,
        which "asymmetric unit" asks for.
    photon_energy_ev : float, optional
        Adds the dispersion correction f′ at this energy to every atom's electrons.

    Raises
    ------
    InputError
        If the file is missing or no structure, holds no atoms, has no such assembly, or the box is too small.
    MissingDependencyError
        Without gemmi or xraydb.
    """
    if voxel_size_angstrom is not None and not voxel_size_angstrom > 0:
        raise InputError(f"voxel_size_angstrom must be positive, got {voxel_size_angstrom!r}")
    atoms = read_atoms(path, assembly=assembly).centred()
    radius = float(np.linalg.norm(atoms.positions, axis=1).max()) + ATOM_RADIUS_ANGSTROM
    voxel = voxel_size_angstrom or 2 * radius / (FILL * n)
    needed = max(int(np.ceil(2 * radius / voxel)) + 4, SMALLEST_BOX)
    if n < needed:
        raise InputError(
            f"{path}: the molecule is {2 * radius:.0f} Å across, too large for {n} voxels of {voxel:.3g} Å; "
            f"take n={needed} or larger voxels"
        )
    density = atomic_density(atoms, n=n, voxel_size_angstrom=voxel, photon_energy_ev=photon_energy_ev)
    return Particle(
        name=Path(path).name, density=density, diameter_voxels=2 * radius / voxel, voxel_size_angstrom=voxel
    )


def read_atoms(path: str | Path, *, assembly: str | None = None) -> Atoms:
    """Read the atoms of a structure's first model, repeated as its biological assembly says.

    Raises
    ------
    InputError
        If the file is missing or no structure, holds no atoms, or has no such assembly.
    MissingDependencyError
        Without gemmi.
    """
    structure = _structure(Path(path))
    chains = {chain.name: _chain_atoms(chain) for chain in structure[0]} if len(structure) else {}
    if not any(len(atoms) for atoms in chains.values()):
        raise InputError(f"{path}: holds no atoms besides water; is it a coordinate file (PDB, mmCIF)?")
    copies = [
        (atoms, rotation, shift)
        for names, operators in _copies(structure, assembly, str(path))
        for rotation, shift in operators
        for name, atoms in chains.items()
        if name in names and len(atoms)
    ]
    if not copies:
        raise InputError(f"{path}: assembly {assembly!r} names chains that the file doesn't hold")
    return Atoms(
        positions=np.concatenate([atoms.positions @ rotation.T + shift for atoms, rotation, shift in copies]),
        elements=np.concatenate([atoms.elements for atoms, _, _ in copies]),
        occupancies=np.concatenate([atoms.occupancies for atoms, _, _ in copies]),
        b_factors=np.concatenate([atoms.b_factors for atoms, _, _ in copies]),
    )


def _structure(path: Path) -> Any:
    gemmi = load_optional("gemmi", package="gemmi", extra="spi", purpose="read PDB and mmCIF files")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        structure = gemmi.read_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a PDB or mmCIF file that gemmi can read ({error})") from None
    structure.setup_entities()
    structure.remove_waters()
    return structure


def _chain_atoms(chain: Any) -> Atoms:
    rows = [(*atom.pos.tolist(), atom.occ, atom.b_iso, atom.element.name) for residue in chain for atom in residue]
    numbers = np.array([row[:5] for row in rows], dtype=np.float64).reshape(-1, 5)
    return Atoms(
        positions=numbers[:, :3],
        elements=np.array([row[5] for row in rows], dtype=np.str_),
        occupancies=numbers[:, 3],
        b_factors=numbers[:, 4],
    )


def _copies(structure: Any, name: str | None, path: str) -> list[tuple[set[str], list[tuple[Floats, Floats]]]]:
    """Return, for each part of the assembly, the chains it takes and the rotations and shifts it repeats them with."""
    everything = {chain.name for chain in structure[0]}
    if name == ASYMMETRIC_UNIT or (name is None and not structure.assemblies):
        return [(everything, [(np.eye(3), np.zeros(3))])]
    known = [assembly.name for assembly in structure.assemblies]
    if name is not None and name not in known:
        raise InputError(f"{path}: no assembly {name!r}; the file has {[*known, ASYMMETRIC_UNIT]}")
    assembly = structure.assemblies[known.index(name) if name else 0]
    return [
        (
            _chains_of(structure, generator),
            [(np.array(op.transform.mat.tolist()), np.array(op.transform.vec.tolist())) for op in generator.operators],
        )
        for generator in assembly.generators
    ]


def _chains_of(structure: Any, generator: Any) -> set[str]:
    """Return the chains a generator means; mmCIF names them by subchain, PDB by chain."""
    subchains = set(generator.subchains)
    meant = {chain.name for chain in structure[0] if {residue.subchain for residue in chain} & subchains}
    return meant | set(generator.chains)
