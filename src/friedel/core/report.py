"""The frame of every HTML report: templates that escape what they are given, pages that load nothing from elsewhere."""

from collections.abc import Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render_page(package: str, template: str, values: Mapping[str, Any]) -> str:
    """Return a page.

    Parameters
    ----------
    package : str
        Package whose folder ``templates`` holds the template; what all reports share lies in `friedel.core`.
    template : str
        The template's file name.
    values : mapping
        What it shows; a name that is missing is an error.
    """
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("friedel.core")])
    # Autoescape holds for every name: the template's is ".j2", which the usual choice by suffix would leave raw.
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(values)
