"""What a user looks at: the crystal on a regular grid, with its displacement, strain and lattice spacing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records.uncertainty import CrystalErrors
from friedel.core.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalImage:
    """A crystal on a cubic grid; arrays are indexed ``(z, y, x)`` of ``frame``, the origin at index ``n // 2``.

    Without the measurement's geometry (``frame`` "voxels") the object stays on its own voxels, and everything that
    needs a length or h is None.

    Attributes
    ----------
    object : (z, y, x) complex64
        ψ in the reconstruction's scale; phase −h·u, its mean and mean gradient over the crystal zero.
    support : (z, y, x) bool
        Inside the isosurface.
    isosurface_level : float
        Amplitude of the surface as a fraction of ``bulk_amplitude``.
    bulk_amplitude : float
        Most frequent amplitude inside.
    frame : str
        "laboratory", "h along y", "h along z" or "voxels".
    voxel_size_angstrom : float or None
        Edge of the cubic voxels.
    displacement_angstrom : (z, y, x) float32 or None
        u = −φ/|h| along ``direction``, unwrapped; NaN outside. Many-valued round a dislocation: see ``turns``.
    strain : (z, y, x) float32 or None
        ∂u/∂n, relative to the crystal's mean lattice; positive where the spacing is larger; NaN outside.
    d_spacing_angstrom : (z, y, x) float32 or None
        Local spacing of the lattice planes; NaN outside.
    turns : (z, y, x) bool or None
        Voxels around which the phase turns by 2π: cores of dislocations.
    direction : (3,) float64 or None
        n = h/|h|, components ``(x, y, z)`` of ``frame``.
    q_bragg : (3,) float64 or None
        Mean scattering vector h of the crystal, Å⁻¹, components ``(x, y, z)`` of ``frame``.
    d0_angstrom : float or None
        Mean spacing 2π/|h|: the spacing at zero strain.
    errors : CrystalErrors or None
        Standard errors of phase, displacement, strain and size, if the reconstruction has them.
    notes : tuple of str
        What was done and decided, a sentence each.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    isosurface_level: float
    bulk_amplitude: float
    frame: str
    voxel_size_angstrom: float | None = None
    displacement_angstrom: NDArray[np.float32] | None = None
    strain: NDArray[np.float32] | None = None
    d_spacing_angstrom: NDArray[np.float32] | None = None
    turns: NDArray[np.bool_] | None = None
    direction: NDArray[np.float64] | None = None
    q_bragg: NDArray[np.float64] | None = None
    d0_angstrom: float | None = None
    errors: CrystalErrors | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        volumes = (self.support, self.displacement_angstrom, self.strain, self.d_spacing_angstrom, self.turns)
        wrong = [v.shape for v in volumes if v is not None and v.shape != self.object.shape]
        if wrong:
            raise InputError(f"crystal image: the object is {self.object.shape} but another volume is {wrong[0]}")

    def __repr__(self) -> str:
        shape = " × ".join(str(n) for n in self.object.shape)
        size = "" if self.voxel_size_angstrom is None else f" of {self.voxel_size_angstrom / 10:.3g} nm"
        strain = "no strain"
        if self.strain is not None:
            strain = f"strain {float(np.nanstd(self.strain)):.2g} rms"
        return (
            f"CrystalImage({shape} voxels{size}, {int(self.support.sum())} inside, in the {self.frame} frame, {strain})"
        )

    def _repr_png_(self) -> bytes:
        """Return the picture that Jupyter shows: slices of amplitude, and of strain where there is one."""
        from friedel.bcdi.figures.notebook import crystal_png

        return crystal_png(self)

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """|ψ| over the bulk's amplitude, ``(z, y, x)`` float32."""
        return np.asarray(np.abs(self.object) / self.bulk_amplitude, dtype=np.float32)

    @property
    def phase(self) -> NDArray[np.float32]:
        """Arg ψ, ``(z, y, x)`` float32, radians in (−π, π]."""
        return np.asarray(np.angle(self.object), dtype=np.float32)
