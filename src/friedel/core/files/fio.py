"""DESY's ``.fio`` text files: parameters, and a table of a scan's motors and counters. No images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file


@dataclass(frozen=True, eq=False, kw_only=True)
class FioScan:
    """What a ``.fio`` file says.

    Attributes
    ----------
    command : str
        The scan command, from its comment; "" if there is none.
    motors : mapping of str to float
        The parameters that are numbers, by name.
    columns : mapping of str to (n_points,) float64
        The table; NaN where a value isn't a number.
    """

    command: str
    motors: Mapping[str, float]
    columns: Mapping[str, NDArray[np.float64]]


def read_fio(path: Path) -> FioScan:
    """Read a ``.fio`` file.

    Raises
    ------
    InputError
        If it is missing or isn't one, or its table has other columns than it says.
    """
    require_file(path)
    with readable(path):
        lines = path.read_bytes().decode("latin-1").replace("\r", "").split("\n")
    sections = _sections(lines)
    if not {"%p", "%d"} & set(sections):
        raise InputError(f"{path}: isn't a .fio file (no parameters %p and no data %d); check the option 'spec'")
    labels, rows = [], []
    for line in sections.get("%d", []):
        match = re.match(r"\s*Col\s+(\d+)\s+(\S+)", line)
        if match:
            labels.append(match[2])
        elif line.strip() and not line.strip().startswith("!"):
            rows.append(line.split())
    whole = [row for row in rows if labels and len(row) == len(labels)]
    if rows and not whole:
        raise InputError(f"{path}: {len(labels)} columns are named, but the lines have {len(rows[0])} values")
    table = np.array([[_number(word) for word in row] for row in whole], dtype=np.float64).reshape(
        len(whole), len(labels)
    )
    command = next((line.strip() for line in sections.get("%c", []) if "scan" in line.lower()), "")
    return FioScan(
        command=command, motors=_parameters(sections.get("%p", [])), columns=dict(zip(labels, table.T, strict=True))
    )


def _sections(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    here: list[str] = []
    for line in lines:
        if re.match(r"%[a-z]\s*$", line.strip().lower()):
            here = found.setdefault(line.strip().lower(), [])
        elif not line.startswith("!"):
            here.append(line)
    return found


def _parameters(lines: list[str]) -> dict[str, float]:
    pairs = [
        (name.strip(), _number(text.strip()))
        for name, equals, text in (line.partition("=") for line in lines)
        if equals
    ]
    return {name: value for name, value in pairs if np.isfinite(value)}


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")
