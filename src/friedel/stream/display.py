"""The way from the data path to a display and back: a board in shared memory that holds the latest text only.

Writing never waits, whoever reads or doesn't; a new text takes the place of an unread one. So a display can lose
texts, but can't slow the data path. One process writes a board, any number read it. A second board, the other way
round, carries what the page asks (`Control`).
"""

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from friedel.stream.shared import SharedBlock
from friedel.stream.snapshot import Snapshot, from_json, to_json


@dataclass(frozen=True, kw_only=True)
class Control:
    """The state asked for; the latest one holds.

    Attributes
    ----------
    threshold : float or None
        Least probability of a selected frame; None leaves the selection to the plan.
    paused : bool
        Frames that arrive while this is True get no score and are counted as dropped, because of the pause.
    """

    threshold: float | None = None
    paused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the state that `as_dict` gave; a threshold outside 0 … 1 becomes the nearest inside.

        Raises
        ------
        ValueError, TypeError
            If the threshold is no number.
        """
        threshold = values.get("threshold")
        kept = None if threshold is None else min(max(float(threshold), 0.0), 1.0)
        if kept is not None and kept != kept:  # NaN
            raise ValueError("the threshold must be a number from 0 to 1, got NaN")
        return cls(threshold=kept, paused=bool(values.get("paused", False)))


_HEAD = struct.Struct("<QQI")  # turn, length, checksum
BOARD_BYTES = 16 << 20
"""Room for a text: a crystal's surface and slices take some MiB."""
_CONTROL_BYTES = 4096  # for what a page asks: a JSON object of two keys, under 100 bytes


class Board:
    """A text in shared memory: the latest one, whole.

    Parameters
    ----------
    name : str or None
        Of a board that exists; None makes one, which is removed on `close`.
    n_bytes : int
        Longest text of a new board.
    """

    def __init__(self, name: str | None = None, *, n_bytes: int = BOARD_BYTES) -> None:
        self._memory = SharedBlock(name, n_bytes=n_bytes)
        self._buffer, self.name = self._memory.buffer, self._memory.name
        self._turn = 0

    def write(self, text: str) -> bool:
        """Replace the text; return False, and leave the old one, if it is too long."""
        data = text.encode("utf-8")
        if _HEAD.size + len(data) > self._memory.size:
            return False
        self._turn += 1
        # A reader that comes between the two writes finds a checksum that doesn't fit, and tries again.
        self._buffer[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._buffer, 0, self._turn, len(data), zlib.crc32(data))
        return True

    def read(self) -> str | None:
        """Return the text if it is another than the last one read, else None."""
        for _ in range(8):
            turn, length, checksum = _HEAD.unpack_from(self._buffer, 0)
            if turn == self._turn or _HEAD.size + length > self._memory.size:
                return None
            data = bytes(self._buffer[_HEAD.size : _HEAD.size + length])
            if zlib.crc32(data) == checksum:
                self._turn = turn
                return data.decode("utf-8")
        return None

    def close(self) -> None:
        """Let go of the board; its maker removes it."""
        self._memory.close()


class Display:
    """The data path's end: shows snapshots, hears what is asked. Both boards are made here."""

    def __init__(self) -> None:
        self._shown, self._asked = Board(), Board(n_bytes=_CONTROL_BYTES)
        self._control = Control()

    @property
    def names(self) -> tuple[str, str]:
        """What a `Viewer` in another process needs to find this display."""
        return self._shown.name, self._asked.name

    def show(self, snapshot: Snapshot) -> bool:
        """Show a snapshot, never waiting; return whether it had room."""
        return self._shown.write(to_json(snapshot))

    def control(self) -> Control:
        """Return what is asked for now."""
        text = self._asked.read()
        if text is not None:
            try:
                self._control = Control.from_dict(json.loads(text))
            except (ValueError, TypeError):
                return self._control
        return self._control

    def close(self) -> None:
        """Remove both boards."""
        self._shown.close()
        self._asked.close()


class Viewer:
    """The page's end, in whatever process: gets the latest snapshot, asks for things."""

    def __init__(self, names: tuple[str, str]) -> None:
        self._shown, self._asked = Board(names[0]), Board(names[1])

    def latest(self) -> Snapshot | None:
        """Return the latest snapshot if there is a new one, else None."""
        text = self._shown.read()
        return None if text is None else from_json(text)

    def ask(self, control: Control) -> None:
        """Ask for a state."""
        self._asked.write(json.dumps(control.as_dict()))

    def close(self) -> None:
        """Let go; the boards stay for others."""
        self._shown.close()
        self._asked.close()
