"""What one section of an evaluation leaves: tables, pictures and raw figures, kept as JSON beside its PNG files.

A section that is there and was made from the same plan, model and version is never made again: a killed evaluation
goes on where it was.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from friedel._version import __version__
from friedel.core.files.atomic import replacing
from friedel.core.report import render_page
from friedel.core.statistics import Interval

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
    """Save a figure as ``NAME.png`` in the folder, and return what the report needs to show it.

    Parameters
    ----------
    folder : Path
        Made if it isn't there.
    name : str
        Name of the file, without its suffix.
    figure : Figure
        What is drawn.
    caption, alt : str
        Words under it, and for those who can't see it.
    """
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


@dataclass(frozen=True, kw_only=True)
class EvaluationPage:
    """What the page says besides its sections.

    Attributes
    ----------
    about : str
        What is evaluated, above the heading.
    model : str
        Name and hash of the model: the heading.
    plan : str
        The complete plan, YAML.
    quick : str
        What a quick evaluation took less of; empty for a full one.
    source : str
        Where its figures come from.
    missing : tuple of str
        Names of sections that weren't asked for.
    """

    about: str
    model: str
    plan: str
    quick: str
    source: str
    missing: tuple[str, ...]


def write_evaluation_report(path: Path, sections: Sequence[Section], folder: Path, about: EvaluationPage) -> Path:
    """Write the page.

    Parameters
    ----------
    path : Path
        The file; it appears whole or not at all.
    sections : sequence of Section
        What to show.
    folder : Path
        Where their pictures lie.
    about : EvaluationPage
        Heading, plan and what is missing.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    page = render_page(
        "friedel.core",
        "evaluation.html.j2",
        {"sections": [_shown(section, folder) for section in sections], "page": about, "version": __version__},
    )
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def _shown(section: Section, folder: Path) -> dict[str, object]:
    return {
        "title": section.title,
        "name": section.name,
        "text": section.text,
        "tables": section.tables,
        "pictures": [_embedded(picture, folder) for picture in section.pictures],
        "seconds": f"{section.seconds:.0f}",
    }


def _embedded(picture: EvaluationPicture, folder: Path) -> dict[str, object]:
    data = base64.b64encode((folder / picture.file).read_bytes()).decode("ascii")
    return {
        "uri": f"data:image/png;base64,{data}",
        "caption": picture.caption,
        "alt": picture.alt,
        "width": picture.width,
        "height": picture.height,
    }
