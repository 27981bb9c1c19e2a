"""Labels that a person gives to frames of a run: a table with the columns ``frame`` and ``label``, in any case.

Commas, semicolons or tabs part the columns. Other columns are allowed and kept out of the way; a line whose label is
empty, or −1, is a frame not looked at yet.
"""

import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing

SINGLE_WORDS = ("1", "single", "good", "hit", "yes", "true", "single hit")
OTHER_WORDS = (
    "0", "other", "bad", "multiple", "no", "false", "multi", "non-hit", "nonhit", "not hit", "miss", "blank",
    "background",
)  # fmt: skip
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
        with path.open(newline="", encoding="utf-8-sig") as file:
            heading = file.readline()
            file.seek(0)
            parted_by = max(",;\t", key=heading.count)
            rows = csv.DictReader(file, delimiter=parted_by)
            rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
            missing = [name for name in COLUMNS[:2] if name not in (rows.fieldnames)]
            if missing:
                raise InputError(
                    f"{path}: no column {missing[0]!r}; its first line must name the columns, 'frame,label' at least"
                )
            found = _collected(path, rows, n_frames)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: the labels can't be read ({error}); give a CSV file in UTF-8") from error
    if not found:
        raise InputError(f"{path}: no frame has a label; write one of {', '.join((*SINGLE_WORDS, *OTHER_WORDS))}")
    numbers = np.array(sorted(found), dtype=np.int64)
    return FrameLabels(frames=numbers, single=np.array([found[int(number)] for number in numbers]))


def _collected(path: Path, rows: "csv.DictReader[str]", n_frames: int) -> dict[int, bool]:
    found: dict[int, bool] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        label = _label(row["label"], where)
        if label is None:
            continue
        number = _number(row["frame"], where, n_frames)
        if found.setdefault(number, label) != label:
            raise InputError(f"{where}: frame {number} has two different labels; keep one")
    return found


def _label(word: str | None, where: str) -> bool | None:
    plain = (word or "").strip().lower().replace("_", " ").replace("non hit", "non-hit")
    with suppress(ValueError):
        plain = f"{float(plain):g}"
    if plain in UNLABELLED:
        return None
    if plain in SINGLE_WORDS:
        return True
    if plain in OTHER_WORDS:
        return False
    raise InputError(f"{where}: label {word!r} is none of {', '.join((*SINGLE_WORDS, *OTHER_WORDS))}")


def _number(text: str | None, where: str, n_frames: int) -> int:
    try:
        value = float(text or "")
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
