"""A crystal in the laboratory: outline and displacement in Å, sampled onto any voxel grid around a Bragg peak.

The object's phase is φ = −h·u (docs/conventions.md). Knows of no detector: the caller gives the voxel's three steps, Å.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.bcdi.crystals.displacement import Displacement
from friedel.bcdi.crystals.random_crystal import STRAINS, without_ramp
from friedel.core.errors import InputError
from friedel.core.outlines import SHAPES
from friedel.core.polyhedra import Polyhedron, coverage

Floats = NDArray[np.float64]

GOLD_LATTICE_CONSTANT_ANGSTROM = 4.0782  # as in xrayutilities.materials.Au


@dataclass(frozen=True, eq=False, kw_only=True)
class LatticeCrystal:
    """A crystal in laboratory coordinates ``(x, y, z)``, Å, about its own origin.

    Attributes
    ----------
    outline : Polyhedron
        The undisplaced crystal.
    displacement : function
        u(r), positions ``(..., 3)`` Å to displacements ``(..., 3)`` Å.
    """

    outline: Polyhedron
    displacement: Displacement

    def phase(self, positions: Floats, h: Floats) -> Floats:
        """Return φ = −h·u, ``(...)`` radians, at positions ``(..., 3)`` Å for the scattering vector ``h``, Å⁻¹."""
        return np.asarray(-(self.displacement(positions) @ h))

    def strain(self, positions: Floats, h: Floats, *, step: float = 0.5) -> Floats:
        """Return ∂u_n/∂n along n = h/|h| at positions ``(..., 3)``, by central differences of ``step`` Å; ``(...)``."""
        n = h / np.linalg.norm(h)
        ahead, behind = self.displacement(positions + step * n), self.displacement(positions - step * n)
        return np.asarray((ahead - behind) @ n / (2 * step))

    def on_grid(
        self, *, basis: Floats, h: Floats, shape: tuple[int, int, int], subdivisions: int = 4
    ) -> NDArray[np.complex64]:
        """Return ψ on a voxel grid.

        Parameters
        ----------
        basis : (3, 3) float64, Å
            Row ``k`` is the laboratory step along array axis ``k``, as `ReciprocalGrid.object_basis` gives it.
        h : (3,) float64, Å⁻¹
            Scattering vector of the peak.
        shape : (int, int, int)
            ``(z, y, x)``; the crystal's origin is at index ``n // 2``.
        subdivisions : int
            How finely surface voxels are divided to find the filled share; 1 for all or nothing.

        Returns
        -------
        (z, y, x) complex64
            Filled share times exp(−i h·u).

        Raises
        ------
        InputError
            If the crystal is larger than the array.
        """
        box = self._box(basis, shape)
        offsets = [np.arange(s.start, s.stop, dtype=np.float64) - n // 2 for s, n in zip(box, shape, strict=True)]
        positions = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1) @ basis
        share = coverage(self.outline, positions, basis, subdivisions=subdivisions)
        volume = np.zeros(shape, dtype=np.complex64)
        volume[box] = share * np.exp(1j * self.phase(positions, h))
        return volume

    def _box(self, basis: Floats, shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
        corners = self.outline.vertices @ np.linalg.inv(basis)
        low = np.floor(corners.min(axis=0)).astype(int) - 1 + np.array(shape) // 2
        high = np.ceil(corners.max(axis=0)).astype(int) + 2 + np.array(shape) // 2
        if np.any(low < 0) or np.any(high > shape):
            need = tuple(int(n) for n in high - low)
            raise InputError(
                f"the crystal needs {need} voxels but the array has {shape}; use finer steps or a smaller crystal"
            )
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def turned_to(direction: Floats, plane: tuple[int, int, int], *, seed: int) -> Floats:
    """Return a rotation ``(3, 3)`` that brings a cubic ``plane`` normal onto ``direction``, spun at random."""
    normal = np.asarray(plane, dtype=float) / np.linalg.norm(plane)
    onto = direction / np.linalg.norm(direction)
    align, _ = Rotation.align_vectors(onto[None], normal[None])
    spin = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    return np.asarray((Rotation.from_rotvec(spin * onto) * align).as_matrix())


def gold_crystal(
    h: Floats,
    *,
    seed: int,
    diameter_angstrom: float,
    phase_range_rad: float,
    strain_family: str = "substrate",
    shape_family: str = "wulff",
) -> LatticeCrystal:
    """Make a strained gold crystal with a {111} plane normal to ``h``.

    Parameters
    ----------
    h : (3,) float64, Å⁻¹
        Scattering vector of the 111 peak, laboratory frame.
    seed : int
        The same seed gives the same crystal.
    diameter_angstrom : float
        Mean extent.
    phase_range_rad : float
        Peak-to-peak h·u after the ramp is taken out.
    strain_family, shape_family : str
        Keys of `STRAINS` and `SHAPES`.
    """
    rng = np.random.default_rng(seed)
    outline = SHAPES[shape_family](rng).transformed(turned_to(h, (1, 1, 1), seed=seed))
    outline = outline.transformed(np.eye(3) * diameter_angstrom / outline.extent.mean()).centred()
    field, _ = STRAINS[strain_family](outline, rng)
    return LatticeCrystal(outline=outline, displacement=_scaled(field, outline, h, phase_range_rad))


def _scaled(field: Displacement, outline: Polyhedron, h: Floats, phase_range_rad: float) -> Displacement:
    """Return the field less the linear part of its component along h, scaled to the phase range."""
    ticks = np.linspace(-0.5, 0.5, 41)
    points = np.array(list(product(ticks, repeat=3))) * outline.extent
    points = points[outline.depth(points) > 0]
    length = float(np.linalg.norm(h))
    phase = field(points) @ h
    kept = without_ramp(phase, points, np.ones(len(points)))
    plane = np.linalg.lstsq(np.column_stack([points, np.ones(len(points))]), phase - kept, rcond=None)[0]
    factor, along = phase_range_rad / float(np.ptp(kept)), h / length**2

    def scaled(positions: Floats) -> Floats:
        ramp = positions @ plane[:3] + plane[3]
        return np.asarray(factor * (field(positions) - ramp[..., None] * along))

    return scaled


def fcc_atoms(outline: Polyhedron, *, lattice_constant: float, rotation: Floats) -> Floats:
    """Return the sites of a face-centred cubic lattice inside an outline.

    Parameters
    ----------
    outline : Polyhedron
        In Å.
    lattice_constant : float
        Edge of the cubic cell, Å.
    rotation : (3, 3) float64
        From crystal to laboratory axes.

    Returns
    -------
    (n_atoms, 3) float64, Å
        Laboratory ``(x, y, z)``; the origin is a site.
    """
    reach = int(np.ceil(np.linalg.norm(outline.vertices, axis=1).max() / lattice_constant)) + 1
    cells = np.array(list(product(range(-reach, reach + 1), repeat=3)), dtype=float)
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = lattice_constant * (cells[:, None] + base).reshape(-1, 3) @ rotation.T
    return np.asarray(sites[outline.depth(sites) >= 0])
