"""Optional packages: loaded when something needs one; the error for an absent one names the command to install it."""

from importlib import import_module
from typing import Any

from friedel.core.errors import MissingDependencyError


def load_optional(module: str, *, package: str, extra: str, purpose: str) -> Any:
    """Return a module of an optional package.

    Parameters
    ----------
    module : str
        What to import: "xrayutilities.materials".
    package : str
        The package's name, for the error.
    extra : str
        The extra of this project that brings it.
    purpose : str
        What it is needed for, as the end of "… is needed to …".

    Raises
    ------
    MissingDependencyError
        If it isn't installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingDependencyError(package, extra, purpose) from None
