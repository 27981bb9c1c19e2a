"""How like a known structure is a density? Fourier shell correlation with a map, a model of atoms, or a truth.

A merged intensity has no orientation, place or hand of its own: the reference is turned onto it by the intensities, and
the density, or its inversion, is shifted onto the reference.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, center_of_mass

from friedel.core.errors import InputError
from friedel.core.fourier import fourier, frequencies, real_fourier_corner, to_centre, to_corner
from friedel.spi.density.phase import Density, onto
from friedel.spi.orient.align import align
from friedel.spi.particles.densities import read_density
from friedel.spi.particles.molecules import STRUCTURES, molecule

Floats = NDArray[np.float64]

HALF = 0.5
"""Correlation with a structure that has no noise at which a map is resolved: where half sets have 1/7."""
_ATOMS_VOXELS = 128  # an edge, for a model of atoms: finer than any density of hits


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """A density beside a reference.

    Attributes
    ----------
    q, fsc : (n_shells,) float64
        Shells, in the unit of the detector's q, and the Fourier shell correlation; NaN where nothing is.
    correlation : float
        Σ ab / √(Σ a² Σ b²) of the two densities, both up to the last shell.
    q_resolved : float
        Where the correlation first stays below 1/2 for two shells; the last shell if it never does.
    reference : (n, n, n) float32
        The reference on the density's grid, turned.
    density : (n, n, n) float32
        The density, or its inversion, shifted onto the reference.
    """

    q: Floats
    fsc: Floats
    correlation: float
    q_resolved: float
    reference: NDArray[np.float32]
    density: NDArray[np.float32]

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return (
            f"it correlates with the density at {self.correlation:.3f}, at 1/2 or more up to q = {self.q_resolved:.4g}"
        )


def read_reference(path: Path, *, angstrom: float = 1.0) -> tuple[NDArray[np.float32], float]:
    """Read a reference: a map (.mrc, .ccp4, .npy), a structure (.pdb, .cif), or the truth of simulated hits (.h5).

    Parameters
    ----------
    path : Path
        The file.
    angstrom : float
        Å in a unit of the density's length, the inverse of the detector's q.

    Returns
    -------
    density : (z, y, x) float32
        As it is; a map's negative noise is left out.
    voxel : float
        Its edge, in the unit of the density's length.

    Raises
    ------
    InputError
        If the file can't be used, or doesn't say how large its voxels are.
    MissingDependencyError
        Without the package that reads it.
    """
    if path.suffix.lower() in STRUCTURES:
        made = molecule(path, n=_ATOMS_VOXELS)
        return made.density, float(made.voxel_size_angstrom or 1.0) / angstrom
    if path.suffix.lower() == ".h5":
        try:
            with h5py.File(path, "r") as file:
                values = file["density"][()]
                return values, 1 / (len(values) * float(file["voxel"][()]))
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: not the truth of simulated hits ({error})") from None
    values, edge = read_density(path)
    if edge is None:
        raise InputError(f"{path}: doesn't say how large its voxels are; give an MRC map that does")
    return values.clip(min=0), edge / angstrom


def compare(density: Density, reference: NDArray[np.float32], voxel: float) -> Comparison:
    """Compare a density with a reference.

    Parameters
    ----------
    density : Density
        As phased.
    reference : (z, y, x) float32
        In any orientation, anywhere in its box.
    voxel : float
        Its voxels' edge, in the unit of ``density.voxel``.

    Raises
    ------
    InputError
        If the reference is larger than the density's grid, or vanishes in it.
    """
    n, scale = density.density.shape[0], density.voxel / voxel
    reach = _reach(reference) / scale
    if not 2 <= reach <= n:
        raise InputError(
            f"the reference is {2 * reach * density.voxel:.3g} across, the density's grid {n * density.voxel:.3g}, of "
            f"{n} voxels: is the unit of length right? Say how many Å are in one (compare_angstrom)"
        )
    q_max = n // 2 - 1.0
    upright = _resampled(reference, n, scale, np.eye(3))
    rotation = align(_power(density.density), _power(upright), q_min=max(0.1 * q_max, 2.0), q_max=0.7 * q_max)
    turned = _resampled(reference, n, scale, rotation.as_matrix())
    fixed, moving = (to_corner(torch.from_numpy(values)) for values in (turned, density.density))
    moved = onto(fixed, moving)
    fsc, whole = _shells(real_fourier_corner(fixed), real_fourier_corner(moved), n)
    q = np.arange(len(fsc)) / (n * density.voxel)
    low = np.nan_to_num(fsc, nan=1.0) < HALF
    both = np.flatnonzero(low[:-1] & low[1:])
    return Comparison(
        q=q,
        fsc=fsc,
        correlation=whole,
        q_resolved=float(q[both[0]] if len(both) else q[-1]),
        reference=turned,
        density=to_centre(moved).numpy(),
    )


def _reach(reference: NDArray[np.float32]) -> float:
    """Return the distance, voxels, from the centre of mass within which nine tenths of a density lie."""
    positive = reference.clip(min=0)
    places = np.indices(reference.shape).reshape(3, -1) - np.reshape(center_of_mass(positive), (3, 1))
    distance = np.linalg.norm(places, axis=0)
    order = distance.argsort()
    mass = positive.ravel()[order].cumsum(dtype=np.float64)
    return float(distance[order][np.searchsorted(mass, 0.9 * mass[-1])])


def _resampled(reference: NDArray[np.float32], n: int, scale: float, rotation: Floats) -> NDArray[np.float32]:
    """Return a density at R r on a grid of ``n`` voxels, its centre of mass at the middle; R of vectors (x, y, z)."""
    matrix = rotation[::-1, ::-1] * scale
    offset = np.array(center_of_mass(reference.clip(min=0))) - matrix @ np.full(3, n // 2)
    return affine_transform(reference, matrix, offset=offset, output_shape=(n, n, n), order=1).astype(np.float32)


def _power(density: NDArray[np.float32]) -> torch.Tensor:
    return fourier(torch.from_numpy(density)).abs() ** 2


def _shells(first: torch.Tensor, second: torch.Tensor, n: int) -> tuple[Floats, float]:
    """Return the Fourier shell correlation of two half spectra, and the correlation of all shells together."""
    axis = frequencies(n) * n
    half = torch.arange(n // 2 + 1)
    shell = torch.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + half**2).round().long()
    good = shell <= n // 2
    weight = torch.where(half > 0, 2.0, 1.0).expand(first.shape)[good]

    def by_shell(values: torch.Tensor) -> torch.Tensor:
        sums = torch.zeros(n // 2 + 1, dtype=torch.float64)
        return sums.index_add_(0, shell[good], (weight * values[good]).double())

    joint, one, other = (by_shell(v) for v in ((first * second.conj()).real, first.abs() ** 2, second.abs() ** 2))
    return (joint / (one * other).sqrt()).numpy(), float(joint.sum() / (one.sum() * other.sum()).sqrt())
