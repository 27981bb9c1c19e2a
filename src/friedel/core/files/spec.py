"""One scan of a SPEC file: motors by mnemonic and by name, columns, header lines. No images.

Read here rather than by a library, because irregular files must be understood or refused: names and values of
different numbers, scans taken twice, aborted ones, stray bytes. Text is Latin-1, in which every byte is a character.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file
from friedel.core.files.placement import Region

# More bytes than this that text never has, and the file isn't text.
MOST_CONTROL = 0.01
_NO_NUMBER = ("nan", "inf", "infinity", "none")  # what a line of a table may begin with beside a number


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
        Counters and moving motors, by label; NaN where a value isn't a number.
    header : tuple of str
        The scan's header lines.
    notes : tuple of str
        What was odd about it, a sentence each.
    """

    number: int
    command: str
    motors: Mapping[str, float]
    columns: Mapping[str, NDArray[np.float64]]
    header: tuple[str, ...]
    notes: tuple[str, ...] = ()

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


@dataclass(frozen=True, eq=False)
class _Block:
    """One ``#S`` block: its number, how many of that number came before it, its lines, and the header that holds."""

    number: int
    order: int
    lines: list[str]
    header: list[str]

    @property
    def rows(self) -> list[str]:
        found, spectrum = [], False
        for line in self.lines:
            # A spectrum of a multi-channel analyser goes on over lines that end in a backslash.
            inside, spectrum = spectrum, (spectrum or line.startswith("@")) and line.endswith("\\")
            word = line.split(maxsplit=1)[0] if line.strip() else "#"
            if not inside and word[0] not in "#@" and (not word[0].isalpha() or word.lower() in _NO_NUMBER):
                found.append(line)
        return found


def read_spec_scan(path: Path, number: int | None = None, *, order: int | None = None) -> SpecScan:
    """Read one scan of a SPEC file.

    Parameters
    ----------
    path : Path
        The SPEC file.
    number : int or None
        Scan number; None: the only scan.
    order : int or None
        Which of several scans of that number, from 1; None: the last one that has points.

    Raises
    ------
    InputError
        If the file is missing or isn't SPEC, the scan is absent, ambiguous or empty, or names and values of its motors
        differ in number, so that it isn't known which value is whose.
    """
    require_file(path)
    with readable(path):
        blocks = _blocks(_text(path), path)
        block, notes = _chosen(blocks, path, number, order)
        columns, more = _columns(block, path)
        return SpecScan(
            number=block.number,
            command=" ".join(block.lines[0].split()[2:]),
            motors=_motors(block, path),
            columns=columns,
            header=tuple(line for line in block.lines if line.startswith("#")),
            notes=(*notes, *more),
        )


def _text(path: Path) -> str:
    content = path.read_bytes()
    control = len(re.findall(rb"[\x00-\x08\x0e-\x1f]", content))
    if control > MOST_CONTROL * len(content) or not re.search(rb"^#S ", content, re.MULTILINE):
        raise InputError(f"{path}: isn't a SPEC file (binary content, or no scan in it); check the option 'spec'")
    text = content.decode("latin-1")
    return re.sub(r"[\x00-\x08\x0e-\x1f]", "", text)


def _blocks(text: str, path: Path) -> list[_Block]:
    header: list[str] = []
    blocks: list[_Block] = []
    inside = False
    # Only line feeds end lines: Latin-1 has other characters that Python would split at.
    for line in (line.rstrip("\r") for line in text.split("\n")):
        if line.startswith("#S"):
            match = re.match(r"#S +(\d+) +\S", line)
            if match is None:
                raise InputError(f"{path}: damaged scan line {line[:40]!r}; copy the file again")
            number = int(match[1])
            blocks.append(_Block(number, 1 + sum(b.number == number for b in blocks), [line], header))
            inside = True
        elif line.startswith(("#F ", "#E ")) and (inside or line.startswith("#F ") or not header):
            # A new file header: after `newfile`, or when a file is opened again, often with other motors.
            header, inside = [line], False
        elif inside and re.match(r"#O0( |$)", line):
            # Motors alone are named anew where a configuration was read again; no scan has such a line.
            header, inside = [line], False
        elif inside:
            blocks[-1].lines.append(line)
        else:
            header.append(line)
    return blocks


def _chosen(blocks: list[_Block], path: Path, number: int | None, order: int | None) -> tuple[_Block, tuple[str, ...]]:
    numbers = [block.number for block in blocks]
    if number is None and len(set(numbers)) != 1:
        raise InputError(f"{path}: holds scans {_ranges(numbers)}; choose one with the option 'scan'")
    wanted = numbers[0] if number is None else number
    same = [block for block in blocks if block.number == wanted]
    if not same:
        raise InputError(f"{path}: has no scan {wanted}; it holds {_ranges(numbers)}")
    if order is not None:
        if not 1 <= order <= len(same):
            raise InputError(f"{path}: scan {wanted} was taken {len(same)} time(s); there is no {wanted}.{order}")
        return same[order - 1], ()
    full = [block for block in same if block.rows]
    if not full:
        raise InputError(f"{path}: scan {wanted} has no points; was it aborted at once?")
    most = max(len(block.rows) for block in full)
    # Of scans taken again the last counts, but one that was stopped early doesn't replace a whole one.
    block = [one for one in full if 2 * len(one.rows) >= most][-1]
    if len(same) == 1:
        return block, ()
    points = ", ".join(f"{wanted}.{one.order}: {len(one.rows)} points" for one in same)
    return block, (f"scan {wanted} was taken {len(same)} times ({points}); {wanted}.{block.order} is read",)


def _columns(block: _Block, path: Path) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    label_line = next((line for line in block.lines if line.startswith("#L ")), None)
    if label_line is None or not block.rows:
        raise InputError(
            f"{path}: scan {block.number} has no points or no line of labels (#L); was it aborted at once?"
        )
    rows = [row.split() for row in block.rows]
    labels = _split(label_line[3:])
    width = len(rows[0])
    if len(labels) != width:
        labels = label_line[3:].split() if len(label_line[3:].split()) == width else labels
    if len(labels) != width:
        raise InputError(
            f"{path}: scan {block.number} has {len(labels)} labels but {width} columns; which is which isn't known: "
            "mend its #L line"
        )
    notes = []
    whole = [row for row in rows if len(row) == width]
    if len(whole) < len(rows):
        notes.append(f"scan {block.number}: {len(rows) - len(whole)} lines are cut short and left out")
    if any("aborted" in line.lower() for line in block.lines if line.startswith("#C")):
        notes.append(f"scan {block.number} was aborted after {len(whole)} points")
    table = np.array([[_number(word) for word in row] for row in whole], dtype=np.float64)
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        notes.append(
            f"scan {block.number} has several columns {', '.join(map(repr, twice))}; the first of each is read"
        )
    return dict(zip(labels[::-1], table.T[::-1], strict=True)), notes


def _motors(block: _Block, path: Path) -> dict[str, float]:
    names = [name for line in _numbered(block.header, "O") for name in _split(line)]
    mnemonics = [name for line in _numbered(block.header, "o") for name in line.split()]
    positions = [_number(word) for line in _numbered(block.lines, "P") for word in line.split()]
    if len(names) != len(positions):  # some programs part names by one blank
        words = [name for line in _numbered(block.header, "O") for name in line.split()]
        names = words if len(words) == len(positions) else names
    known = [("#O", names), ("#o", mnemonics)]
    wrong = [
        f"{len(listed)} names on its {key} lines" for key, listed in known if listed and len(listed) != len(positions)
    ]
    if positions and wrong:
        raise InputError(
            f"{path}: scan {block.number} has {len(positions)} motor positions on its #P lines but "
            f"{' and '.join(wrong)}: a motor was added or taken away without 'newfile', so it isn't known which value "
            "is whose; mend the #O and #o lines"
        )
    motors = dict(zip(names, positions, strict=False))
    return motors | dict(zip(mnemonics, positions, strict=False))


def _numbered(lines: list[str], key: str) -> list[str]:
    """Return what follows ``#key0``, ``#key1`` and so on, in their order."""
    found = [(int(match[1]), match[2]) for line in lines if (match := re.match(rf"#{key}(\d+)(?: +(.*))?$", line))]
    return [text or "" for _, text in sorted(found, key=lambda pair: pair[0])]


def _split(text: str) -> list[str]:
    """Split at two or more blanks: SPEC's long names may hold single ones."""
    return [name for name in re.split(r" {2,}|\t+", text.strip()) if name]


def _number(word: str) -> float:
    try:
        # Fortran writes exponents with a D, and some locales a comma before the decimals.
        return float(re.sub(r"(?<=[\d.])[dD](?=[+-]?\d)", "e", word.replace(",", ".")))
    except ValueError:
        return float("nan")


def _ranges(numbers: list[int]) -> str:
    if len(numbers) > 8:
        return f"{numbers[0]} … {numbers[-1]} ({len(numbers)} scans)"
    return ", ".join(map(str, numbers)) or "none"
