"""Raw detector frames of a result's scan, read again from where its plan says they are; the latest scan is kept."""

import base64
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.show.fields import Field, packed
from friedel.core.errors import InputError
from friedel.core.figures import INTENSITY_MAP
from friedel.core.plan import read_yaml
from friedel.web.viewer.catalogue import Entry

_PLAN = "plan.yaml"
_LARGEST = 1024
"""Pixels an edge on the page: of larger frames the brightest pixel of each block is shown, so that no peak is lost."""


class RawScans:
    """Gives the frames behind results; safe to be asked from several threads.

    Parameters
    ----------
    entries : sequence of Entry
        The table's results.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)
        self._kept: tuple[int, BraggScan] | None = None
        self._lock = threading.Lock()

    def described(self, number: int) -> dict[str, Any]:
        """Return what a page needs to show the frames of a result: how many, their sums and angles, colours, limits.

        Raises
        ------
        InputError
            If the result doesn't say where its frames are, or they aren't there any more.
        """
        scan = self._scan(number)
        shown = _shrunk(scan, 0)
        brightest = max(float(np.nanmax(frame * scan.mask)) for frame in scan.frames)
        name, angles = _scanned(scan)
        sums = [float(np.nansum(frame * scan.mask, dtype=np.float64)) for frame in scan.frames]
        return {
            "name": scan.name,
            "shape": [len(scan.frames), *shown.shape],
            "block": _block(scan),
            "range": [0.0, float(np.log10(1 + max(brightest, 1.0)))],
            "sums": sums,
            "scanned": name,
            "angles": angles,
            "masked": float(1 - scan.mask.mean()),
            "map": base64.b64encode(_colours()).decode("ascii"),
            "read": str(scan.origin),
        }

    def frame(self, number: int, place: int) -> tuple[bytes, float]:
        """Return log₁₀ (1 + counts) of one frame as `packed` does, masked pixels as NaN, and its largest value.

        Raises
        ------
        InputError
            If there is no such frame, or the frames can't be read.
        """
        scan = self._scan(number)
        if not 0 <= place < len(scan.frames):
            raise InputError(f"no frame {place}: there are {len(scan.frames)}")
        values = np.log10(1 + np.maximum(_shrunk(scan, place), 0)).astype(np.float32)
        low, high = 0.0, float(np.nanmax(values, initial=0.0)) or 1.0
        field = Field(name="frame", unit="", values=values, colours=INTENSITY_MAP, limits=(low, high))
        return packed(field, span=(low, high)), high

    def _scan(self, number: int) -> BraggScan:
        with self._lock:  # two who ask for one scan don't read it twice
            if self._kept is None or self._kept[0] != number:
                self._kept = (number, self._read(number))
            return self._kept[1]

    def _read(self, number: int) -> BraggScan:
        if number >= len(self._entries):
            raise InputError(f"no result {number}: there are {len(self._entries)}")
        path = self._entries[number].folder / _PLAN
        if not path.is_file():
            raise InputError(
                f"{self._entries[number].name}: no {_PLAN} beside it, so nobody knows where its frames are"
            )
        # Only the section that says where the frames are: an older result's other settings needn't be known any more.
        section = read_yaml(path).get("scan")
        if not section:
            raise InputError(f"{path} names no scan, so nobody knows where its frames are")
        return read_scan(ScanSource.read(section, origin=str(path)).located(path.resolve().parent))


def _block(scan: BraggScan) -> int:
    return -(-max(scan.frames.shape[1:]) // _LARGEST)


def _shrunk(scan: BraggScan, place: int) -> NDArray[np.float64]:
    """Return a frame, NaN where masked, as the brightest pixels of its blocks."""
    frame = np.where(scan.mask, scan.frames[place].astype(np.float64), np.nan)
    block = _block(scan)
    if block == 1:
        return frame
    rows, columns = (-(-n // block) * block for n in frame.shape)
    padded = np.full((rows, columns), np.nan)
    padded[: frame.shape[0], : frame.shape[1]] = frame
    blocks = padded.reshape(rows // block, block, columns // block, block).transpose(0, 2, 1, 3)
    flat = blocks.reshape(rows // block, columns // block, -1)
    return np.where(np.isnan(flat).all(-1), np.nan, np.fmax.reduce(flat, axis=-1))


def _scanned(scan: BraggScan) -> tuple[str, list[float] | None]:
    """Return what moved, and where it stood at each frame; the first of several circles."""
    for name, reading in scan.motors_deg.items():
        if np.ndim(reading) and np.isfinite(reading).all():
            return f"{name} (°)", [float(angle) for angle in np.asarray(reading)]
    if scan.energies_ev is not None:
        return "photon energy (eV)", [float(energy) for energy in scan.energies_ev]
    return "frame", None


def _colours() -> bytes:
    table = np.rint(colormaps[INTENSITY_MAP](np.linspace(0, 1, 256))[:, :3] * 255)
    return table.astype(np.uint8).tobytes()
