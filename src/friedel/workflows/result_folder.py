"""A folder of results that appears whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from friedel.base.errors import InputError


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``folder``; on success everything in it moves to ``folder``.

    If the block fails or is stopped, the unfinished folder is removed and ``folder`` stays as it was. In an existing
    folder, entries of the same name are replaced and all others are left alone. The unfinished folder is made first,
    so a place that can't be written fails before any work is done.

    Raises
    ------
    InputError
        If ``folder`` is a file, or nothing can be written there.
    """
    target = folder.resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"{folder}: this is a file; name a folder for the results")
    unfinished = target.with_name(f".{target.name}-unfinished-{secrets.token_hex(4)}")
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{folder}: can't write there ({reason}); choose another folder with -o") from error
    try:
        yield unfinished
        _settle(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _settle(unfinished: Path, target: Path) -> None:
    if not target.exists():
        os.replace(unfinished, target)
        return
    waiting = sorted(unfinished.iterdir())
    try:
        _move(waiting, target)
    except KeyboardInterrupt:  # moving takes milliseconds: finish it, so that old and new files never mix
        _move([path for path in waiting if path.exists()], target)
        raise


def _move(paths: list[Path], target: Path) -> None:
    for path in paths:
        place = target / path.name
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(path, place)
