"""Labels that a person gives to frames of a run: a table with the columns ``frame`` and ``label``, in any case.

Commas, semicolons, tabs or blanks part the columns. Other columns are allowed and kept out of the way, as are empty
lines and those that begin with #; a line whose label is empty, or −1, is a frame not looked at yet.
"""

import codecs
import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing

SINGLE_WORDS = ("1", "single", "good", "hit", "yes", "true", "single hit", "y")
OTHER_WORDS = (
    "0", "other", "bad", "multiple", "no", "false", "multi", "non hit", "nonhit", "not hit", "no hit", "multi hit",
    "multiple hits", "double", "miss", "empty", "blank", "background", "n",
)  # fmt: skip
FRAME_NAMES = ("frame", "frames", "frame number", "frame index", "frame id", "index")
"""Names of the column of frames, the first that is there counts."""
FILE_NAMES = ("file", "filename", "file name", "path", "run")
LABEL_NAMES = ("labels", "class", "category")
UNLABELLED = ("", "-1", "nan", "none", "na", "n/a", "?", "unlabelled", "unlabeled", "unknown")
COLUMNS = ("frame", "label", "why")


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameLabels:
    """Labelled frames, by rising number.

    Attributes
    ----------
    frames : (n,) int64
        Numbers of the frames in the run.
    single : (n,) bool
        True for single hits.
    """

    frames: NDArray[np.int64]
    single: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frames)


def read_labels(path: Path, *, n_frames: int) -> FrameLabels:
    """Read labels.

    Parameters
    ----------
    path : Path
        The CSV file.
    n_frames : int
        Frames in the run.

    Raises
    ------
    InputError
        If the file can't be read, lacks a column, has a word that isn't a label, names a frame that isn't in the run
        or names one twice with different labels; the line is named.
    """
    try:
        lines = _text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the labels can't be read ({error}); give a CSV file in UTF-8") from error
    # The numbers of lines are kept for messages.
    plain = ["" if line.lstrip().startswith("#") or line.lower().startswith("sep=") else line for line in lines]
    heading = next((line for line in plain if line.strip()), "")
    parted_by = max(",;\t", key=heading.count)
    if not any(mark in heading for mark in ",;\t"):
        plain, parted_by = [",".join(line.split()) for line in plain], ","
    try:
        rows = list(csv.reader(plain, delimiter=parted_by, skipinitialspace=True))
    except csv.Error as error:
        raise InputError(f"{path}: the labels can't be read ({error}); give a CSV file in UTF-8") from error
    found = _collected(path, rows, n_frames)
    if not found:
        raise InputError(f"{path}: no frame has a label; write one of {', '.join((*SINGLE_WORDS, *OTHER_WORDS))}")
    numbers = np.array(sorted(found), dtype=np.int64)
    return FrameLabels(frames=numbers, single=np.array([found[int(number)] for number in numbers]))


def _text(path: Path) -> str:
    """Return a text in UTF-8, in what its first bytes say, or in Latin-1, in which every byte is a character."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _collected(path: Path, rows: list[list[str]], n_frames: int) -> dict[int, bool]:
    filled = [(number, row) for number, row in enumerate(rows, start=1) if any(word.strip() for word in row)]
    names = [word.strip().lower().replace("_", " ") for word in filled[0][1]] if filled else []
    frame = next((name for name in FRAME_NAMES if name in names), None)
    names = ["label" if name in LABEL_NAMES and "label" not in names else name for name in names]
    if frame is None or "label" not in names:
        missing = "label" if frame else "frame"
        raise InputError(f"{path}: no column {missing!r}; its first line must name the columns, 'frame,label' at least")
    if names.count(frame) > 1 or names.count("label") > 1:
        raise InputError(f"{path}: two columns have one name; which is meant isn't known: keep one")
    _require_one_file(path, names, filled[1:])
    found: dict[int, bool] = {}
    for line, row in filled[1:]:
        where, values = f"{path}, line {line}", dict(zip(names, row, strict=False))
        label = _label(values.get("label"), where)
        if label is None:
            continue
        number = _number(values.get(frame), where, n_frames)
        if found.setdefault(number, label) != label:
            raise InputError(f"{where}: frame {number} has two different labels; keep one")
    return found


def _require_one_file(path: Path, names: list[str], rows: list[tuple[int, list[str]]]) -> None:
    """Raise InputError if the table names frames of several files: their numbers would be taken for one run's."""
    place = next((names.index(name) for name in FILE_NAMES if name in names), None)
    files = {row[place].strip() for _, row in rows if place is not None and place < len(row)} - {""}
    if len(files) > 1:
        listing = ", ".join(sorted(files)[:3])
        raise InputError(f"{path}: its labels are of {len(files)} files ({listing}); keep the lines of one run")


def _label(word: str | None, where: str) -> bool | None:
    plain = (word or "").strip().lower().replace("_", " ")
    plain = plain if plain in UNLABELLED else " ".join(plain.replace("-", " ").split())
    with suppress(ValueError):
        plain = f"{float((word or '').strip().replace(',', '.')):g}"
    if plain in UNLABELLED:
        return None
    if plain in SINGLE_WORDS:
        return True
    if plain in OTHER_WORDS:
        return False
    raise InputError(f"{where}: label {word!r} is none of {', '.join((*SINGLE_WORDS, *OTHER_WORDS))}")


def _number(text: str | None, where: str, n_frames: int) -> int:
    try:
        value = float((text or "").replace(",", "."))
        number = int(value)
        if number != value:
            raise ValueError
    except (ValueError, OverflowError):
        raise InputError(f"{where}: frame {text!r} is not a number") from None
    if not 0 <= number < n_frames:
        raise InputError(f"{where}: frame {number} is not in the run, whose frames are 0 to {n_frames - 1}")
    return number


def write_label_sheet(path: Path, frames: Sequence[int], reasons: Sequence[str]) -> None:
    """Write a sheet to fill in: the frames to look at, an empty label, and why each is worth it.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows((number, "", reason) for number, reason in zip(frames, reasons, strict=True))
