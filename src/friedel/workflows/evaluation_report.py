"""The report of an evaluation: one HTML page that loads nothing, every figure from a section's record."""

import base64
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from friedel._version import __version__
from friedel.io.atomic_write import replacing
from friedel.workflows.evaluation_plan import SECTIONS, EvaluationPlan, evaluation_plan_text
from friedel.workflows.evaluation_record import EvaluationPicture, Section


def write_evaluation_report(
    path: Path, sections: Sequence[Section], folder: Path, plan: EvaluationPlan, model: str
) -> Path:
    """Write the page.

    Parameters
    ----------
    path : Path
        The file; it appears whole or not at all.
    sections : sequence of Section
        What to show.
    folder : Path
        Where their pictures lie.
    plan : EvaluationPlan
        What was asked for.
    model : str
        Name and hash of the model.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    loader = PackageLoader("friedel.workflows", "templates")
    # Autoescape holds for every name: the template's is ".j2", which the usual choice by suffix would leave raw.
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    missing = [name for name in SECTIONS if name not in {section.name for section in sections}]
    page = environment.get_template("evaluation.html.j2").render(
        sections=[_shown(section, folder) for section in sections],
        missing=missing,
        model=model,
        quick=plan.sizes is None and plan.size == "quick",
        plan=evaluation_plan_text(plan.with_sizes()),
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
