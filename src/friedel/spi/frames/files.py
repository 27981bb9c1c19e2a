"""Which files of frames to read, and how: the options a user types, and the files they mean. Opens nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from friedel.core.errors import InputError
from friedel.core.options import Options
from friedel.spi.frames.source import SUFFIXES

# How the European XFEL begins the names of a run's files: raw, calibrated, or calibrated by another procedure.
_RUN_MARKS = ("RAW-R", "CORR-R", "PROC-R", "REDU-R")


class FrameFiles(Options):
    """The frames of one run: a file, several, or folders."""

    paths: tuple[Path, ...]
    """Files (``.cxi .h5 .hdf5 .nxs .npy .npz``), folders of such files, or folders of European XFEL runs."""
    dataset: str | None = None
    """Path of the frames inside HDF5, array's name in ``.npz``, "SOURCE KEY" in a run; None: the only candidate."""
    mask: Path | None = None
    """Mask ``(y, x)`` for all files (``.npy .tif .h5 .cxi .edf``), beside the one a file itself may bring."""
    mask_dataset: str | None = None
    """The mask's name inside its file; None: the only 2D array."""
    mask_marks: Literal["cxi", "bad", "good"] = "cxi"
    """Meaning of the mask's values: CXI's bits (0 is good, 1 is bad), or what anything but 0 means."""
    geometry: Path | None = None
    """CrystFEL geometry file, for a European XFEL detector of 16 modules."""


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files and runs that paths mean: a folder stands for the files of frames in it, by name.

    Raises
    ------
    InputError
        If a path isn't there, a folder holds no frames, or a file is named twice.
    """
    found = [path for given in paths for path in _expand(given)]
    twice = sorted({str(path) for path in found if found.count(path) > 1}) if len(found) < 10_000 else []
    if twice:
        raise InputError(f"named twice: {', '.join(twice)}; its frames would be counted twice")
    return found


def _expand(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if not path.is_dir():
        return [path]
    files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file())
    if any(entry.name.startswith(_RUN_MARKS) for entry in files):
        return [path]
    if not files:
        raise InputError(f"{path}: no file of frames in this folder; frames are read from {', '.join(SUFFIXES)}")
    return files
