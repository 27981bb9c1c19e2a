"""The YAML of a plan as plain values. What they mean is for each plan's own options to check."""

from pathlib import Path
from typing import Any

import yaml

from friedel.core.errors import InputError, PlanError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys and values of a plan.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    PlanError
        If it isn't YAML (with the line), or not a list of keys and values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't read the plan ({error}); check the path") from error
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that isn't one
        raise PlanError(f"{path}{_place(error)}: not valid YAML: {_problem(error)}") from None
    if not isinstance(values, dict):
        raise PlanError(f"{path}: a plan is a list of 'key: value' lines, got {type(values).__name__}")
    return values


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error)
