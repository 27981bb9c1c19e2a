"""The frame of an evaluation: its plan's sections, what each leaves (tables, pictures, raw figures), and the report.

A section that is there and was made from the same plan, model and version is never made again: a killed evaluation
goes on where it was.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from matplotlib.figure import Figure
from pydantic import Field, field_validator

from friedel._version import __version__
from friedel.core.errors import PlanError
from friedel.core.files.atomic import replacing
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.core.report import render_page
from friedel.core.statistics import Interval

DOTS_PER_INCH = 130  # of saved pictures; the page shows them at 96 per inch, so 1.35 pixels for one of the page's


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the report; its first column names the row."""

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


class SectionedPlan(Plan):
    """The plan of an evaluation: a report of sections, each asked for by name, large or quick.

    A science's plan names its sections and its two sets of sizes, and adds what it compares.
    """

    known_sections: ClassVar[tuple[str, ...]]
    """Names of the report's sections, in its order."""
    full: ClassVar[Options]
    """Sample sizes of a full evaluation, whose figures may be quoted."""
    quick: ClassVar[Options]
    """Sample sizes of a quick evaluation: minutes, to see that everything runs; its figures aren't to be quoted."""

    sections: tuple[str, ...] = ()
    """What to do; empty: everything. The report shows it in its own order."""
    size: Literal["full", "quick"] = "full"
    """Which of the two sets of sample sizes to take where none are given."""
    sizes: Options | None = None
    """Sizes of your own; they win over ``size``."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything that is drawn; no training uses these frames and crystals."""
    output: Path | None = None
    """Folder for the report; the command line's ``-o`` wins."""

    def with_sizes(self) -> Self:
        """Return the plan with its sizes written out."""
        return self.model_copy(
            update={"sizes": self.sizes or (self.quick if self.size == "quick" else self.full), "sections": self.wanted}
        )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The sections to do, in the report's order."""
        return tuple(name for name in self.known_sections if name in (self.sections or self.known_sections))

    @property
    def unwanted(self) -> tuple[str, ...]:
        """The sections left out."""
        return tuple(name for name in self.known_sections if name not in self.wanted)

    @property
    def is_quick(self) -> bool:
        """Whether the sizes are the quick ones; the report then says that its figures aren't to be quoted."""
        return self.sizes is None and self.size == "quick"

    @field_validator("sections")
    @classmethod
    def _known(cls, sections: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in sections if name not in cls.known_sections]
        if unknown:
            raise ValueError(f"unknown section {unknown[0]!r}; known: {', '.join(cls.known_sections)}")
        return sections

    @classmethod
    def named_sections(cls, names: str) -> tuple[str, ...]:
        """Return the sections that a comma-separated text names.

        Raises
        ------
        PlanError
            If one is unknown, or there is none.
        """
        found = tuple(name.strip() for name in names.split(",") if name.strip())
        unknown = [name for name in found if name not in cls.known_sections]
        if unknown or not found:
            wrong = (unknown or [names])[0]
            raise PlanError(f"unknown section {wrong!r}; known: {', '.join(cls.known_sections)}")
        return found


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What an evaluation leaves behind.

    Attributes
    ----------
    report : Path
        The HTML page.
    sections : tuple of Section
        The sections asked for, in the report's order.
    made : int
        Parts made now; the others were there already.
    model : str
        Name and hash of what was evaluated.
    """

    report: Path
    sections: tuple[Section, ...]
    made: int
    model: str


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
    """Write a section as JSON, with the ``key`` that tells what it was made from (plan, model and version)."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{section.name}.json") as unfinished:
        text = json.dumps({"key": key, **asdict(section)}, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text, encoding="utf-8")


def read_section(folder: Path, name: str, key: str | None = None) -> Section | None:
    """Return a section that was written before; None if it isn't there, is damaged, or has another ``key``."""
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
    """Return intervals as plain numbers for JSON: value, lower and upper bound of each."""
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
