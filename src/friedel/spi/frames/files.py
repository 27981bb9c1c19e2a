"""Which files of frames to read, and how: the options a user types, and the files they mean. Opens nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from friedel.core.errors import InputError
from friedel.core.options import Options
from friedel.spi.frames.source import SUFFIXES, FrameOptions, natural

# How the European XFEL begins the names of a run's files: raw, calibrated, or calibrated by another procedure.
_RUN_MARKS = ("RAW-R", "CORR-R", "PROC-R", "REDU-R")


class FrameFiles(Options):
    """The frames of one run: a file, several, or folders."""

    paths: tuple[Path, ...]
    """Files (``.cxi .h5 .nxs .npy .npz .emc .tif .cbf .edf``), folders of them, or folders of European XFEL runs."""
    dataset: str | None = None
    """Path of the frames inside HDF5 (``*`` for several), array's name in ``.npz``, "SOURCE KEY" in a run; None: the
    only candidate."""
    mask: Path | None = None
    """Mask ``(y, x)`` for all files (``.npy .tif .h5 .cxi .edf``), beside the one a file itself may bring."""
    mask_dataset: str | None = None
    """The mask's name inside its file; None: the only 2D array."""
    mask_marks: Literal["bad", "good", "cxi"] | None = None
    """What anything but 0 means in the mask, or CXI's bits; None: bad, unless that leaves so little that it is
    asked."""
    own_mask: Literal["bad", "good", "none"] | None = None
    """The same of the masks that lie beside the frames in their own files; "none" leaves them out."""
    dark: Path | None = None
    """Dark image ``(y, x)``, or dark frames of which the median counts, taken off every frame."""
    geometry: Path | None = None
    """CrystFEL geometry file, for a detector whose modules aren't put together yet."""
    centre: tuple[float, float] | None = None
    """Pixel (y, x) of the frames that the direct beam hits; None: the geometry's, else where the pattern is
    symmetric."""

    @property
    def options(self) -> FrameOptions:
        """How to read each file."""
        return FrameOptions(dataset=self.dataset, geometry=self.geometry, own_mask=self.own_mask, dark=self.dark)


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files and runs that paths mean: a folder stands for its files, by the numbers in their names.

    Raises
    ------
    InputError
        If a path isn't there, a folder holds no frames, or a file is named twice.
    """
    found = [path for given in paths for path in _expand(given)]
    same: dict[Path, list[Path]] = {}
    for path in found:
        same.setdefault(path.resolve(), []).append(path)
    twice = [" and ".join(dict.fromkeys(map(str, names))) for names in same.values() if len(names) > 1]
    if twice:
        raise InputError(f"named twice: {', '.join(twice)}; its frames would be counted twice")
    return found


def _expand(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if not path.is_dir():
        return [path]
    entries = [entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    files = sorted(entries, key=lambda entry: natural(entry.name))
    if any(entry.name.startswith(_RUN_MARKS) for entry in files):
        return [path]
    if not files:
        raise InputError(f"{path}: no file of frames in this folder; frames are read from {', '.join(SUFFIXES)}")
    return files
