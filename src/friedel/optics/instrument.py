"""The instrument as plain records: what the beam, the detector and the circles are, not where they stand in a scan.

The laboratory frame is right-handed: z along the incident beam, y up, x = y × z.
"""

from dataclasses import dataclass

from friedel.base.errors import InputError
from friedel.base.units import wavelength_angstrom

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
    """

    pixel_size_m: tuple[float, float]
    distance_m: float
    y_axis: str = "y-"
    x_axis: str = "x+"
    direct_beam_yx: tuple[float, float]

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
