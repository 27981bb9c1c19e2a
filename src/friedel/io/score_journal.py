"""The scores of one source as they come in, in a file that survives a kill at any byte.

A line of JSON says what is scored and by which model; then follow stretches of frames, each with its first frame's
number, its length, a checksum and the scores. Stretches are appended in order and without gaps, so "how far" is one
number. On opening, what isn't whole at the end is cut off: a frame is scored twice or never only if its stretch was
never finished, and then it has no score yet.
"""

import errno
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.io.scored_run import SCORE

_MAGIC = b"FRJ1"
_HEAD = struct.Struct("<4sIQI")  # magic, checksum of what follows it, first frame, number of frames


class ScoreJournal:
    """An open journal; use `open_journal`.

    Attributes
    ----------
    n_scored : int
        Frames whose scores are safe: the next to be scored has this number.
    restarted : str
        Why an earlier journal there was not continued; empty if it was, or if there was none.
    """

    def __init__(self, path: Path, file: IO[bytes], stretches: list[NDArray[Any]], restarted: str) -> None:
        self.path, self.restarted = path, restarted
        self._file, self._stretches = file, stretches
        self.n_scored = sum(len(stretch) for stretch in stretches)

    def append(self, first: int, scores: NDArray[Any]) -> None:
        """Add the scores of the next frames.

        Raises
        ------
        InputError
            If they can't be written (the disk is full): the journal then ends where it did before.
        ValueError
            If ``first`` isn't the next frame.
        """
        if first != self.n_scored:
            raise ValueError(f"the next frame is {self.n_scored}, got {first}")
        payload = scores.tobytes()
        body = _HEAD.pack(_MAGIC, 0, first, len(scores))[8:] + payload
        before = self._file.tell()
        try:
            _write_whole(self._file, _MAGIC + struct.pack("<I", zlib.crc32(body)) + body)
        except OSError as error:
            self._file.seek(before)
            self._file.truncate()
            raise InputError(
                f"{self.path}: can't be written ({error.strerror or error}); {self.n_scored} frames of it are scored "
                "and kept. Make room and run the same command again: it goes on from there"
            ) from error
        self._stretches.append(scores)
        self.n_scored += len(scores)

    def scores(self) -> NDArray[Any]:
        """Return all scores so far, ``(n_scored,)``."""
        return np.concatenate([*self._stretches, np.empty(0, SCORE)])

    def close(self) -> None:
        """Close the file, once its bytes are on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def open_journal(path: Path, header: Mapping[str, Any], *, fresh: bool = False) -> ScoreJournal:
    """Open the journal at ``path``, going on where an earlier one of the same header ended.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    header : mapping
        What is scored, and by what. An earlier journal that says otherwise is begun anew.
    fresh : bool
        Begin anew in any case.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    line = json.dumps(dict(header), sort_keys=True).encode() + b"\n"
    there = path.is_file()
    stretches, length, why = ([], 0, "that was asked for") if fresh else _earlier(path, line)
    try:
        file = path.open("r+b" if length else "w+b", buffering=0)
        if length:
            file.truncate(length)
            file.seek(length)
        else:
            file.write(line)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error}); free space or choose another folder") \
            from error  # fmt: skip
    return ScoreJournal(path, file, stretches, why if there else "")


def _write_whole(file: IO[bytes], data: bytes) -> None:
    written = file.write(data)
    if written != len(data):  # the last bytes of a full disk
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _earlier(path: Path, line: bytes) -> tuple[list[NDArray[Any]], int, str]:
    """Return the whole stretches of an earlier journal, the bytes they reach to, and why it can't be continued."""
    if not path.is_file():
        return [], 0, ""
    data = path.read_bytes()
    if not data.startswith(line):
        return [], 0, _difference(data, line)
    stretches: list[NDArray[Any]] = []
    position, n_scored = len(line), 0
    while (stretch := _stretch(data, position, n_scored)) is not None:
        stretches.append(stretch)
        n_scored += len(stretch)
        position += _HEAD.size + stretch.nbytes
    return stretches, position, ""


def _stretch(data: bytes, position: int, first: int) -> NDArray[Any] | None:
    if position + _HEAD.size > len(data):
        return None
    magic, checksum, start, count = _HEAD.unpack_from(data, position)
    end = position + _HEAD.size + count * SCORE.itemsize
    if magic != _MAGIC or start != first or end > len(data) or zlib.crc32(data[position + 8 : end]) != checksum:
        return None
    return np.frombuffer(data, SCORE, count, position + _HEAD.size).copy()


def _difference(data: bytes, line: bytes) -> str:
    try:
        before, now = json.loads(data.split(b"\n", 1)[0]), json.loads(line)
    except ValueError:
        return "it is damaged"
    changed = [name for name in now if before.get(name) != now[name]] if isinstance(before, dict) else []
    return f"it was of another {', '.join(changed)}" if changed else "it is damaged"
