"""From relaxed atoms to density and displacement on voxels: lattice fit, evaporated atoms, trilinear sharing.

With voxels of one lattice constant and trilinear sharing an ideal lattice gives the same density in every voxel inside,
wherever its sites fall: the kernel's transform is zero at every reflection.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from friedel.bcdi.crystals.fcc import ATOMS_PER_CELL, NEAREST_NEIGHBOUR, less_translations
from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.unrelaxed import FEWEST_ATOMS, UnrelaxedCrystal
from friedel.core.errors import InputError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST_NEIGHBOURS = 3
"""An atom with fewer has left the crystal's facets: an atom at a facet's corner keeps at least this many."""
REACH = 1.2
"""Distance within which atoms are neighbours, in nearest-neighbour distances."""
REFINEMENTS = 4  # rounds of least squares: taking lattice translations off the residuals depends on the fit before


def crystal_field(crystal: UnrelaxedCrystal, positions: Floats, *, voxels: int) -> CrystalField:
    """Return density and displacement of a relaxed crystal.

    Parameters
    ----------
    crystal : UnrelaxedCrystal
        What was relaxed.
    positions : (n, 3) float64, Å
        Where its atoms are now.
    voxels : int
        Edge of the box.

    Raises
    ------
    InputError
        If too few atoms are left after evaporated ones and a twin's are dropped, or they don't fit the box.
    """
    cell = crystal.metal.lattice_constant_angstrom
    left = crystallised(positions, cell)
    kept = left & crystal.parent
    if np.sum(kept) < FEWEST_ATOMS:
        raise InputError(f"{int(np.sum(kept))} atoms are left in the crystal, {FEWEST_ATOMS} needed; raise 'atoms'")
    matrix, offset = fitted_lattice(crystal.sites[kept], positions[kept], cell)
    displacement = positions[kept] - (crystal.sites[kept] @ matrix.T + offset)
    # Up to a translation, which nothing sees, an atom belongs to the nearest site: so does one that hopped.
    displacement = less_translations(displacement @ np.linalg.inv(matrix).T, cell) @ matrix.T
    edge = cell * float(abs(np.linalg.det(matrix)) ** (1 / 3))
    lattice = cell * matrix.T
    density, u = shared_among_voxels(_centred(positions[kept]) / edge, displacement, lattice=lattice, voxels=voxels)
    return CrystalField(
        metal=crystal.metal.symbol,
        density=density,
        displacement=u,
        lattice=lattice,
        n_atoms=int(np.sum(kept)),
        history={**crystal.history, "steps": crystal.steps, "evaporated": int(np.sum(~left))},
    )


def crystallised(positions: Floats, lattice_constant: float) -> Flags:
    """Return which atoms ``(n,)`` are part of the crystal: the largest piece, less atoms with few neighbours."""
    reach = REACH * NEAREST_NEIGHBOUR * lattice_constant
    pairs = cKDTree(positions).query_pairs(reach, output_type="ndarray")
    n = len(positions)
    bonds = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, piece = connected_components(bonds, directed=False)
    neighbours = np.bincount(pairs.ravel(), minlength=n)
    return np.asarray((piece == np.argmax(np.bincount(piece))) & (neighbours >= FEWEST_NEIGHBOURS))


def fitted_lattice(sites: Floats, positions: Floats, lattice_constant: float) -> tuple[Floats, Floats]:
    """Fit an evenly strained lattice to atoms.

    What slipped by a lattice translation belongs to the same lattice. So the residuals are fitted less translations;
    from the sites as they are and from their plain fit, and the better of the two is taken.

    Parameters
    ----------
    sites, positions : (n, 3) float64
        Ideal sites and the atoms that belong to them, Å.
    lattice_constant : float
        Of the sites, Å.

    Returns
    -------
    matrix : (3, 3) float64
        From ideal to fitted lattice.
    offset : (3,) float64, Å
        An atom's place is ``matrix @ site + offset``, up to its displacement.
    """
    design = np.column_stack([sites, np.ones(len(sites))])
    plain = np.asarray(np.linalg.lstsq(design, positions, rcond=None)[0], dtype=np.float64)
    shift = np.median(positions - sites, axis=0)
    fits = [_refined(design, positions, start, lattice_constant) for start in (plain, np.vstack([np.eye(3), shift]))]
    _, best = min(fits, key=lambda fit: fit[0])
    return np.asarray(best[:3].T), np.asarray(best[3])


def _refined(design: Floats, positions: Floats, fit: Floats, lattice_constant: float) -> tuple[float, Floats]:
    """Return a fit improved a few times, with the mean square of its residuals less translations."""
    left = less_translations(positions - design @ fit, lattice_constant)
    for _ in range(REFINEMENTS):
        fit = fit + np.linalg.lstsq(design, left, rcond=None)[0]
        left = less_translations(positions - design @ fit, lattice_constant)
    return float(np.mean(left**2)), fit


def shared_among_voxels(
    places: Floats, displacement: Floats, *, lattice: Floats, voxels: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share atoms among the eight voxels around each.

    Parameters
    ----------
    places : (n, 3) float64
        ``(x, y, z)`` about the origin, in voxels.
    displacement : (n, 3) float64, Å
        Of each atom.
    lattice : (3, 3) float64, Å
        Rows are the edges of the lattice's cubic cell.
    voxels : int
        Edge of the box, in voxels.

    Returns
    -------
    density : (z, y, x) float32
        About 1 inside.
    displacement : (3, z, y, x) float32, Å
        Weighted mean in each voxel; atoms a lattice translation apart count as equal.

    Raises
    ------
    InputError
        If an atom's share would fall outside.
    """
    corner = np.floor(places).astype(np.int64)
    low, high = corner.min() + voxels // 2, corner.max() + 1 + voxels // 2
    if low < 0 or high >= voxels:
        raise InputError(f"the crystal reaches beyond its box of {voxels} voxels; raise 'voxels' or lower 'atoms'")
    rest, index, weight = places - corner, [], []
    for step in product((0, 1), repeat=3):
        x, y, z = (corner + step + voxels // 2).T
        index.append((z * voxels + y) * voxels + x)
        weight.append(np.prod(np.where(step, rest, 1 - rest), axis=1))
    atoms = np.tile(np.arange(len(places)), 8)
    cells = displacement @ np.linalg.inv(lattice)
    total, mean = _means(np.concatenate(index), np.concatenate(weight), cells[atoms], voxels**3)
    box = (voxels, voxels, voxels)
    density = (total / ATOMS_PER_CELL).reshape(box).astype(np.float32)
    return density, (mean @ lattice).T.reshape(3, *box).astype(np.float32)


def _means(index: NDArray[np.int64], weight: Floats, cells: Floats, n_bins: int) -> tuple[Floats, Floats]:
    """Return the weights' sum and the mean vector in each bin, taken about its heaviest; vectors in cells."""
    heaviest = np.zeros((n_bins, 3))
    order = np.argsort(weight)
    heaviest[index[order]] = cells[order]  # the last one written stays
    off = less_translations(cells - heaviest[index], 1.0)
    total = np.asarray(np.bincount(index, weight, n_bins), dtype=np.float64)
    safe = np.where(total > 0, total, 1.0)
    mean = np.stack([np.bincount(index, weight * off[:, k], n_bins) / safe for k in range(3)], axis=1)
    return total, np.where(total[:, None] > 0, heaviest + mean, 0.0)


def _centred(positions: Floats) -> Floats:
    return np.asarray(positions - (positions.max(axis=0) + positions.min(axis=0)) / 2)
