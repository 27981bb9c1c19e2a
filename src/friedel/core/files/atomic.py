"""Files that appear whole or not at all. Knows nothing of formats: it hands out a name to write to and swaps it in."""

import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from friedel.core.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a fresh name beside ``path``; on success the file written there takes the place of ``path``.

    Whatever goes wrong inside the block, Ctrl-C included, leaves an existing file at ``path`` as it was and removes
    the unfinished one. The suffix is kept, because some writers choose their format by it.

    Raises
    ------
    InputError
        If the folder doesn't exist or the file can't be written: no permission, no space left.
    """
    target = path.resolve()  # through a symbolic link, so that the link itself survives
    if not target.parent.is_dir():
        raise InputError(f"{path}: the folder {target.parent} doesn't exist; create it or choose another one")
    unfinished = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield unfinished
        _flush(unfinished)
        os.replace(unfinished, target)
        _flush(target.parent)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({_reason(error)}); {_what_stays(target)}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _what_stays(target: Path) -> str:
    kept = "the file that was there is unchanged" if target.exists() else "nothing was left behind"
    return f"{kept}. Check free space and permissions, or choose another folder"


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


def remove_unfinished(folder: Path, name: str = "") -> int:
    """Remove what `appearing` left in a folder when a process was killed; return how many there were.

    Only where no other process is writing. ``name`` limits it to one folder's; empty: all.
    """
    found = [path for path in folder.glob(f".{glob.escape(name) or '*'}-unfinished-*") if path.is_dir()]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return len(found)


def _settle(unfinished: Path, target: Path) -> None:
    if not target.exists():
        os.replace(unfinished, target)
        return
    waiting = sorted(unfinished.iterdir())
    try:
        _move(waiting, target)
    except KeyboardInterrupt:  # moving takes milliseconds: finish it first, so that old and new files never mix
        _move([path for path in waiting if path.exists()], target)
        raise


def _move(paths: list[Path], target: Path) -> None:
    for path in paths:
        place = target / path.name
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(path, place)
