"""``file://``: frames of a finished file or folder as if they came in now.

``file://run.cxi?dataset=entry/data&rate=100``; HDF5, CXI, NumPy files and European XFEL runs as
`friedel.spi.frames.source`
reads them, and folders of numbered TIFF frames. Without ``rate`` frames come as fast as they are scored, and none is
dropped; with it, they come like a beamline's, and too many at once are.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from pydantic import Field

from friedel.core.errors import InputError
from friedel.core.files.arrays import TIFF_SUFFIXES
from friedel.core.files.damage import DAMAGED
from friedel.core.files.tiff import find_frames
from friedel.core.options import Options
from friedel.spi.frames.source import Batch, Beside, FrameSource, open_frames, read_batch
from friedel.stream.sources.events import Begun, Ended, Event, Malformed, Message
from friedel.stream.sources.replay import Pace
from friedel.stream.sources.source import Source, SourceAddress

_AT_ONCE = 32  # frames of a message where they come as fast as they are scored: bounds its memory
UNREADABLE = "its bytes are missing or damaged"


class FileOptions(Options):
    """What may stand after "?"."""

    dataset: str | None = None
    """Path of the frames inside HDF5; None: the only candidate."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """Frames a second; None: as fast as they are scored."""


class FileSource:
    """Frames of one file, or of a folder of TIFF frames."""

    def __init__(self, address: SourceAddress) -> None:
        self.uri, self._path = address.uri, Path(address.path)
        self._options = address.options(FileOptions)
        self.patient = self._options.rate is None
        self._pace = Pace(self._options.rate)
        self._at_once = _AT_ONCE if self.patient else 1
        self._stack = ExitStack()
        self._frames: FrameSource | None = None
        self._next: int | None = None
        self._pending: list[Event] = []

    def open(self) -> None:
        """Open the file.

        Raises
        ------
        InputError
            If it isn't there or holds no frames.
        """
        if not self._path.exists():
            raise InputError(f"{self.uri}: no such file or folder; check the path")
        if self._path.is_dir() and any(entry.suffix.lower() in TIFF_SUFFIXES for entry in self._path.iterdir()):
            self._frames = TiffFrames(self._path)
        else:
            self._frames = self._stack.enter_context(open_frames(self._path, dataset=self._options.dataset))

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next frames; see `Source`."""
        if self._pending:
            return self._pending.pop(0)
        if self._frames is None:
            return Ended(reason="closed")
        if self._next is None:
            return self._begin(self._frames)
        if self._next >= self._frames.shape[0]:
            return Ended(reason=f"all {self._frames.shape[0]} frames were read")
        wait = self._pace.due_in()
        if wait > 0:
            time.sleep(min(wait, timeout_s))
            if wait > timeout_s:
                return None
        return self._read(self._frames, self._next)

    def close(self) -> None:
        """Close the file."""
        self._stack.close()
        self._frames = None

    def _begin(self, frames: FrameSource) -> Begun:
        self._next = 0
        name = f"{self._path.resolve()} {frames.dataset}".strip()
        return Begun(series=name, lasting=True, expected=frames.shape[0], mask=frames.mask)

    def _read(self, frames: FrameSource, start: int) -> Event | None:
        stop = min(start + self._at_once, frames.shape[0])
        self._next = stop
        self._pace.passed(stop - start)
        self._pending = _events(read_batch(frames, start, stop))
        return self._pending.pop(0)


def _events(batch: Batch) -> list[Event]:
    """Return a batch as messages of what could be read, and a malformed one for each frame that couldn't."""
    if not batch.unreadable.any():
        return [Message(number=batch.first, frames=batch.frames)]
    return [
        Malformed(reason=UNREADABLE, number=batch.first + index)
        if damaged
        else Message(number=batch.first + index, frames=batch.frames[index : index + 1])
        for index, damaged in enumerate(batch.unreadable)
    ]


class TiffFrames:
    """A `FrameSource` over a folder of numbered TIFF frames, in the order of their numbers."""

    def __init__(self, folder: Path) -> None:
        self.path, self.dataset = folder, ""
        self.mask: NDArray[np.bool_] | None = None
        self._files = list(find_frames(folder, "*").values())
        first = np.asarray(tifffile.imread(self._files[0]))
        self.shape = (len(self._files), int(first.shape[0]), int(first.shape[1]))
        self.dtype: np.dtype[Any] = first.dtype
        self.block, self.linkable = 1, False
        self.notes: tuple[str, ...] = ()
        self.expected, self.beside = len(self._files), Beside()
        self.centre: tuple[float, float] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        return tuple(self._files)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``; see the interface.

        Raises
        ------
        OSError
            If one of them is damaged or of another shape.
        """
        frames = [self._one(path) for path in self._files[start:stop]]
        return np.stack(frames) if frames else np.zeros((0, *self.shape[1:]), self.dtype)

    def close(self) -> None:
        """Do nothing: each file is closed once it is read."""

    def _one(self, path: Path) -> NDArray[Any]:
        try:
            frame = np.asarray(tifffile.imread(path))
        except DAMAGED as error:
            raise OSError(f"{path}: {error}") from None
        if frame.shape != self.shape[1:]:
            raise OSError(f"{path}: {frame.shape} where the others have {self.shape[1:]}")
        return frame


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return FileSource(address)
