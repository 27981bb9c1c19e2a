"""What was measured: a raw rocking scan, and the clean 3D pattern made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import Beam, Detector, Diffractometer, ReciprocalGrid
from friedel.bcdi.records.origin import NOTHING_SAID, Origin, shortened
from friedel.core.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class BraggScan:
    """One rocking scan as recorded.

    Attributes
    ----------
    frames : (n_rocking, y, x), any real dtype
        Detector frames, photons or counts, in the order of the scan.
    mask : (y, x) bool
        True where the detector measures (False: gaps, dead and hot pixels known beforehand).
    beam, detector, diffractometer : records
        The instrument; all three None for a plain volume of unknown geometry.
    motors_deg : mapping of str to float or (n_rocking,) float64
        Angle of each circle of ``diffractometer``, degrees; those that move are arrays.
    energies_ev : (n_rocking,) float64 or None
        Photon energy of every frame of an energy scan; None: the beam's.
    dark, flat : (y, x) float32 or None
        Dark counts and relative (or absolute) flat field of the frames' region.
    monitor : (n_rocking,) float64 or None
        Incident intensity per frame, any unit.
    readings : mapping of str to float
        What else was asked to be kept: any motor, a temperature, in the files' own units.
    name : str
        Where the scan comes from, for messages and the report.
    origin : Origin
        What was read.
    """

    frames: NDArray[np.generic]
    mask: NDArray[np.bool_]
    beam: Beam | None = None
    detector: Detector | None = None
    diffractometer: Diffractometer | None = None
    motors_deg: Mapping[str, float | NDArray[np.float64]] = field(default_factory=dict)
    energies_ev: NDArray[np.float64] | None = None
    dark: NDArray[np.float32] | None = None
    flat: NDArray[np.float32] | None = None
    monitor: NDArray[np.float64] | None = None
    readings: Mapping[str, float] = field(default_factory=dict)
    name: str = "scan"
    origin: Origin = NOTHING_SAID

    def __repr__(self) -> str:
        n, rows, columns = self.frames.shape
        head = f"<BraggScan {self.name!r}: {n} frames of {rows} × {columns}, {self.frames.dtype}>"
        return "\n".join(line for line in (head, str(self.origin)) if line)

    def __post_init__(self) -> None:
        if self.frames.ndim != 3:
            raise InputError(f"{self.name}: a rocking scan is (n_rocking, y, x), got shape {self.frames.shape}")
        if self.mask.shape != self.frames.shape[1:]:
            raise InputError(f"{self.name}: mask {self.mask.shape} doesn't fit frames of {self.frames.shape[1:]}")


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnFrames:
    """The frames of an uneven scan as recorded, beside the pattern that was interpolated from them.

    Attributes
    ----------
    intensities : (n, y, x) float32
        In the pattern's unit, on its rows and columns. Values where ``mask`` is False carry no meaning.
    mask : (n, y, x) bool
        True where the intensity was measured.
    places : (n,) float64
        Where each frame lies along the pattern's first axis, in its voxels.
    """

    intensities: NDArray[np.float32]
    mask: NDArray[np.bool_]
    places: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Diffraction:
    """A prepared 3D measurement around one Bragg peak.

    Attributes
    ----------
    intensities : (z, y, x) float32, photons
        The peak's centre is at index ``n // 2``. Values where ``mask`` is False carry no meaning.
    mask : (z, y, x) bool
        True where the intensity was measured.
    grid : ReciprocalGrid or None
        Geometry of the voxels; None if unknown.
    name : str
        Where the data come from.
    unit : {"photons", "unknown"}
        Whether the values count photons, so that their noise is known; "unknown": any other scale.
    origin : Origin
        What was read, and the warnings after which a result isn't trusted.
    frames : OwnFrames or None
        What an uneven scan recorded; None: its frames are those of ``intensities``.
    """

    intensities: NDArray[np.float32]
    mask: NDArray[np.bool_]
    grid: ReciprocalGrid | None = None
    name: str = "diffraction"
    unit: Literal["photons", "unknown"] = "photons"
    origin: Origin = NOTHING_SAID
    frames: OwnFrames | None = None

    def __post_init__(self) -> None:
        if self.intensities.ndim != 3:
            raise InputError(f"{self.name}: a diffraction volume is (z, y, x), got shape {self.intensities.shape}")
        if self.mask.shape != self.intensities.shape:
            raise InputError(f"{self.name}: mask {self.mask.shape} doesn't fit intensities {self.intensities.shape}")

    def __repr__(self) -> str:
        shape = " × ".join(str(n) for n in self.intensities.shape)
        geometry = "no geometry" if self.grid is None else "geometry known"
        unit = "photons" if self.unit == "photons" else "in all, of an unknown unit"
        return (
            f"Diffraction({self.name}: {shape} voxels, {self.n_photons:.3g} {unit}, "
            f"{self.mask.mean():.1%} of the voxels measured, {geometry}{shortened(self.warnings)})"
        )

    def _repr_png_(self) -> bytes:
        """Return the picture that Jupyter shows: the three central slices of the intensities."""
        from friedel.bcdi.figures.notebook import diffraction_png

        return diffraction_png(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What can falsify a result, a sentence each."""
        return self.origin.warnings

    @property
    def read(self) -> tuple[tuple[str, str], ...]:
        """What was read, as a result's provenance keeps it: (fact, sentence), and ("warning", sentence)."""
        return (*self.origin.facts, *(("warning", text) for text in self.warnings))

    @property
    def n_photons(self) -> float:
        """Photons on measured voxels."""
        return float(self.intensities[self.mask].sum(dtype=np.float64))
