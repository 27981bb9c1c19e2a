"""Messages of the SIMPLON stream, version 2: CBOR with typed arrays. No sockets.

Tags 64 … 86 are typed arrays and 40 an array of several axes (RFC 8746); 56500 is a compressed block, "DECTRIS
compressed byte string": algorithm, size of an element, bytes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from friedel.live.sources.clients import client_library

_TYPES = {
    64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8",
    72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8",
    80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8",
}  # fmt: skip
_ROWS_FIRST = 40
_COMPRESSED = 56500
_PURPOSE = "receive SIMPLON streams of version 2"


def decode_message(data: bytes) -> Mapping[str, Any]:
    """Return a message, its arrays as NumPy's.

    Raises
    ------
    ValueError
        If it is damaged.
    MissingDependencyError
        If a library isn't installed.
    """
    cbor2 = client_library("cbor2", package="cbor2", extra="simplon", purpose=_PURPOSE)
    try:
        message = cbor2.loads(data, tag_hook=_tagged)
    except Exception as error:
        if isinstance(error, ImportError):
            raise
        raise ValueError("a message that can't be decoded") from error
    if not isinstance(message, Mapping) or "type" not in message:
        raise ValueError("a message without a type")
    return message


def _tagged(tag: Any, immutable: bool) -> Any:
    if tag.tag in _TYPES:
        return np.frombuffer(tag.value, _TYPES[tag.tag])
    if tag.tag == _ROWS_FIRST:
        shape, values = tag.value
        return np.asarray(values).reshape(tuple(shape))
    if tag.tag == _COMPRESSED:
        algorithm, size, block = tag.value
        library = client_library(
            "dectris.compression", package="dectris-compression", extra="simplon", purpose=_PURPOSE
        )
        return library.decompress(block, algorithm, elem_size=size)
    return tag
