"""``tiff+dir://``: a folder of numbered TIFF frames still being written, with the SPEC file that tells the angles.

``tiff+dir:///data/scan7?spec=/data/log.spec&scan=7&frames=200``, as at 34-ID-C. A file that can't be read yet is looked
at again until it stops changing. With ``frames`` the stream ends after so many; else it goes on until you stop it.
"""

import os
import re
import time
from pathlib import Path
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import Field

from friedel.core.errors import InputError
from friedel.core.files.arrays import TIFF_SUFFIXES, read_tiff
from friedel.core.files.damage import DAMAGED
from friedel.core.files.spec import SpecScan, read_spec_scan
from friedel.core.options import Options
from friedel.stream.sources.events import Begun, Ended, Event, Lost, Malformed, Message
from friedel.stream.sources.source import Source, SourceAddress

_LOOK_S = 0.05  # s between two listings of the folder: adds at most this to a frame's latency
_DAMAGED = "a TIFF file that can't be read and changes no more"


class TiffFolderOptions(Options):
    """What may stand after "?"."""

    spec: Path | None = None
    """SPEC file of the scan, which may still be growing."""
    scan: int | None = None
    """The scan's number in it; None: the only one."""
    frames: Annotated[int, Field(ge=1)] | None = None
    """Frames the scan will have."""
    settle_s: Annotated[float, Field(gt=0)] = 2.0
    """An unreadable file that hasn't changed for so long is given up, s."""


class TiffFolderSource:
    """TIFF frames as they appear."""

    patient = True

    def __init__(self, address: SourceAddress) -> None:
        self.uri, self._folder = address.uri, Path(address.path)
        self._options = address.options(TiffFolderOptions)
        self._done: set[str] = set()
        self._ready: list[tuple[int, Path]] = []
        self._first: int | None = None
        self._begun, self._sent = False, 0
        self._spec: SpecScan | None = None
        self._spec_size = -1
        self._unreadable: dict[str, tuple[int, int, float]] = {}

    def open(self) -> None:
        """Find the folder.

        Raises
        ------
        InputError
            If it isn't there.
        """
        if not self._folder.is_dir():
            raise InputError(f"{self.uri}: no such folder; give the folder in which the TIFF files appear")

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next frame that is complete; see `Source`."""
        if not self._begun:
            self._begun = True
            return self._beginning()
        if self._options.frames is not None and self._sent >= self._options.frames:
            return Ended(reason=f"all {self._sent} frames have come")
        until = time.monotonic() + timeout_s
        while True:
            try:
                event = self._look()
            except OSError as error:
                time.sleep(_LOOK_S)
                return Lost(reason=f"the folder can't be read ({error.strerror or error})")
            if event is not None or time.monotonic() >= until:
                self._sent += event is not None
                return event
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _beginning(self) -> Begun:
        spec = self._scan()
        meta = {} if spec is None else {"command": spec.command, "motors": self._motors()}
        return Begun(series=str(self._folder.resolve()), lasting=True, expected=self._options.frames, meta=meta)

    def _look(self) -> Event | None:
        """Return the first new file, in the order of their numbers, that is complete or hopeless."""
        for number, path in self._new_files():
            try:
                frame, written = read_tiff(path), path.stat().st_mtime
            except DAMAGED:
                if self._may_change(path):
                    continue
                self._done.add(path.name)
                return Malformed(reason=_DAMAGED, number=number)
            self._done.add(path.name)
            self._unreadable.pop(path.name, None)
            return self._message(number, frame, path, written)
        return None

    def _may_change(self, path: Path) -> bool:
        """Whether an unreadable file was seen to change lately.

        By this machine's monotonic clock: a file server's clock, or this one's, may be minutes off.
        """
        try:
            state = path.stat()
        except OSError:  # it has gone, and may come again
            return True
        now, before = time.monotonic(), self._unreadable.get(path.name)
        if before is None or before[:2] != (state.st_size, state.st_mtime_ns):
            self._unreadable[path.name] = (state.st_size, state.st_mtime_ns, now)
            return True
        return now - before[2] < self._options.settle_s

    def _new_files(self) -> list[tuple[int, Path]]:
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                match = re.search(r"(\d+)\.[A-Za-z]+$", entry.name)
                wanted = entry.name not in self._done and Path(entry.name).suffix.lower() in TIFF_SUFFIXES
                # No file is a link that leads nowhere, yet, and a pipe, which would never end.
                if match and wanted and entry.is_file():
                    found.append((int(match[1]), Path(entry.path)))
        return sorted(found)

    def _message(self, number: int, frame: NDArray[Any], path: Path, written: float) -> Message:
        # Counting starts at 0 or 1; a first number of 0 settles it.
        self._first = min(number, 1) if self._first is None else min(self._first, number)
        return Message(
            number=number,
            frames=frame[None] if frame.ndim == 2 else frame,
            timestamp=written,
            # Where the motors stood comes with each frame: when the series began, SPEC may not have written them yet.
            meta={"file": path.name, "motors": self._motors(), **self._angles(number - self._first)},
        )

    def _motors(self) -> dict[str, float]:
        spec = self._scan()
        return {} if spec is None else dict(spec.motors)

    def _angles(self, point: int) -> dict[str, float]:
        spec = self._scan()
        if spec is None:
            return {}
        return {name: float(values[point]) for name, values in spec.columns.items() if point < len(values)}

    def _scan(self) -> SpecScan | None:
        """Return the scan as the SPEC file tells it now; the last one read if it can't be read just now."""
        path = self._options.spec
        if path is None or not path.is_file() or path.stat().st_size == self._spec_size:
            return self._spec
        self._spec_size = path.stat().st_size
        try:
            self._spec = read_spec_scan(path, self._options.scan)
        except InputError:  # it is being written
            return self._spec
        return self._spec


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return TiffFolderSource(address)
