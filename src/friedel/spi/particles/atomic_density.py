"""Atoms on a grid: their electrons, spread as their form factors say and no finer than the voxels allow.

No file is read here; `molecules` brings the atoms. Needs xraydb, for the tables.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.fourier import frequencies, half_frequencies, inverse_real_fourier_corner, real_fourier_corner
from friedel.core.optional import load_optional

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Atoms:
    """The atoms of a molecule.

    Attributes
    ----------
    positions : (n, 3) float64, Å
        Nuclei, ``(x, y, z)``.
    elements : (n,) str
        Symbols: "C", "Fe".
    occupancies : (n,) float64
        Share of the molecules in which the atom is there.
    b_factors : (n,) float64, Å²
        Isotropic displacement, B = 8π²⟨u²⟩.
    """

    positions: Floats
    elements: NDArray[np.str_]
    occupancies: Floats
    b_factors: Floats

    def __len__(self) -> int:
        return len(self.positions)

    def centred(self) -> "Atoms":
        """Return the atoms with the middle of their bounding box at the origin."""
        middle = (self.positions.max(axis=0) + self.positions.min(axis=0)) / 2
        return replace(self, positions=self.positions - middle)


def atomic_density(
    atoms: Atoms, *, n: int, voxel_size_angstrom: float, photon_energy_ev: float | None = None
) -> NDArray[np.float32]:
    """Return the electron density of atoms about the origin.

    Each atom's electrons, Z + f′, are shared among the eight voxels around it; each element's grid is then convolved
    with its form factor f₀ and its mean displacement, exp(−B s²), s = sin θ/λ. Voxels are averages, so detail below a
    voxel is lost, as it is on a detector that doesn't reach there.

    Parameters
    ----------
    atoms : Atoms
        Positions in Å about the centre of the box.
    n : int
        Voxels along each edge.
    voxel_size_angstrom : float
        Edge of a voxel.
    photon_energy_ev : float, optional
        Energy at which f′ is taken; None leaves it out.

    Returns
    -------
    (z, y, x) float32
        Electrons per voxel, not negative: the ripples that the form factors' cut leaves are clipped, the sum is kept.

    Raises
    ------
    InputError
        If an element is unknown to the tables.
    MissingDependencyError
        Without xraydb.

    References
    ----------
    Waasmaier & Kirfel, Acta Cryst. A 51, 416 (1995), for f₀; Chantler, J. Phys. Chem. Ref. Data 29, 597 (2000), for f′.
    """
    tables, s = _tables(), _sin_theta_over_lambda(n, voxel_size_angstrom)
    total = torch.zeros(s.shape, dtype=torch.complex64)
    for element in np.unique(atoms.elements):
        chosen = atoms.elements == element
        charge, shape = _form_factor(tables, str(element), s, photon_energy_ev)
        occupancy = atoms.occupancies[chosen]
        spread = np.exp(-float(np.average(atoms.b_factors[chosen], weights=occupancy + 1e-9)) * s**2)
        shares = shared_out(atoms.positions[chosen] / voxel_size_angstrom, charge * occupancy, n)
        total += real_fourier_corner(torch.from_numpy(shares)) * torch.from_numpy((shape * spread).astype(np.float32))
    density = inverse_real_fourier_corner(total, (n, n, n)).numpy()
    kept = np.clip(density, 0.0, None)
    return np.asarray(kept * (density.sum() / kept.sum()), dtype=np.float32)


def _tables() -> Any:
    return load_optional("xraydb", package="xraydb", extra="spi", purpose="look up atomic form factors")


def _form_factor(tables: Any, element: str, s: Floats, energy_ev: float | None) -> tuple[float, Floats]:
    """Return an element's electrons at this energy, and its f₀ over f₀(0) on the grid of s."""
    # Deuterium scatters X-rays as hydrogen does; the tables know it by that name only.
    symbol = "H" if element == "D" else element
    try:
        along = np.linspace(0.0, float(s.max()), 256)
        f0 = np.asarray(tables.f0(symbol, along), dtype=np.float64)
        charge = float(tables.atomic_number(symbol))
        if energy_ev is not None:
            charge += float(np.ravel(tables.f1_chantler(symbol, energy_ev))[0])
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f"no form factor for element {element!r} ({error}); correct or remove these atoms") from None
    return charge, np.interp(s, along, f0 / f0[0])


def _sin_theta_over_lambda(n: int, voxel: float) -> Floats:
    """Return s = sin θ/λ = |q|/4π on the half spectrum of the grid, ``(n, n, n // 2 + 1)``, Å⁻¹."""
    whole, half = frequencies(n).numpy() / voxel, half_frequencies(n).numpy() / voxel
    squared = whole[:, None, None] ** 2 + whole[:, None] ** 2 + half**2
    return np.asarray(np.sqrt(squared) / 2, dtype=np.float64)


def shared_out(positions: Floats, weights: Floats, n: int) -> NDArray[np.float32]:
    """Return weights shared linearly among the eight voxels around each position ``(n_atoms, xyz)``, ``(z, y, x)``."""
    places = positions[:, ::-1] + n // 2
    low = np.floor(places).astype(np.int64)
    high_share = places - low
    total = np.zeros(n**3)
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(np.array(corner) == 1, high_share, 1 - high_share), axis=1)
        index = np.ravel_multi_index(tuple((low + corner).T), (n, n, n))
        total += np.bincount(index, weights=share * weights, minlength=n**3)
    return total.reshape(n, n, n).astype(np.float32)
