"""What one section of an evaluation leaves: tables, pictures and raw figures, kept as JSON beside its PNG files.

A section that is there and was made from the same plan, model and version is never made again: a killed evaluation
goes on where it was.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from friedel.hits.hit_rates import Interval
from friedel.io.atomic_write import replacing

DOTS_PER_INCH = 130


@dataclass(frozen=True, kw_only=True)
class Table:
    """Figures side by side: the first column names the row."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class EvaluationPicture:
    """A picture of a section, as a PNG file beside its JSON."""

    file: str
    caption: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the report."""

    name: str
    title: str
    text: str
    tables: list[Table] = field(default_factory=list)
    pictures: list[EvaluationPicture] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def save_picture(folder: Path, name: str, figure: Figure, *, caption: str, alt: str) -> EvaluationPicture:
    """Save a figure as ``NAME.png`` in the folder, and return what the report needs to show it."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{name}.png") as unfinished:
        figure.savefig(unfinished, dpi=DOTS_PER_INCH)
    width, height = (round(float(inches) * 96) for inches in figure.get_size_inches())
    return EvaluationPicture(file=f"{name}.png", caption=caption, alt=alt, width=width, height=height)


def write_section(folder: Path, section: Section, key: str) -> None:
    """Keep a section; ``key`` stands for all it was made from."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{section.name}.json") as unfinished:
        text = json.dumps({"key": key, **asdict(section)}, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text, encoding="utf-8")


def read_section(folder: Path, name: str, key: str | None = None) -> Section | None:
    """Return a kept section; None if it isn't there, is damaged, or was made from something else."""
    try:
        values = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if key is not None and values["key"] != key:
            return None
        kept = {item: values[item] for item in ("name", "title", "text", "figures", "seconds")}
        tables = [Table(**table) for table in values["tables"]]
        pictures = [EvaluationPicture(**picture) for picture in values["pictures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not all((folder / picture.file).is_file() for picture in pictures):
        return None
    return Section(**kept, tables=tables, pictures=pictures)


def percent(interval: Interval) -> str:
    """Return "98.2 % (97.1–99.0)", which a narrow column breaks only before the bracket."""
    value, low, high = (f"{100 * number:.1f}" for number in (interval.value, interval.low, interval.high))
    return f"{value}\u00a0% ({low}\u2060–\u2060{high})"


def raw(prefix: str, values: Mapping[str, Interval]) -> dict[str, float]:
    """Return intervals as plain figures, three each."""
    parts = ("value", "low", "high")
    return {f"{prefix} {name} {part}".strip(): getattr(item, part) for name, item in values.items() for part in parts}
