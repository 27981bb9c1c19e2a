"""The answer: a complex object, its support, its quality and how it was made."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records.origin import shortened
from friedel.bcdi.records.quality import Quality
from friedel.bcdi.records.uncertainty import Uncertainty

if TYPE_CHECKING:
    from friedel.bcdi.show.page import Shown


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a result was made: enough to make it again.

    Attributes
    ----------
    plan : dict
        The complete plan, defaults included.
    seed : int
        Seed of every random choice.
    versions : dict of str to str
        This package, Python and the libraries whose numbers matter.
    source : str
        The data's origin.
    started : str
        ISO 8601 time, UTC.
    seconds : float
        Wall time of the reconstruction.
    notes : tuple of (str, str)
        What each step did: (step, sentence), in order; warnings begin with "warning: ".
    read : tuple of (str, str)
        What was read: (fact, sentence), as in `Origin`; what can falsify the result stands under "warning".
    """

    plan: dict[str, Any]
    seed: int
    versions: dict[str, str]
    source: str
    started: str
    seconds: float
    notes: tuple[tuple[str, str], ...] = ()
    read: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Start:
    """What became of one independent start.

    Attributes
    ----------
    chi_curve : (n_recorded,) float32
        χ along the iterations.
    iterations : (n_recorded,) int64
        Iteration number of each entry.
    chi : float
        Final χ on fitted voxels.
    free_deviance : float or None
        Mean Poisson deviance on held-out voxels.
    support_voxels : int
        Size of its support.
    correlation : float
        With the chosen solution, after alignment.
    chosen : bool
        Whether it went into the result.
    """

    chi_curve: NDArray[np.float32]
    iterations: NDArray[np.int64]
    chi: float
    support_voxels: int
    correlation: float
    chosen: bool
    free_deviance: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Reconstruction:
    """A reconstructed object, in the convention of docs/conventions.md.

    Attributes
    ----------
    object : (z, y, x) complex64
        ψ with Σ|ψ|² = photons, zero outside the support; centre of mass at index ``n // 2`` to half a voxel; phase −h·u
        with zero mean, relative to the lattice spacing at the measurement's centre voxel (so it may hold a ramp).
    support : (z, y, x) bool
        Where the object may be non-zero.
    quality : Quality
        Figures and reasons.
    grid : ReciprocalGrid or None
        Geometry of the measurement; None if unknown.
    provenance : Provenance
        Plan, seed, versions and notes.
    starts : tuple of Start
        Every independent start, for the report.
    uncertainty : Uncertainty or None
        Standard errors, voxel by voxel; None if they weren't asked for.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    quality: Quality
    provenance: Provenance
    grid: ReciprocalGrid | None = None
    starts: tuple[Start, ...] = field(default=())
    uncertainty: Uncertainty | None = None

    def __repr__(self) -> str:
        shape, quality = " × ".join(str(n) for n in self.object.shape), self.quality
        verdict = "trusted" if quality.trusted else "not trusted"
        warnings = tuple(text for fact, text in self.provenance.read if fact == "warning")
        return (
            f"Reconstruction({self.provenance.source}: {shape} voxels, {quality.support_voxels} in the support, "
            f"χ {quality.chi:.3g}, {verdict}{shortened(warnings)})"
        )

    def _repr_png_(self) -> bytes:
        """Return the picture that Jupyter shows: slices of amplitude and phase through the middle."""
        from friedel.bcdi.figures.notebook import reconstruction_png

        return reconstruction_png(self)

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """|ψ|, ``(z, y, x)`` float32."""
        return np.abs(self.object)

    @property
    def phase(self) -> NDArray[np.float32]:
        """Phase of ψ, ``(z, y, x)`` float32, radians in (−π, π]."""
        return np.angle(self.object)

    @property
    def voxel_basis_angstrom(self) -> NDArray[np.float64] | None:
        """Real-space steps along ``(z, y, x)``, rows, laboratory ``(x, y, z)``, Å; None without geometry."""
        shape = self.object.shape
        return None if self.grid is None else self.grid.object_basis((shape[0], shape[1], shape[2]))

    def show(self, *, height: int = 900) -> "Shown":
        """Show the result in a notebook: slices to scroll, profiles, a surface to turn; its `save` writes the page.

        Parameters
        ----------
        height : int
            Of the page in the notebook, pixels.
        """
        from friedel.bcdi.show.page import show

        return show(self, height=height)

    def save(self, path: str | Path) -> Path:
        """Write the reconstruction to a file; the suffix chooses the format (``.cxi``, ``.npz``, ``.vti``).

        The file appears whole or not at all: an existing good file is replaced only by a complete new one.

        Raises
        ------
        InputError
            If the suffix is unknown or the file can't be written.
        """
        from friedel.bcdi.results.save import save_reconstruction

        return save_reconstruction(self, Path(path))
