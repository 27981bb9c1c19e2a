"""Detectors' compressed blocks to arrays. Knows the formats that SIMPLON and areaDetector send; no sockets."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.optional import load_optional

# Bitshuffle's block, in bytes, where a sender leaves it at its default.
_BITSHUFFLE_BLOCK = 8192
_PURPOSE = "decompress what the detector sends"


def unpack(
    data: Any,
    method: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    headed: bool = True,
    block: int = _BITSHUFFLE_BLOCK,
) -> NDArray[Any]:
    """Return a block's array.

    Parameters
    ----------
    data : bytes-like
        The block.
    method : {"", "lz4", "bslz4"}
        How it was compressed.
    dtype, shape
        Of the array.
    headed : bool
        A block of "bslz4" begins with HDF5's 12 bytes (size and block's size).
    block : int
        The size of its inner blocks, bytes, where it doesn't.

    Raises
    ------
    ValueError
        If the method is unknown, or the block damaged or of another size.
    MissingDependencyError
        If the library isn't installed.
    """
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    if method == "bslz4":
        plain = _bitshuffled(data if headed else struct.pack(">QI", n_bytes, block) + bytes(data), dtype)
    elif method == "lz4":
        lz4 = load_optional("lz4.block", package="lz4", extra="simplon", purpose=_PURPOSE)
        plain = _guarded(lambda: lz4.decompress(bytes(data), uncompressed_size=n_bytes))
    elif method == "":
        plain = data
    else:
        raise ValueError(f"compression {method!r} isn't known")
    if len(memoryview(plain).cast("B")) != n_bytes:
        raise ValueError("the block has another size than its frame")
    return np.frombuffer(plain, dtype).reshape(shape)


def _bitshuffled(data: Any, dtype: np.dtype[Any]) -> Any:
    library = load_optional("dectris.compression", package="dectris-compression", extra="simplon", purpose=_PURPOSE)
    return _guarded(lambda: library.decompress(bytes(data), "bslz4", elem_size=dtype.itemsize))


def _guarded(work: Any) -> Any:
    try:
        return work()
    except Exception as error:  # each library raises errors of its own for damaged bytes
        raise ValueError("the compressed block is damaged") from error
