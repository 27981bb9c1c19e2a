"""The instrument as records: beam, detector, circles; and the reciprocal-space grid that a scan spans.

The laboratory frame is right-handed: z along the incident beam, y up, x = y × z.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.units import wavelength_angstrom

AXIS_NAMES = ("x+", "x-", "y+", "y-", "z+", "z-")


def _check_axis(what: str, axis: str) -> None:
    if axis not in AXIS_NAMES:
        raise InputError(f"{what}: axis {axis!r} is not one of {', '.join(AXIS_NAMES)}")


def _check_positive(what: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{what} must be positive, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Beam:
    """The incident beam."""

    photon_energy_ev: float

    def __post_init__(self) -> None:
        _check_positive("photon_energy_ev", self.photon_energy_ev)

    @property
    def wavelength_angstrom(self) -> float:
        """Wavelength, Å."""
        return wavelength_angstrom(self.photon_energy_ev)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A flat pixel detector.

    Attributes
    ----------
    pixel_size_m : (float, float)
        Pixel pitch along the array's y (rows) and x (columns).
    distance_m : float
        From the sample to the detector plane.
    y_axis, x_axis : str
        Laboratory direction in which row and column numbers grow when all detector circles stand at zero ("y-", "x+").
    direct_beam_yx : (float, float)
        Pixel that the direct beam hits when all detector circles stand at zero.
    shift_m : (float, float, float)
        Laboratory ``(x, y, z)`` by which the detector is moved after its circles turned: a robot's or table's place.
    """

    pixel_size_m: tuple[float, float]
    distance_m: float
    y_axis: str = "y-"
    x_axis: str = "x+"
    direct_beam_yx: tuple[float, float]
    shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_positive("pixel_size_m (y)", self.pixel_size_m[0])
        _check_positive("pixel_size_m (x)", self.pixel_size_m[1])
        _check_positive("distance_m", self.distance_m)
        _check_axis("detector y_axis", self.y_axis)
        _check_axis("detector x_axis", self.x_axis)


@dataclass(frozen=True)
class Circle:
    """One rotation: the motor's name and the laboratory axis it turns about, right-handed for "+"."""

    motor: str
    axis: str

    def __post_init__(self) -> None:
        _check_axis(f"circle {self.motor!r}", self.axis)


@dataclass(frozen=True, kw_only=True)
class Diffractometer:
    """The circles that carry sample and detector, outermost first."""

    sample_circles: tuple[Circle, ...]
    detector_circles: tuple[Circle, ...]


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
