"""How far each voxel of a reconstruction may be off: standard errors and the deviations they come from."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class Uncertainty:
    """Standard errors of a reconstruction, relative to its own mean phase, place and twin.

    The deviations δ_k are a square root of the covariance: a quantity f(ψ) has the variance Σ_k (f(ψ + δ_k) − f(ψ))².

    Attributes
    ----------
    deviations : (n_deviations, n_support) complex64
        Deviations of ψ on the support's voxels, in the order of ``object[support]``.
    origins : tuple of str
        Origin of each deviation: "photons" or "solutions" (other solutions that fit, supports among them).
    phase_rad : (z, y, x) float32, radians
        Standard error of the phase; NaN outside the support.
    amplitude : (z, y, x) float32
        Standard error of |ψ| as a fraction of the bulk's amplitude; NaN outside the support.
    phase_rms_rad : float
        RMS of ``phase_rad`` inside the crystal, where the amplitude is at least half the bulk's.
    photons_rad, solutions_rad : float
        Its two parts, which add up in square.
    misfit : float
        Mean Poisson deviance over the one that photon noise alone gives; where it is above 1, the photons' part of the
        variance has been multiplied by it.
    diameter_voxels, diameter_error_voxels : float
        Diameter of the sphere of the crystal's volume, edges of a voxel of equal volume, and its standard error.
    n_solutions : int
        Other solutions that were compared.
    """

    deviations: NDArray[np.complex64]
    origins: tuple[str, ...]
    phase_rad: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    phase_rms_rad: float
    photons_rad: float
    solutions_rad: float
    misfit: float
    diameter_voxels: float
    diameter_error_voxels: float
    n_solutions: int

    def __post_init__(self) -> None:
        if len(self.origins) != len(self.deviations) or self.phase_rad.shape != self.amplitude.shape:
            raise InputError(
                f"uncertainty: {len(self.deviations)} deviations but {len(self.origins)} origins, maps of "
                f"{self.phase_rad.shape} and {self.amplitude.shape}"
            )

    def __repr__(self) -> str:
        return (
            f"Uncertainty(phase known to {self.phase_rms_rad:.2g} rad rms (photons {self.photons_rad:.2g}, "
            f"{self.n_solutions} other solutions {self.solutions_rad:.2g}), misfit {self.misfit:.3g}; "
            f"maps of {' × '.join(map(str, self.phase_rad.shape))} voxels)"
        )

    def figures(self) -> dict[str, Any]:
        """Return what isn't an array, ready for JSON; a number that isn't finite becomes None."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in _FIGURES}
        for name, value in plain.items():
            if isinstance(value, float) and not math.isfinite(value):
                plain[name] = None
        return plain | {"origins": list(self.origins)}


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalErrors:
    """Standard errors of a `CrystalImage`, on its grid; NaN outside the crystal.

    Attributes
    ----------
    phase_rad : (z, y, x) float32, radians
        Of the phase.
    diameter, diameter_error : float
        Diameter of the sphere of the crystal's volume, and its standard error: Å, or voxels without geometry.
    displacement_angstrom : (z, y, x) float32 or None
        Of the displacement along h.
    strain : (z, y, x) float32 or None
        Of the strain.
    d0_angstrom : float or None
        Of the mean spacing, as far as the object tells it; the angles' own errors come on top.
    strain_rms : float or None
        Of the strain's RMS over the crystal, whose surface is known no better than its amplitude is even.
    """

    phase_rad: NDArray[np.float32]
    diameter: float
    diameter_error: float
    displacement_angstrom: NDArray[np.float32] | None = None
    strain: NDArray[np.float32] | None = None
    d0_angstrom: float | None = None
    strain_rms: float | None = None

    def __repr__(self) -> str:
        known = [f"phase {_rms(self.phase_rad):.2g} rad"]
        if self.displacement_angstrom is not None:
            known.append(f"displacement {_rms(self.displacement_angstrom):.2g} Å")
        if self.strain is not None:
            known.append(f"strain {_rms(self.strain):.2g}")
        return f"CrystalErrors(rms over the crystal: {', '.join(known)}; diameter ± {self.diameter_error:.3g})"


def _rms(values: NDArray[np.float32]) -> float:
    known = values[np.isfinite(values)].astype(np.float64)
    return float(np.sqrt(np.mean(known**2))) if known.size else math.nan


_FIGURES = (
    "phase_rms_rad",
    "photons_rad",
    "solutions_rad",
    "misfit",
    "diameter_voxels",
    "diameter_error_voxels",
    "n_solutions",
)
