"""The scores of one source as they come in, in a file that survives a kill at any byte.

A line of JSON says what is scored and by which model; then follow stretches of frames, each with its first frame's
number, its length, a checksum, the scores, and a checksum of each frame they belong to. Stretches leave no gaps, so the
number of scored frames says where to go on; a stretch that begins earlier replaces the scores of its frames. On
opening, an incomplete stretch at the end is cut off, and its frames are scored again. Beside the journal, ``.state``
holds size and times of the source files, so that unchanged ones needn't be read.
"""

import errno
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.spi.scores.scored_run import SCORE

_MAGIC = b"FRJ3"
ENTRY = np.dtype([("score", SCORE), ("check", "<u4")])
"""A frame's scores and the checksum of the frame they belong to."""
# Files written to so shortly before they were read may have been written to again within the clock's step.
_RECENT_NS = 2_000_000_000
# 64-bit words summed side by side.
_WIDTH = 128
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
        self._file, self._room = file, earlier.entries
        self.n_scored = len(earlier.entries)

    def append(self, first: int, scores: NDArray[Any], checks: NDArray[np.uint32] | None = None) -> None:
        """Add the scores of the next frames, or give frames that have some new ones.

        Raises
        ------
        InputError
            If they can't be written (the disk is full): the journal then ends where it did before.
        ValueError
            If they would leave a gap.
        """
        if first > self.n_scored:
            raise ValueError(f"the next frame is {self.n_scored}, got {first}")
        entries = np.empty(len(scores), ENTRY)
        entries["score"], entries["check"] = scores, 0 if checks is None else checks
        body = _HEAD.pack(_MAGIC, 0, first, len(entries))[8:] + entries.tobytes()
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
        self.n_scored = max(self.n_scored, first + len(entries))
        if self.n_scored > len(self._room):
            self._room = np.concatenate([self._room, np.zeros(self.n_scored, ENTRY)])  # doubles: few copies of it all
        self._room[first : first + len(entries)] = entries

    def scores(self) -> NDArray[Any]:
        """Return all scores so far, ``(n_scored,)``."""
        return self._room["score"][: self.n_scored]

    def checks(self) -> NDArray[np.uint32]:
        """Return the checksums of the frames that were scored, ``(n_scored,)``."""
        return self._room["check"][: self.n_scored]

    def unchanged(self, files: Sequence[Path]) -> bool:
        """Say whether files look as they did when `note_files` was called, which was long enough after their change."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        recent = any(looks is not None and looks[1] > state["noted"] - _RECENT_NS for looks in state["files"].values())
        return not recent and bool(state["files"] == looks_of(files))

    def note_files(self, looks: Mapping[str, Any], noted_ns: int) -> None:
        """Remember how files looked when reading began; failing to only costs time later."""
        with suppress(OSError):
            self._state.write_text(json.dumps({"noted": noted_ns, "files": dict(looks)}), encoding="utf-8")

    @property
    def _state(self) -> Path:
        return self.path.with_suffix(".state")

    def close(self) -> None:
        """Close the file, once its bytes are on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


@dataclass(frozen=True, eq=False, kw_only=True)
class _Earlier:
    """What can be continued: what whole stretches say, the bytes they reach to, and what was kept; or why nothing."""

    entries: NDArray[Any] = field(default_factory=lambda: np.empty(0, ENTRY))
    n_bytes: int = 0
    kept: Mapping[str, Any] = field(default_factory=dict)
    ended_because: str = ""


def open_journal(
    path: Path,
    identity: Mapping[str, Any],
    *,
    kept: Callable[[], Mapping[str, Any]] = dict,
    fresh: str = "",
) -> ScoreJournal:
    """Open the journal at ``path``, going on where an earlier one of the same identity ended.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    identity : mapping
        What is scored, and by what. An earlier journal that says otherwise is begun anew.
    kept : function, optional
        Returns what else to remember; called only if the journal is begun. A continued one gives back what it was begun
        with.
    fresh : str
        Why to begin anew in any case; empty: go on if possible.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    earlier = _read_earlier(path, dict(identity), fresh=fresh)
    remembered = earlier.kept if earlier.n_bytes else dict(kept())
    try:
        file = path.open("r+b" if earlier.n_bytes else "w+b", buffering=0)
        if earlier.n_bytes:
            file.truncate(earlier.n_bytes)
            file.seek(earlier.n_bytes)
            return ScoreJournal(path, file, earlier, remembered)
        header = {"identity": dict(identity), "kept": remembered}
        _write_whole(file, json.dumps(header, sort_keys=True).encode() + b"\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: can't be written ({reason}); free space or choose another folder") from error
    return ScoreJournal(path, file, earlier, remembered)


def _write_whole(file: IO[bytes], data: bytes) -> None:
    written = file.write(data)
    if written != len(data):  # the last bytes of a full disk
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read_earlier(path: Path, identity: dict[str, Any], *, fresh: str) -> _Earlier:
    if not path.is_file():
        return _Earlier()
    if fresh:
        return _Earlier(ended_because=fresh)
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
    entries, position = np.empty(0, ENTRY), len(line) + 1
    found: list[tuple[int, NDArray[Any]]] = []
    n_scored = 0
    while newline and (stretch := _stretch(data, position, n_scored)) is not None:
        found.append(stretch)
        n_scored = max(n_scored, stretch[0] + len(stretch[1]))
        position += _HEAD.size + stretch[1].nbytes
    entries = np.empty(n_scored, ENTRY)
    for first, stretch_entries in found:
        entries[first : first + len(stretch_entries)] = stretch_entries
    return _Earlier(entries=entries, n_bytes=position if newline else 0, kept=kept)


def _stretch(data: bytes, position: int, n_scored: int) -> tuple[int, NDArray[Any]] | None:
    if position + _HEAD.size > len(data):
        return None
    magic, checksum, start, count = _HEAD.unpack_from(data, position)
    end = position + _HEAD.size + count * ENTRY.itemsize
    if magic != _MAGIC or start > n_scored or end > len(data) or zlib.crc32(data[position + 8 : end]) != checksum:
        return None
    return start, np.frombuffer(data, ENTRY, count, position + _HEAD.size)


def looks_of(files: Sequence[Path]) -> dict[str, Any]:
    """Return what tells whether files were changed: size, both times of change in ns, inode; None for absent ones."""
    looks: dict[str, Any] = {}
    for file in files:
        inside = sorted(file.iterdir()) if file.is_dir() else [file]
        for path in inside:
            try:
                stat = path.stat()
                looks[str(path)] = [
                    stat.st_size,
                    max(stat.st_mtime_ns, stat.st_ctime_ns),
                    stat.st_mtime_ns,
                    stat.st_ino,
                ]
            except OSError:
                looks[str(path)] = None
    return looks


def frame_checks(frames: NDArray[Any]) -> NDArray[np.uint32]:
    """Return a checksum of each frame ``(n, y, x)``: of sums over parts of it, which take little time."""
    if not frames.size:
        return np.zeros(len(frames), np.uint32)
    data = np.ascontiguousarray(frames).reshape(len(frames), -1).view(np.uint8)
    n_words = data.shape[1] // (8 * _WIDTH) * _WIDTH
    words = np.ascontiguousarray(data[:, : 8 * n_words]).view(np.uint64).reshape(len(frames), -1, _WIDTH)
    half = words.shape[1] // 2
    sums = [words[:, :half].sum(axis=1), words[:, half:].sum(axis=1)]
    digests = np.concatenate([*(part.view(np.uint8) for part in sums), data[:, 8 * n_words :]], axis=1)
    return np.array([zlib.crc32(digest) for digest in np.ascontiguousarray(digests)], np.uint32)
