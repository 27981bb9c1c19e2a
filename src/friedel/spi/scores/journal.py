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
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.spi.scores.scored_run import SCORE

_MAGIC = b"FRJ1"
_HEAD = struct.Struct("<4sIQI")  # magic, checksum of what follows it, first frame, number of frames


class ScoreJournal:
    """An open journal; use `open_journal`.

    Attributes
    ----------
    n_scored : int
        Frames whose scores are safe: the next to be scored has this number.
    kept : mapping
        What the header's ``kept`` said when the first frame was scored.
    restarted : str
        Why an earlier journal there was not continued; empty if it was, or if there was none.
    """

    def __init__(self, path: Path, file: IO[bytes], earlier: "_Earlier", kept: Mapping[str, Any]) -> None:
        self.path, self.restarted, self.kept = path, earlier.ended_because, kept
        stretches = earlier.stretches
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


@dataclass(frozen=True, eq=False, kw_only=True)
class _Earlier:
    """What can be continued: whole stretches, the bytes they reach to, and what was kept; or why nothing can be."""

    stretches: list[NDArray[Any]] = field(default_factory=list)
    n_bytes: int = 0
    kept: Mapping[str, Any] = field(default_factory=dict)
    ended_because: str = ""


def open_journal(
    path: Path, identity: Mapping[str, Any], *, kept: Mapping[str, Any] | None = None, fresh: bool = False
) -> ScoreJournal:
    """Open the journal at ``path``, going on where an earlier one of the same identity ended.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    identity : mapping
        What is scored, and by what. An earlier journal that says otherwise is begun anew.
    kept : mapping, optional
        What else to remember from the first call on; a continued journal gives back what it was begun with.
    fresh : bool
        Begin anew in any case.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    earlier = _read_earlier(path, dict(identity), fresh=fresh)
    try:
        file = path.open("r+b" if earlier.n_bytes else "w+b", buffering=0)
        if earlier.n_bytes:
            file.truncate(earlier.n_bytes)
            file.seek(earlier.n_bytes)
            return ScoreJournal(path, file, earlier, earlier.kept)
        header = {"identity": dict(identity), "kept": dict(kept or {})}
        _write_whole(file, json.dumps(header, sort_keys=True).encode() + b"\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: can't be written ({reason}); free space or choose another folder") from error
    return ScoreJournal(path, file, earlier, dict(kept or {}))


def _write_whole(file: IO[bytes], data: bytes) -> None:
    written = file.write(data)
    if written != len(data):  # the last bytes of a full disk
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read_earlier(path: Path, identity: dict[str, Any], *, fresh: bool) -> _Earlier:
    if not path.is_file():
        return _Earlier()
    if fresh:
        return _Earlier(ended_because="that was asked for")
    data = path.read_bytes()
    line, newline, _ = data.partition(b"\n")
    try:
        header = json.loads(line)
        before, kept = dict(header["identity"]), dict(header["kept"])
    except (ValueError, TypeError, KeyError):
        return _Earlier(ended_because="it is damaged" if newline else "")
    changed = [name for name in identity if before.get(name) != identity[name]]
    if changed:
        return _Earlier(ended_because=f"it was of another {', '.join(changed)}")
    stretches: list[NDArray[Any]] = []
    position, n_scored = len(line) + 1, 0
    while newline and (stretch := _stretch(data, position, n_scored)) is not None:
        stretches.append(stretch)
        n_scored += len(stretch)
        position += _HEAD.size + stretch.nbytes
    return _Earlier(stretches=stretches, n_bytes=position if newline else 0, kept=kept)


def _stretch(data: bytes, position: int, first: int) -> NDArray[Any] | None:
    if position + _HEAD.size > len(data):
        return None
    magic, checksum, start, count = _HEAD.unpack_from(data, position)
    end = position + _HEAD.size + count * SCORE.itemsize
    if magic != _MAGIC or start != first or end > len(data) or zlib.crc32(data[position + 8 : end]) != checksum:
        return None
    return np.frombuffer(data, SCORE, count, position + _HEAD.size).copy()
