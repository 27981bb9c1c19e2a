"""What a beamline is, in data: circles, energy, detector and file layout, read from YAML.

A beamline is a description, not code: adding one means writing a YAML file. The shipped descriptions lie in
``beamlines/`` beside this module. This module reads and checks them; `friedel.bcdi.scans.angles` combines one with a
scan's motor positions.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from friedel.bcdi.scans.source import PixelSize
from friedel.core.errors import InputError, PlanError
from friedel.core.options import Options
from friedel.core.plan import yaml_values

SHIPPED = Path(__file__).parent / "beamlines"
AxisName = Literal["x+", "x-", "y+", "y-", "z+", "z-"]
_ENERGIES, _LENGTHS = ("eV", "keV", "angstrom"), ("m", "cm", "mm", "um")


class CircleOptions(Options):
    """One rotation of the sample or of the detector."""

    motor: str
    """Name of the circle, and of its motor in the file (SPEC mnemonic, or positioner)."""
    axis: AxisName
    """Laboratory axis the circle turns about, right-handed for "+"; z along the beam, y up, x = y × z."""
    names: tuple[str, ...] = ()
    """Other names the motor goes by in files (SPEC's long name; with a slash in it a path in HDF5, ``*`` for any)."""
    sign: Literal[-1, 1] = 1
    """Sign between the motor's reading and the circle's angle."""
    offset_deg: FiniteFloat = 0.0
    """Added to sign × reading to give the circle's angle."""
    fixed_deg: FiniteFloat | None = None
    """Angle to use when the file doesn't record the motor; None: the motor must be recorded."""


class Quantity(Options):
    """A number that the file records as a motor, or that never changes."""

    motor: str | None = None
    """Motor name; with a slash in it, a dataset's path inside the scan's HDF5 entry."""
    value: FiniteFloat | None = None
    """The number itself, where no motor has it."""
    unit: Literal["m", "cm", "mm", "um", "eV", "keV", "angstrom"]
    """Unit of the motor or the value; "angstrom" is the wavelength in place of the energy."""
    scale: FiniteFloat = 1.0
    """Multiplies the motor's reading or the value: -1 where the motor counts against the axis."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.motor is None and self.value is None:
            raise ValueError("give a motor, a value, or both (the value is used where the motor isn't recorded)")
        if self.scale == 0:
            raise ValueError("a scale of 0 would make every reading 0")
        return self


class DetectorOptions(Options):
    """The pixel detector."""

    pixel_size_m: tuple[PixelSize, PixelSize]
    """Pixel pitch along rows' numbers (y) and columns' numbers (x), where the scan's files don't say it."""
    pixel_sizes_m: dict[str, tuple[PixelSize, PixelSize]] = Field(default_factory=dict)
    """The same of other detectors of the beamline, by a pattern (``*eiger*``) that their frames' path matches."""
    distance: Quantity | None = None
    """Sample to detector; None: every scan must state it."""
    shift_x: Quantity | None = None
    """Laboratory shift of the detector after its circles turned, along x: a robot's or a table's place; None: 0."""
    shift_y: Quantity | None = None
    """The same along y."""
    shift_z: Quantity | None = None
    """The same along z, added to what the distance gives."""
    y_axis: AxisName = "y-"
    """Laboratory direction of growing row numbers with all detector circles at zero."""
    x_axis: AxisName = "x+"
    """Laboratory direction of growing column numbers with all detector circles at zero."""
    direct_beam_yx: tuple[float, float] | None = None
    """Full-chip pixel of the direct beam with all circles at zero; None: the centre of the recorded region."""

    @model_validator(mode="after")
    def _in_space(self) -> Self:
        if self.y_axis[0] == self.x_axis[0]:
            raise ValueError(f"rows and columns both run along {self.y_axis[0]}: y_axis and x_axis must differ")
        for name in ("distance", "shift_x", "shift_y", "shift_z"):
            quantity = getattr(self, name)
            if quantity is not None and quantity.unit not in _LENGTHS:
                raise ValueError(f"{name} is a length, in {', '.join(_LENGTHS)}; its unit is {quantity.unit!r}")
        return self


def _fillable(pattern: str) -> str:
    """Return a pattern in which the scan's number alone can be put."""
    try:
        pattern.format(scan=1)
    except (KeyError, IndexError, ValueError):
        raise ValueError(f"{pattern!r}: only {{scan}} can stand in braces, as in {{scan:05d}}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_fillable)]


class SpecTiffLayout(Options):
    """A folder of TIFF (or EDF, CBF) frames, or one file of several pages, and a SPEC file."""

    kind: Literal["spec_tiff"]
    """Which reader understands the layout."""
    folder: Pattern = "*_S{scan:04d}"
    """Pattern of the frames' folder, sought below the given path."""
    frame_sum: str | None = None
    """SPEC column holding the sum of each frame, to check that frames and points belong together."""
    region: str | None = None
    """SPEC header key of the recorded region "minX sizeX minY sizeY" ("#UIMR5")."""
    monitor: str | None = None
    """SPEC column of the incident intensity; None: not used."""


class ScannedColumn(Options):
    """Positions of the scanned motor that stand under a name which isn't the motor's."""

    positions: str
    """Path of the positions ``(n,)`` inside the entry."""
    motor: str | None = None
    """The circle that is scanned, where the file doesn't name it."""
    motor_named_in: str | None = None
    """Path of a text inside the entry that ends in one of ``motors``."""
    motors: tuple[str, ...] = ()
    """Circles it may name."""


class Hdf5Layout(Options):
    """An HDF5 file in the BLISS or NeXus manner."""

    kind: Literal["hdf5"]
    """Which reader understands the layout."""
    entry: Pattern = "{scan}.1"
    """Path of a scan's group; ``{scan}`` is the scan number. A trailing match counts: "name_12.1" for "12.1"; so do
    ``*``."""
    frames: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths of the frames ``(n, y, x)`` inside the entry, the first one present is read; ``*`` matches any name."""
    positioners: tuple[str, ...]
    """Groups holding the motors, inside the entry; the first that knows a motor wins."""
    scanned: ScannedColumn | None = None
    """Where the scanned motor's positions stand, if not under the motor's name."""
    monitor: str | None = None
    """Path of the incident intensity ``(n,)``; None: not used."""


class FioLayout(Options):
    """An EIGER's master file, its data files beside it, and a ``.fio`` text file with motors and counters."""

    kind: Literal["fio"]
    """Which reader understands the layout."""
    master: Pattern = "*_{scan:05d}_master.h5"
    """Pattern of the master file, sought below the given path."""
    fio: Pattern = "*_{scan:05d}.fio"
    """Pattern of the text file (a ``.fio``, or Bluesky's documents as ``.jsonl``), sought in the folders above the
    master file, unless the option 'spec' names it."""
    frames: str = "entry/data"
    """Group or dataset of the frames in the master file."""
    monitor: str | None = None
    """Column of the incident intensity; None: not used."""


class Beamline(Options):
    """A beamline, complete enough to turn its files into a scan with geometry."""

    name: str
    """Short name, the YAML file's own."""
    description: str = ""
    """One sentence for people."""
    sample_circles: Annotated[tuple[CircleOptions, ...], Field(min_length=1)]
    """Circles that turn the sample, outermost first."""
    detector_circles: tuple[CircleOptions, ...] = ()
    """Circles that carry the detector, outermost first."""
    energy: Quantity
    """Photon energy."""
    detector: DetectorOptions
    """The pixel detector."""
    dark_is: Literal["bad_pixels", "offset"] = "offset"
    """Meaning of the dark file: marks on bad pixels (non-zero is bad), or counts to subtract."""
    layout: Annotated[SpecTiffLayout | Hdf5Layout | FioLayout, Field(discriminator="kind")]
    """How the files lie."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.energy.unit not in _ENERGIES:
            raise ValueError(f"energy is in {', '.join(_ENERGIES)}; its unit is {self.energy.unit!r}")
        for side, circles in (("sample", self.sample_circles), ("detector", self.detector_circles)):
            motors = [circle.motor for circle in circles]
            if len(set(motors)) < len(motors):
                raise ValueError(f"{side}_circles: a motor stands twice among {', '.join(motors)}; each turns once")
        return self


def shipped_beamlines() -> tuple[str, ...]:
    """Return the names of the beamlines described in the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def load_beamline(name_or_path: str | Path) -> Beamline:
    """Read a beamline's description.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped name (``"aps34idc"``), or the path of a YAML file.

    Raises
    ------
    InputError
        If there is no such description or it isn't YAML.
    PlanError
        If a key or a value in it is wrong.
    """
    shipped = SHIPPED / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"no beamline {str(name_or_path)!r}; shipped are {', '.join(shipped_beamlines())}. "
            "For another one, write its YAML (copy one of those) and give its path"
        )
    try:
        values = yaml_values(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not readable as YAML ({error}); see the shipped descriptions") from None
    if not isinstance(values, dict):
        raise PlanError(f"{path}: a beamline's description is a mapping of keys to values, got {type(values).__name__}")
    return Beamline.read(values, origin=str(path))
