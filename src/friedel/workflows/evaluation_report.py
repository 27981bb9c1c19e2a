"""The report of an evaluation: one HTML page that loads nothing, every figure from a section's record."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from friedel._version import __version__
from friedel.io.atomic_write import replacing
from friedel.workflows.evaluation_record import EvaluationPicture, Section


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
    loader = PackageLoader("friedel.workflows", "templates")
    # Autoescape holds for every name: the template's is ".j2", which the usual choice by suffix would leave raw.
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.get_template("evaluation.html.j2").render(
        sections=[_shown(section, folder) for section in sections],
        page=about,
        version=__version__,
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
