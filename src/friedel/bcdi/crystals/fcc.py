"""The face-centred cubic lattice of six metals: sites, translations, reflections. No outline and no atoms' energies."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError

Floats = NDArray[np.float64]
Reflection = tuple[int, int, int]

ATOMS_PER_CELL = 4  # of the face-centred cubic cell: 8 corners of an eighth and 6 faces of a half
NEAREST_NEIGHBOUR = np.sqrt(0.5)
"""Distance of nearest neighbours, in lattice constants."""


@dataclass(frozen=True)
class Metal:
    """A metal, as its interatomic potential knows it.

    Attributes
    ----------
    symbol : str
        Chemical symbol.
    lattice_constant_angstrom : float
        Edge of the cubic cell at which the potential's energy is lowest.
    potential : str
        File name of the embedded-atom potential.
    """

    symbol: str
    lattice_constant_angstrom: float
    potential: str


METALS: Mapping[str, Metal] = {
    symbol: Metal(symbol, constant, f"{symbol}_u3.eam")
    for symbol, constant in {"Au": 4.08, "Ag": 4.09, "Cu": 3.615, "Ni": 3.52, "Pd": 3.89, "Pt": 3.92}.items()
}
"""Metals by symbol, with the "universal 3" potentials of Foiles, Baskes & Daw, Phys. Rev. B 33, 7983 (1986)."""


def lattice_sites(radius: float, lattice_constant: float) -> Floats:
    """Return the sites of a lattice within a cube about the origin, which is a site.

    Parameters
    ----------
    radius : float
        Half the cube's edge, at least; same unit as the lattice constant.
    lattice_constant : float
        Edge of the cubic cell.

    Returns
    -------
    (n, 3) float64
        Along the cubic axes ``(x, y, z)``.
    """
    reach = int(np.ceil(radius / lattice_constant)) + 1
    axis = np.arange(-reach, reach + 1, dtype=np.float64)
    cells = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return np.asarray(lattice_constant * (cells + base).reshape(-1, 3))


def less_translations(vectors: Floats, lattice_constant: float) -> Floats:
    """Return vectors ``(..., 3)`` less the nearest lattice translation: they end in the cell about the origin.

    The nearest point of the lattice (integers of even sum, in half lattice constants) is the rounded vector, or, where
    its sum is odd, the one with the worst rounded component rounded the other way.

    References
    ----------
    Conway & Sloane, IEEE Trans. Inf. Theory 28, 227 (1982), for the lattice D₃.
    """
    halves = np.asarray(vectors, dtype=np.float64) * (2 / lattice_constant)
    nearest = np.round(halves)
    error = halves - nearest
    worst = np.argmax(np.abs(error), axis=-1)[..., None]
    other_way = np.where(np.take_along_axis(error, worst, axis=-1) >= 0, 1.0, -1.0)
    odd = np.sum(nearest, axis=-1, keepdims=True) % 2 != 0
    corrected = np.take_along_axis(nearest, worst, axis=-1) + np.where(odd, other_way, 0.0)
    np.put_along_axis(nearest, worst, corrected, axis=-1)
    return np.asarray((halves - nearest) * (lattice_constant / 2))


def checked_reflection(hkl: Reflection) -> NDArray[np.float64]:
    """Return a reflection's indices as floats, ``(3,)``.

    Raises
    ------
    InputError
        If the lattice forbids it: its indices are mixed, or all are zero.
    """
    if not any(hkl) or len({index % 2 for index in hkl}) != 1:
        raise InputError(
            f"reflection {hkl}: a face-centred cubic lattice reflects where h, k, l are all odd or all even, and not "
            "all zero; take (1, 1, 1), (2, 0, 0), (2, 2, 0) …"
        )
    return np.asarray(hkl, dtype=np.float64)


def equivalent_reflections(hkl: Reflection) -> list[Reflection]:
    """Return one of each pair ±(h, k, l) that a cubic crystal's symmetry makes equal to ``hkl``."""
    found: set[Reflection] = set()
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        for signs in product((1, -1), repeat=3):
            turned = (signs[0] * hkl[order[0]], signs[1] * hkl[order[1]], signs[2] * hkl[order[2]])
            found.add(max(turned, (-turned[0], -turned[1], -turned[2])))
    return sorted(found, reverse=True)
