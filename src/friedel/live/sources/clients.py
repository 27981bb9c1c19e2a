"""Optional client libraries: loaded when a source needs one, with the line that installs it where it is absent."""

from importlib import import_module
from typing import Any

from friedel.base.errors import MissingDependencyError


def client_library(module: str, *, package: str, extra: str, purpose: str) -> Any:
    """Return a module.

    Raises
    ------
    MissingDependencyError
        If it isn't installed; the error names the line that installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingDependencyError(package, extra, purpose) from None
