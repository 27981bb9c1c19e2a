"""Write a rocking scan as APS 34-ID-C leaves it: areaDetector TIFF frames, a SPEC file, dark and whitefield.

For simulated scans: what is written is read back by the same reader as a real one. Real measurements are never written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.observer import Observer, Progress, silent

CHIP = (512, 512)  # rows and columns of the beamline's detector
HOT = 100  # counts of a bad pixel in the dark image; any number but 0 marks one
WHITEFIELD_COUNTS = 15000.0  # of a pixel of average efficiency; any would do, since preparation divides by the median
# SPEC's long names and mnemonics, eight a line, as in the beamline's own header.
MOTORS = (
    ("Delta", "del"), ("Theta", "th"), ("Chi", "chi"), ("Phi", "phi"), ("Mu", "mu"), ("Gamma", "gam"),
    ("camdist", "cam"), ("Energy", "en"),
)  # fmt: skip
# A fixed date: a simulated scan of one seed is the same file whenever it is written.
DATE = "#D Tue Feb 04 12:00:00 2020"
CIRCLES = ("th", "chi", "phi", "del", "gam")


@dataclass(frozen=True)
class _Point:
    """One line of the scan's table."""

    angle: float
    total: int
    maximum: int


def write_aps34idc_scan(
    directory: Path, scan: BraggScan, *, number: int = 54, sample: str = "Simulated", observer: Observer = silent
) -> ScanSource:
    """Write a scan in 34-ID-C's format.

    Parameters
    ----------
    directory : Path
        Made if absent. Gets ``<sample>_S0054/<sample>_S0054_00000.tif`` …, ``<sample>.spec``, ``dark.tif`` and
        ``whitefield.tif``; an earlier scan of the same sample and number is replaced.
    scan : BraggScan
        Frames ``(n_rocking, y, x)`` of whole counts, at most 512 × 512; beam, detector and the five circles' angles.
        False in its mask becomes a hot pixel in the dark image; its flat the whitefield.
    number : int
        Scan number.
    sample : str
        Beginning of the file names.
    observer : Observer
        Hears progress.

    Returns
    -------
    ScanSource
        What `friedel.bcdi.scans.read.read_scan` needs to read it back.

    Raises
    ------
    InputError
        If the frames don't fit the chip or aren't counts, the geometry is incomplete, or a file can't be written.
    """
    frames, angles = _counts(scan), _angles(scan)
    stem = f"{sample}_S{number:04d}"
    folder = directory / stem
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{stem}_*.tif"):
            stale.unlink()
        for index, frame in enumerate(frames):
            _write_tiff(folder / f"{stem}_{index:05d}.tif", frame, index)
            observer(Progress("writing frames", index + 1, len(frames)))
        _write_tiff(directory / "dark.tif", _on_chip(np.where(scan.mask, 0, HOT).astype(np.int32), 0), 0)
        flat = np.ones(scan.mask.shape, np.float32) if scan.flat is None else scan.flat
        whitefield = (flat * WHITEFIELD_COUNTS).astype(np.float32)
        _write_tiff(directory / "whitefield.tif", _on_chip(whitefield, WHITEFIELD_COUNTS), 0)
        (directory / f"{sample}.spec").write_text(_spec(scan, frames, angles, number), encoding="ascii")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{directory}: can't write the scan ({reason}); free space or choose another folder") from None
    return ScanSource(
        path=folder, spec=directory / f"{sample}.spec", scan=number, beamline="aps34idc",
        dark=directory / "dark.tif", flat=directory / "whitefield.tif",
    )  # fmt: skip


def _counts(scan: BraggScan) -> NDArray[np.int32]:
    _, rows, columns = scan.frames.shape
    if rows > CHIP[0] or columns > CHIP[1]:
        raise InputError(f"{scan.name}: frames of {rows} × {columns} don't fit the chip of {CHIP[0]} × {CHIP[1]}")
    counts = scan.frames.astype(np.int32)
    if not np.array_equal(counts, scan.frames):
        raise InputError(f"{scan.name}: frames hold fractions; a detector writes whole counts: draw photons first")
    return counts


def _angles(scan: BraggScan) -> Mapping[str, NDArray[np.float64]]:
    missing = [name for name in CIRCLES if name not in scan.motors_deg]
    if missing or scan.beam is None or scan.detector is None:
        lacks = ", ".join(missing) or "beam or detector"
        raise InputError(f"{scan.name}: lacks {lacks}; 34-ID-C's circles are {', '.join(CIRCLES)}")
    angles = {name: np.broadcast_to(np.asarray(scan.motors_deg[name], float), len(scan.frames)) for name in CIRCLES}
    if any(np.ptp(angles[name]) > 0 for name in CIRCLES if name != "th"):
        raise InputError(f"{scan.name}: only 'th' can be rocked in this format")
    return angles


def _on_chip(region: NDArray[np.generic], fill: float) -> NDArray[np.generic]:
    chip = np.full(CHIP, fill, region.dtype)
    chip[: region.shape[0], : region.shape[1]] = region
    return chip


def _write_tiff(path: Path, image: NDArray[np.generic], index: int) -> None:
    # 65000–65003 are areaDetector's own tags: time in seconds, frame number, and the EPICS time stamp.
    numbers = ((65001, index), (65002, 0), (65003, 0))
    tags = [(65000, "d", 1, float(index), True), *((tag, "I", 1, value, True) for tag, value in numbers)]
    tifffile.imwrite(
        path, image, photometric="minisblack", software="EPICS areaDetector", metadata=None, extratags=tags
    )


def _spec(scan: BraggScan, frames: NDArray[np.int32], angles: Mapping[str, NDArray[np.float64]], number: int) -> str:
    points = [
        _Point(float(angle), int(frame.sum(dtype=np.int64)), int(frame.max()))
        for angle, frame in zip(angles["th"], frames, strict=True)
    ]
    return "\n".join([*_file_header(), "", *_scan_header(scan, angles, number), *_table(points), ""])


def _file_header() -> list[str]:
    names = "  ".join(name for name, _ in MOTORS)
    mnemonics = " ".join(mnemonic for _, mnemonic in MOTORS)
    return ["#F simulated.spec", "#E 1580840000", DATE, "#C simulated scan", f"#O0 {names}", f"#o0 {mnemonics}"]


def _scan_header(scan: BraggScan, angles: Mapping[str, NDArray[np.float64]], number: int) -> list[str]:
    theta, (rows, columns) = angles["th"], scan.mask.shape
    at = {name: float(angles[name][0]) for name in CIRCLES}
    distance_m = 0.0 if scan.detector is None else scan.detector.distance_m
    energy_ev = 0.0 if scan.beam is None else scan.beam.photon_energy_ev
    at |= {"mu": 0.0, "cam": 1e3 * distance_m, "en": 1e-3 * energy_ev}
    positions = " ".join(f"{at[mnemonic]:.10g}" for _, mnemonic in MOTORS)
    return [
        f"#S {number}  ascan  th {theta[0]:.9g} {theta[-1]:.9g}  {len(theta) - 1} 0.25",
        DATE,
        "#T 0.25  (Seconds)",
        f"#P0 {positions}",
        "#UIMDET simulated:",
        "#UIM Image header information from areaDetector",
        "#UIMR Name minX sizeX minY sizeY BgdWidth",
        f"#UIMR5  0 {columns} 0 {rows} 1",
        "#N 4",
        "#L Theta  Seconds  ImageTot  ImageMax",
    ]


def _table(points: list[_Point]) -> list[str]:
    return [f"{point.angle:.10g} 0.25 {point.total} {point.maximum}" for point in points]
