"""A crystal as training keeps it: density and displacement on voxels of one lattice constant, along the cubic axes.

Any reflection, orientation and sampling is drawn from it later. The displacement is known up to lattice translations,
which no reflection sees: next to a dislocation it jumps by one. So fields are never interpolated, exp(−i h·u) is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from friedel.bcdi.crystals.fcc import Reflection, checked_reflection, equivalent_reflections, less_translations
from friedel.core.errors import InputError

Floats = NDArray[np.float64]

INSIDE = 0.5
"""Density from which a voxel counts as inside when figures are taken."""
RANGE_PERCENTILES = (1.0, 99.0)  # for phase ranges: the extremes belong to single atoms at corners of the surface
JUMP = 0.25
"""Difference of u between neighbouring voxels, in voxels, that no strain explains."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalField:
    """A crystal in its own axes; the origin is at index ``n // 2`` of every axis.

    Attributes
    ----------
    metal : str
        Chemical symbol.
    density : (z, y, x) float32
        Atoms of the diffracting lattice in a voxel, relative to the ideal lattice: about 1 inside, 0 outside.
    displacement : (3, z, y, x) float32, Å
        u, components ``(x, y, z)``, from the best-fitting lattice; 0 outside.
    lattice : (3, 3) float64, Å
        Rows are the edges of the best-fitting lattice's cubic cell.
    n_atoms : int
        Atoms that diffract.
    history : mapping of str
        How it was made, as plain values.
    voxel_cells : float
        Edge of a voxel, in cells: 1, or more once magnified.
    """

    metal: str
    density: NDArray[np.float32]
    displacement: NDArray[np.float32]
    lattice: Floats
    n_atoms: int
    history: Mapping[str, Any] = field(default_factory=dict)
    voxel_cells: float = 1.0

    def __post_init__(self) -> None:
        if self.displacement.shape != (3, *self.density.shape) or self.lattice.shape != (3, 3):
            raise InputError(
                f"crystal field: displacement {self.displacement.shape} and lattice {self.lattice.shape} don't fit "
                f"density {self.density.shape}"
            )

    @property
    def voxel_angstrom(self) -> float:
        """Edge of a voxel: the cube root of the cell's volume, times `voxel_cells`, Å."""
        return float(self.voxel_cells * abs(np.linalg.det(self.lattice)) ** (1 / 3))

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Voxels ``(z, y, x)`` at least half full."""
        return np.asarray(self.density >= INSIDE)

    @property
    def continuous(self) -> bool:
        """Whether u has no jump inside: no dislocation, no stacking fault."""
        u = np.where(self.inside, self.displacement, np.nan)
        steps = (np.nanmax(np.abs(np.diff(u, axis=axis)), initial=0.0) for axis in (1, 2, 3))
        return max(float(step) for step in steps) < JUMP * self.voxel_angstrom

    def magnified(self, factor: float) -> "CrystalField":
        """Return a crystal ``factor`` times as large under the same strain: linear elasticity has no length scale.

        Raises
        ------
        InputError
            If the factor isn't positive, or the displacement has a jump, whose size is the lattice's.
        """
        if not factor > 0:
            raise InputError(f"a crystal can't be made {factor!r} times as large; give a positive factor")
        if not self.continuous:
            raise InputError(
                "the crystal has a dislocation or a stacking fault, which can't be magnified; leave it as is"
            )
        return replace(
            self,
            displacement=self.displacement * np.float32(factor),
            n_atoms=round(self.n_atoms * factor**3),
            voxel_cells=self.voxel_cells * factor,
        )

    def scattering_vector(self, hkl: Reflection) -> Floats:
        """Return h, ``(3,)``, Å⁻¹, of a reflection of the best-fitting lattice, along the cubic axes.

        Raises
        ------
        InputError
            If the lattice forbids the reflection.
        """
        return np.asarray(2 * np.pi * np.linalg.solve(self.lattice, checked_reflection(hkl)))

    def phase(self, hkl: Reflection) -> Floats:
        """Return φ = −h·u, ``(z, y, x)``, radians; not wrapped, 0 outside."""
        return np.asarray(-np.einsum("i,i...->...", self.scattering_vector(hkl), self.displacement))

    def object(self, hkl: Reflection) -> NDArray[np.complex64]:
        """Return ψ = ρ exp(−i h·u), ``(z, y, x)``, on the crystal's own voxels."""
        return np.asarray(self.density * np.exp(1j * self.phase(hkl)), dtype=np.complex64)

    def on_grid(self, hkl: Reflection, *, basis: Floats, shape: tuple[int, int, int]) -> NDArray[np.complex64]:
        """Return ψ on the voxels of a measurement.

        Parameters
        ----------
        hkl : (int, int, int)
            The reflection.
        basis : (3, 3) float64, Å
            Row ``k`` is the step ``(x, y, z)`` along array axis ``k``, in the crystal's axes: the laboratory's
            ``ReciprocalGrid.object_basis`` times the rotation from crystal to laboratory.
        shape : (int, int, int)
            ``(z, y, x)`` of the array.

        Returns
        -------
        (z, y, x) complex64
            Averages over each voxel, of the complex field; 0 beyond the crystal's box.
        """
        source = self.object(hkl)
        steps = basis / self.voxel_angstrom
        fine = max(1, int(np.ceil(np.linalg.norm(steps, axis=1).max() - 0.25)))
        ticks = (np.arange(fine) + 0.5) / fine - 0.5
        total = np.zeros(shape, dtype=np.complex128)
        for shift in np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3):
            total += _sampled(source, steps, shape, shift)
        return np.asarray(total / fine**3, dtype=np.complex64)

    def oversampled(
        self,
        hkl: Reflection,
        *,
        rotation: Floats,
        oversampling: tuple[float, float, float],
        shape: tuple[int, int, int],
    ) -> NDArray[np.complex64]:
        """Return ψ turned, in a box that is ``oversampling`` times its extent along each axis.

        Parameters
        ----------
        hkl : (int, int, int)
            The reflection.
        rotation : (3, 3) float64
            From crystal to laboratory axes ``(x, y, z)``.
        oversampling : (float, float, float)
            Box over crystal along ``(z, y, x)``; above 1.
        shape : (int, int, int)
            ``(z, y, x)`` of the array.

        Returns
        -------
        (z, y, x) complex64
            The middle of the crystal's extent at the box's origin, to a voxel.

        Raises
        ------
        InputError
            If the box would be smaller than the crystal.
        """
        if min(oversampling) < 1:
            raise InputError(f"oversampling must be at least 1 (the crystal must fit its box), got {oversampling!r}")
        axes = np.asarray(rotation)[::-1]  # laboratory z, y, x as rows, in crystal axes
        offsets = np.argwhere(self.inside)[:, ::-1] - np.asarray(self.density.shape[::-1]) // 2
        extent = (np.ptp(offsets @ axes.T, axis=0) + 1) * self.voxel_angstrom
        steps = extent * np.asarray(oversampling) / np.asarray(shape)
        return self.on_grid(hkl, basis=steps[:, None] * axes, shape=shape)

    def strain(self, hkl: Reflection) -> Floats:
        """Return ∂u_n/∂n along n = h/|h|, ``(z, y, x)``: central differences, NaN where a neighbour is not inside."""
        h = self.scattering_vector(hkl)
        n = h / np.linalg.norm(h)
        total = np.zeros(self.density.shape)
        for axis, share in zip((2, 1, 0), n, strict=True):
            total += share * np.einsum("i,i...->...", n, self._difference(axis)) / (2 * self.voxel_angstrom)
        return total

    def _difference(self, axis: int) -> Floats:
        """Return u(r + 1) − u(r − 1) along an array axis, less lattice translations; NaN where not inside."""
        u = np.where(self.inside, self.displacement, np.nan).astype(np.float64)
        ahead, behind = np.roll(u, -1, axis=axis + 1), np.roll(u, 1, axis=axis + 1)
        jump = np.where(np.isnan(ahead - behind), 0.0, ahead - behind)
        folded = np.moveaxis(self._less_translations(np.moveaxis(jump, 0, -1)), -1, 0)
        return np.where(np.isnan(ahead - behind), np.nan, folded)

    def _less_translations(self, vectors: Floats) -> Floats:
        cells = vectors @ np.linalg.inv(self.lattice)
        return np.asarray(less_translations(cells, 1.0) @ self.lattice)

    def strain_rms(self, hkl: Reflection = (1, 1, 1)) -> float:
        """Return the root mean square strain inside, over all reflections of the family; 0 without an inside."""
        values = np.stack([self.strain(equal) for equal in equivalent_reflections(hkl)])
        known = values[np.isfinite(values)]
        return float(np.sqrt(np.mean(known**2))) if known.size else 0.0

    def phase_range_rad(self, hkl: Reflection = (1, 1, 1)) -> float:
        """Return the range that holds φ in 98 % of the inside, radians: the largest among the family's reflections.

        The extremes are left out: they belong to single atoms at corners of the surface.
        """
        if not self.inside.any():
            return 0.0
        phases = [self.phase(equal)[self.inside] for equal in equivalent_reflections(hkl)]
        return max(float(np.ptp(np.percentile(phase, RANGE_PERCENTILES))) for phase in phases)


def _sampled(source: NDArray[np.complex64], steps: Floats, shape: tuple[int, int, int], shift: Floats) -> NDArray[Any]:
    """Return the field at places offset by ``shift`` of a measurement's indices; steps in voxels ``(x, y, z)``."""
    offsets = [np.arange(n) - n // 2 + move for n, move in zip(shape, shift, strict=True)]
    places = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1) @ steps
    indices = np.moveaxis(places[..., ::-1] + np.asarray(source.shape) // 2, -1, 0)
    real, imaginary = (map_coordinates(part, indices, order=1) for part in (source.real, source.imag))
    return np.asarray(real + 1j * imaginary)
