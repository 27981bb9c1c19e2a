"""One scan of a SPEC file, through silx: motors by mnemonic and by name, columns, header lines. No images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file
from friedel.core.files.placement import Region
from friedel.core.optional import load_optional


@dataclass(frozen=True, eq=False, kw_only=True)
class SpecScan:
    """What a SPEC file knows of one scan.

    Attributes
    ----------
    number : int
        Scan number.
    command : str
        The scan command ("ascan th -0.28 0.72 200 0.25").
    motors : mapping of str to float
        Positions at the scan's start, under the mnemonic and under the long name.
    columns : mapping of str to (n_points,) float64
        Counters and moving motors, by label.
    header : tuple of str
        The scan's header lines.
    """

    number: int
    command: str
    motors: Mapping[str, float]
    columns: Mapping[str, NDArray[np.float64]]
    header: tuple[str, ...]

    @property
    def n_points(self) -> int:
        """Points recorded."""
        return max((values.size for values in self.columns.values()), default=0)

    def region(self, key: str | None) -> Region | None:
        """Return ``(y0, y1, x0, x1)`` from the header line ``key minX sizeX minY sizeY …``, or None without one."""
        line = next((line for line in self.header if key is not None and line.split(maxsplit=1)[0] == key), None)
        numbers = [int(number) for number in re.findall(r"-?\d+", line.split(maxsplit=1)[-1])] if line else []
        if len(numbers) < 4 or min(numbers[:4]) < 0:
            return None
        x0, size_x, y0, size_y = numbers[:4]
        return y0, y0 + size_y, x0, x0 + size_x


def read_spec_scan(path: Path, number: int | None = None) -> SpecScan:
    """Read one scan of a SPEC file.

    Parameters
    ----------
    path : Path
        The SPEC file.
    number : int or None
        Scan number; None: the only scan.

    Raises
    ------
    InputError
        If the file is missing or isn't SPEC, or the scan is absent, ambiguous or empty.
    """
    require_file(path)
    silx = load_optional("silx.io.specfile", package="silx", extra="bcdi", purpose="read a SPEC file")
    with readable(path):
        _check_text(path)
        file = silx.SpecFile(str(path))
        try:
            return _scan(file, path, number)
        finally:
            file.close()


def _check_text(path: Path) -> None:
    """Refuse what isn't SPEC text before silx's C parser meets it: a scan line without a number crashes it."""
    content = path.read_bytes()
    if re.search(rb"[\x00-\x08\x0e-\x1f]", content) or not re.search(rb"^#S ", content, re.MULTILINE):
        raise InputError(f"{path}: isn't a SPEC file (binary content, or no scan in it); check the option 'spec'")
    damaged = re.search(rb"^#S(?! +\d+ ).*$", content, re.MULTILINE)
    if damaged:
        line = damaged[0][:40].decode("ascii", "replace")
        raise InputError(f"{path}: damaged scan line {line!r}; copy the file again")


def _scan(file: Any, path: Path, number: int | None) -> SpecScan:
    numbers = list(file.list())
    if number is None and len(numbers) != 1:
        raise InputError(f"{path}: holds scans {_ranges(numbers)}; choose one with the option 'scan'")
    wanted = numbers[0] if number is None else number
    if wanted not in numbers:
        raise InputError(f"{path}: has no scan {wanted}; it holds {_ranges(numbers)}")
    # A repeated number means the scan was taken again: the last one counts.
    scan = file[f"{wanted}.{numbers.count(wanted)}"]
    data = np.asarray(scan.data, dtype=np.float64)
    if data.ndim != 2 or data.shape[1] == 0:
        raise InputError(f"{path}: scan {wanted} has no points; was it aborted at once?")
    return SpecScan(
        number=wanted,
        command=" ".join(_value(scan.scan_header, "#S").split()[1:]),
        motors=_motors(scan.motor_names, scan.motor_positions, scan.file_header),
        columns=dict(zip(scan.labels, data, strict=False)),
        header=tuple(scan.scan_header),
    )


def _motors(names: list[str], positions: list[float], file_header: list[str]) -> dict[str, float]:
    # silx knows the long names (#O, two blanks apart); mnemonics stand in the same order on #o, one blank apart.
    lines = [line for line in file_header if re.match(r"#o\d+ ", line)]
    mnemonics = [word for line in lines for word in line.split()[1:]]
    motors = dict(zip(names, map(float, positions), strict=False))
    if len(mnemonics) == len(names):
        motors |= dict(zip(mnemonics, map(float, positions), strict=False))
    return motors


def _value(header: list[str], key: str) -> str:
    return next((line.split(maxsplit=1)[-1] for line in header if line.startswith(key + " ")), "")


def _ranges(numbers: list[int]) -> str:
    if len(numbers) > 8:
        return f"{numbers[0]} … {numbers[-1]} ({len(numbers)} scans)"
    return ", ".join(map(str, numbers)) or "none"
