"""The run's constants as bytes: so they cross processes that know nothing of them, and a watch taken up again has them.

Constants of friedel's own models last: they are written beside the results. Those of a scorer of another kind only
cross the pipe between processes.
"""

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAME = "run_constants.npz"
_ZIP = b"PK"
_MODULE = "friedel.spi.hits.preparation.prepare"


def pack_constants(run: Any) -> bytes:
    """Return constants as bytes."""
    if type(run).__module__ != _MODULE:  # asked by name: importing it would load torch for a scorer that has no need
        return pickle.dumps(run)
    packed: bytes = run.to_bytes()
    return packed


def unpack_constants(data: bytes) -> Any:
    """Return what `pack_constants` packed; only for bytes of this program's own processes, or `load_constants`."""
    if not data.startswith(_ZIP):
        return pickle.loads(data)
    from friedel.spi.hits.preparation.prepare import RunConstants

    return RunConstants.from_bytes(data)


def identity(model: str, shape: tuple[int, int], mask: NDArray[np.bool_] | None) -> str:
    """Return what constants are for: model, frames and mask in one line."""
    marks = 0 if mask is None else zlib.crc32(np.packbits(mask).tobytes())
    return f"{model} {shape[0]}x{shape[1]} {marks:08x}"


def save_constants(folder: Path, data: bytes, of: str) -> None:
    """Keep constants that last.

    Raises
    ------
    OSError
        If they can't be written.
    """
    if data.startswith(_ZIP):
        (folder / _NAME).write_bytes(data)
        (folder / _NAME).with_suffix(".txt").write_text(of + "\n", encoding="utf-8")


def load_constants(folder: Path, of: str | None = None) -> bytes | None:
    """Return the constants kept in a folder, if there are some for the same model, frames and mask (None: for any)."""
    try:
        if of is not None and (folder / _NAME).with_suffix(".txt").read_text(encoding="utf-8").strip() != of:
            return None
        data = (folder / _NAME).read_bytes()
    except (OSError, UnicodeDecodeError):
        return None
    return data if data.startswith(_ZIP) else None
