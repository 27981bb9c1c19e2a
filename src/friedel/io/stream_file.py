"""A stream kept in a file: records of a few words and a block of bytes, in order, safe against a kill at any byte.

A record is a line of JSON and bytes, with their lengths and a checksum before them. Reading ends at the first record
that isn't whole, and says so. What the records mean isn't known here.
"""

import json
import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from friedel.base.errors import InputError

_TITLE = b"friedel stream 1\n"
_HEAD = struct.Struct("<4sIIQ")  # magic, checksum of words and bytes, their lengths
_MAGIC = b"FRST"


class StreamWriter:
    """An open recording.

    Parameters
    ----------
    path : Path
        The file; it must not exist.

    Raises
    ------
    InputError
        If it can't be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("xb", buffering=0)
            self._file.write(_TITLE)
        except OSError as error:
            raise InputError(f"{path}: can't be made ({error.strerror or error}); choose another name") from error

    def add(self, words: Mapping[str, Any], data: bytes | memoryview = b"") -> None:
        """Add a record; either all of it is kept, or none.

        Raises
        ------
        InputError
            If it can't be written (the disk is full); what was added before stays.
        """
        text = json.dumps(dict(words), default=_plain).encode("utf-8")
        block = memoryview(data).cast("B") if len(memoryview(data)) else memoryview(b"")
        head = _HEAD.pack(_MAGIC, zlib.crc32(block, zlib.crc32(text)), len(text), len(block))
        before = self._file.tell()
        try:
            for part in (head + text, block):
                if len(part) and self._file.write(part) != len(part):
                    raise OSError("no space left on the disk")
        except OSError as error:
            self._file.truncate(before)
            self._file.seek(before)
            raise InputError(f"{self.path}: can't be written ({error}); what was recorded so far is kept") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StreamReader:
    """The records of a file, in order.

    Attributes
    ----------
    cut_off : bool
        The file ends in the middle of a record; known once all are read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.cut_off = path, False
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: can't be read ({error.strerror or error}); check the path") from error
        if self._file.read(len(_TITLE)) != _TITLE:
            self._file.close()
            raise InputError(f"{path}: not a stream that friedel recorded; make one with friedel record URI FILE")
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the words and the bytes of each record."""
        position = len(_TITLE)
        while position < len(self._map):
            found = self._record(position)
            if found is None:
                self.cut_off = True
                return
            words, data, position = found
            yield words, data

    def close(self) -> None:
        """Close the file."""
        self._map.close()
        self._file.close()

    def _record(self, position: int) -> tuple[dict[str, Any], bytes, int] | None:
        start = position + _HEAD.size
        if start > len(self._map):
            return None
        magic, checksum, n_words, n_bytes = _HEAD.unpack_from(self._map, position)
        middle, end = start + n_words, start + n_words + n_bytes
        if magic != _MAGIC or end > len(self._map):
            return None
        text, data = self._map[start:middle], self._map[middle:end]
        if zlib.crc32(data, zlib.crc32(text)) != checksum:
            return None
        return json.loads(text), data, end


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
