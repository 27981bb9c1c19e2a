"""Where a scan's files are and what they mean: the options a user types. Nothing is opened here."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from friedel.core.options import Options


class ScanSource(Options):
    """The files of one measurement.

    Without a beamline the path is a plain 3D volume (``.npy .npz .tif .h5 .cxi``) of unknown geometry.
    """

    names_or_paths: ClassVar[tuple[str, ...]] = ("beamline",)

    path: Path
    """Folder of frames (or a folder above it), HDF5 file, or plain 3D volume."""
    beamline: str | None = None
    """Shipped beamline name or path of a beamline's YAML; None: a plain volume."""
    scan: int | None = None
    """Scan number; needed where the files hold several."""
    spec: Path | None = None
    """SPEC file, for frames kept as a folder of TIFF files."""
    dataset: str | None = None
    """Array's name inside ``.npz``, or dataset's path inside HDF5; None: the only 3D one."""
    dark: Path | None = None
    """Dark image, full chip or the frames' region."""
    dark_is: Literal["bad_pixels", "offset"] | None = None
    """Meaning of the dark: marks (non-zero is bad) or counts to subtract; None: as the beamline says, else offset."""
    flat: Path | None = None
    """Flat field (whitefield), full chip or the frames' region."""
    mask: Path | None = None
    """Mask image (2D, full chip or the frames' region), or 3D mask of the whole volume."""
    mask_marks: Literal["bad", "good"] = "bad"
    """What non-zero means in the mask file."""
    region: tuple[int, int, int, int] | None = None
    """Rows and columns ``(y0, y1, x0, x1)`` of the full chip that the frames are; None: as recorded, else from 0, 0."""
    window: tuple[int, int, int, int] | None = None
    """Rows and columns ``(y0, y1, x0, x1)`` of the recorded frames to read, to spare memory; None: all of them."""
    energy_ev: Annotated[float, Field(gt=0)] | None = None
    """Photon energy instead of the recorded one."""
    distance_m: Annotated[float, Field(gt=0)] | None = None
    """Sample–detector distance instead of the recorded one."""
    direct_beam_yx: tuple[float, float] | None = None
    """Full-chip pixel of the direct beam with all circles at zero, instead of the beamline's."""
