"""Where a scan's files are and what they mean: the options a user types. Nothing is opened here."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from friedel.core.options import Options

# Pixels of detectors for photons measure 5 µm to 0.3 mm: other numbers are of another unit.
PixelSize = Annotated[float, Field(gt=1e-6, lt=1e-3)]


class ScanSource(Options):
    """The files of one measurement.

    Without a beamline the path is a plain 3D volume (``.npy .npz .tif .h5 .cxi``) of unknown geometry.
    """

    names_or_paths: ClassVar[tuple[str, ...]] = ("beamline",)

    path: Path
    """Folder of frames (or a folder above it), HDF5 file, or plain 3D volume."""
    beamline: str | None = None
    """Shipped beamline name or path of a beamline's YAML; None: a plain volume."""
    scan: int | str | None = None
    """Scan number; needed where the files hold several. "54.2" is the second scan of that number."""
    spec: Path | None = None
    """SPEC file, for frames kept as TIFF or EDF files; or the ``.fio`` file beside an EIGER's."""
    dataset: str | None = None
    """Array's name inside ``.npz``, or dataset's path inside HDF5; None: the only 3D one."""
    dark: Path | None = None
    """Dark image, full chip or the frames' region."""
    dark_is: Literal["bad_pixels", "offset"] | None = None
    """Meaning of the dark: marks (non-zero is bad) or counts to subtract; None: as the beamline says, else offset."""
    flat: Path | None = None
    """Flat field (whitefield), full chip or the frames' region."""
    mask: Path | None = None
    """Mask image of any kind of file (2D, full chip or the frames' region), or 3D mask of the whole volume."""
    mask_marks: Literal["bad", "good"] | None = None
    """What non-zero means in a mask; None: bad, and a mask that hides the peak or leaves little is asked about."""
    mask_dataset: str | None = None
    """The mask's name inside ``mask``, or inside the data's file; None: what has a mask's name and fits is used."""
    mask_beside: bool = True
    """Use a mask that lies beside the data in their file."""
    region: tuple[int, int, int, int] | None = None
    """Rows and columns ``(y0, y1, x0, x1)`` of the full chip that the frames are; None: as recorded, else from 0, 0."""
    window: tuple[int, int, int, int] | None = None
    """Rows and columns ``(y0, y1, x0, x1)`` of the recorded frames to read, to spare memory; None: all of them."""
    energy_ev: Annotated[float, Field(gt=0)] | None = None
    """Photon energy instead of the recorded one."""
    distance_m: Annotated[float, Field(gt=0)] | None = None
    """Sample–detector distance instead of the recorded one."""
    pixel_size_m: tuple[PixelSize, PixelSize] | None = None
    """Pixel pitch along rows' numbers (y) and columns' numbers (x) instead of the recorded one."""
    direct_beam_yx: tuple[float, float] | None = None
    """Full-chip pixel of the direct beam with all circles at zero, instead of the beamline's."""
    record: tuple[str, ...] = ()
    """Names of further readings to keep, as the files call them: any motor, a temperature, a counter (its mean)."""

    @field_validator("scan", mode="before")
    @classmethod
    def _number_and_order(cls, value: Any) -> Any:
        # YAML reads 54.1 as a fraction.
        text = str(value)
        if isinstance(value, bool) or value is None or isinstance(value, int) or text.isdigit():
            return int(text) if text.isdigit() else value
        number, point, order = text.partition(".")
        if not (point and number.isdigit() and order.isdigit()):
            raise ValueError("a scan is its number (54), or number and order (54.1)")
        return text

    @property
    def number(self) -> int | None:
        """Number of the scan."""
        return None if self.scan is None else int(str(self.scan).partition(".")[0])

    @property
    def order(self) -> int | None:
        """Which of several scans of that number, from 1; None: not stated."""
        _, point, order = str(self.scan).partition(".")
        return int(order) if point else None
