"""The folder of a watch: one watch at a time writes there."""

import os
from pathlib import Path

from friedel.core.errors import InputError


def lock_folder(folder: Path) -> int:
    """Make the folder if need be and take its lock, for this process alone; return the descriptor that holds it.

    Raises
    ------
    InputError
        If another process writes there, or nothing can be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{folder}: can't be written ({error.strerror or error}); choose another folder") from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(
            f"{folder}: locked: another process is writing its results there; stop it, or choose another folder"
        ) from None
    return descriptor
