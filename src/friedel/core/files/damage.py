"""A file that isn't there, or that parsers fail on: one error that names it. Knows nothing of formats."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from friedel.core.errors import InputError

# What the parsers are known to raise on damaged bytes; anything else is a bug and should be seen as one.
DAMAGED = (
    OSError, ValueError, EOFError, KeyError, IndexError, TypeError, RuntimeError, ArithmeticError, AttributeError,
    MemoryError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def require_file(path: Path) -> None:
    """Raise InputError unless ``path`` is a file."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder where a file was expected; for a folder of frames name the beamline too")
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; check the path (it is taken from the plan's folder, or the current one)"
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever a parser raises on damaged bytes into one InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: can't be read, probably truncated or damaged ({reason}); copy it again") from None
