"""The reciprocal-space grid of a 3D measurement, and the real-space grid it implies."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError


@dataclass(frozen=True, eq=False)
class ReciprocalGrid:
    """Where the voxels of a measurement lie in reciprocal space.

    Attributes
    ----------
    basis : (3, 3) float64, Å⁻¹
        Row ``k`` is the step in q, laboratory frame ``(x, y, z)``, from one voxel to the next along array axis ``k``
        of ``(z, y, x)``. The rows need be neither orthogonal nor of one length.
    q_bragg : (3,) float64, Å⁻¹
        Scattering vector at the centre of the grid (index ``n // 2``), laboratory frame ``(x, y, z)``.
    wavelength_angstrom : float
        Wavelength of the beam.
    """

    basis: NDArray[np.float64]
    q_bragg: NDArray[np.float64]
    wavelength_angstrom: float

    def __post_init__(self) -> None:
        if self.basis.shape != (3, 3) or self.q_bragg.shape != (3,):
            raise InputError(f"grid needs (3, 3) basis, (3,) q_bragg; got {self.basis.shape}, {self.q_bragg.shape}")
        if not abs(np.linalg.det(self.basis)) > 0:
            raise InputError("the grid's three steps lie in one plane: check the scan's angles (does the motor move?)")

    @property
    def d_spacing_angstrom(self) -> float:
        """Mean spacing of the lattice planes, 2π/|q|, Å."""
        return float(2 * np.pi / np.linalg.norm(self.q_bragg))

    def object_basis(self, shape: tuple[int, int, int]) -> NDArray[np.float64]:
        """Return the real-space step vectors of the object's voxels.

        Parameters
        ----------
        shape : (int, int, int)
            ``(z, y, x)`` of the array.

        Returns
        -------
        (3, 3) float64, Å
            Row ``k`` is the laboratory step ``(x, y, z)`` along array axis ``k``. With index offsets n (real space)
            and m (reciprocal space), q·r = 2π Σ_k n_k m_k / N_k.
        """
        return 2 * np.pi * np.linalg.inv(self.basis).T / np.asarray(shape, dtype=float)[:, None]

    def binned(self, factors: tuple[int, int, int]) -> Self:
        """Return the grid after summing blocks of ``factors`` voxels along ``(z, y, x)``; the centre stays."""
        return replace(self, basis=self.basis * np.asarray(factors, dtype=float)[:, None])

    def shifted(self, voxels: tuple[float, float, float]) -> Self:
        """Return the grid whose centre lies ``voxels`` further along ``(z, y, x)``."""
        return replace(self, q_bragg=self.q_bragg + np.asarray(voxels, dtype=float) @ self.basis)
