"""Open HDF5 files that other programs are still writing, or that were cut off. Knows nothing of what is in them.

HDF5 refuses a file that is shorter than its header says. A reader that returns zeros beyond the end makes the part
that is there readable; `OpenedFile.n_bytes` tells a caller which data are real.
"""

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py

from friedel.core.errors import InputError
from friedel.core.files.damage import readable

CONVENTIONAL = ("entry_1/image_1/data", "entry_1/data_1/data", "entry/data/data")
"""Where CXI and NeXus keep the frames, assembled ones before those of modules; taken whatever else is there."""
# No file is so long: whatever length the header promises, the padded file has it.
_PRETENDED_BYTES = 1 << 50
# HDF5's own 1 MiB holds no chunk of a large detector's frames, so a chunk of several frames would be decompressed anew
# for each of them.
_CHUNK_CACHE_BYTES = 64 << 20
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Open for writing, and readable meanwhile (HDF5 File Format Specification 3.0, "File Consistency Flags").
_WRITER = 0x1 | 0x4
# An ordinary file opens in milliseconds, on a slow network file system within a second or two.
_PATIENCE_S = 10.0


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenedFile:
    """An open HDF5 file, and what was odd about opening it.

    Attributes
    ----------
    file : h5py.File
        Open for reading.
    n_bytes : int or None
        Length of a cut-off file, beyond which every byte reads as zero; None: the file is whole.
    notes : tuple of str
        One sentence for each oddity.
    """

    file: h5py.File
    n_bytes: int | None = None
    notes: tuple[str, ...] = ()


def unit_of(dataset: h5py.Dataset) -> str | None:
    """Return what a dataset's ``units`` (or ``unit``) attribute says, as text; None without one."""
    for name in ("units", "unit"):
        value = dataset.attrs.get(name)
        value = value.ravel()[0] if hasattr(value, "ravel") and value.size else value
        if value is not None:
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return None


def open_hdf5(path: Path) -> OpenedFile:
    """Open an HDF5 file for reading: plainly, else as one that is being written, else as one that was cut off.

    Raises
    ------
    InputError
        If it is empty or not HDF5.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); nothing was written to it yet, or the copy failed")
    with readable(path):
        try:
            return OpenedFile(file=h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES))
        except OSError as error:
            return _being_written(path) or _cut_off(path, error)


def _being_written(path: Path) -> OpenedFile | None:
    """Open a file that is marked as being written. HDF5 may hang on such a file, so another process tries first."""
    if not _says_written(path) or not _opens_in_time(path):
        return None
    try:
        file = h5py.File(path, "r", libver="latest", swmr=True, locking=False, rdcc_nbytes=_CHUNK_CACHE_BYTES)
    except OSError:
        return None
    n_bytes = path.stat().st_size
    return OpenedFile(file=file, n_bytes=n_bytes, notes=("the file is still being written, or its writer was killed",))


def _says_written(path: Path) -> bool:
    """Read HDF5's mark of an open writer: versions 2 and 3 of the superblock keep it in their twelfth byte."""
    with path.open("rb") as file:
        head = file.read(12)
    return len(head) == 12 and head[:8] == _SIGNATURE and head[8] >= 2 and bool(head[11] & _WRITER)


def _opens_in_time(path: Path) -> bool:
    """Say whether another process opens the file and finds what is in it within a few seconds."""
    script = (
        "import sys, h5py\n"
        "with h5py.File(sys.argv[1], 'r', libver='latest', swmr=True, locking=False) as file:\n"
        "    file.visit(lambda name: None)"
    )
    command = [sys.executable, "-I", "-c", script, str(path)]
    try:
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


def _cut_off(path: Path, error: OSError) -> OpenedFile:
    if "truncated file" not in str(error):
        raise error
    padded = _Padded(path)
    note = f"the file was cut off after {padded.n_bytes} bytes"
    try:
        return OpenedFile(file=h5py.File(padded, "r"), n_bytes=padded.n_bytes, notes=(note,))
    except Exception:
        padded.close()
        raise


class _Padded(io.RawIOBase):
    """A file that goes on with zeros beyond its end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._position = 0
        self.n_bytes = os.fstat(self._file.fileno()).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: _PRETENDED_BYTES}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # h5py hands in a memoryview
        out = memoryview(buffer).cast("B")
        there = max(min(len(out), self.n_bytes - self._position), 0)
        if there:
            self._file.seek(self._position)
            self._file.readinto(out[:there])
        out[there:] = bytes(len(out) - there)
        self._position += len(out)
        return len(out)

    def close(self) -> None:
        self._file.close()
        super().close()
