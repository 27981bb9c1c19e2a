"""``hdf5+swmr://``: an HDF5 file that another program is writing (SWMR), compressed or not.

``hdf5+swmr:///data/run.h5?dataset=entry/data/data``. The file needn't exist yet. When its writer closes it, the stream
ends; if the writer was killed, nothing more comes and the stream is silent.
"""

import time
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  # registers the detectors' compression filters
import numpy as np

from friedel.core.errors import InputError
from friedel.core.files.damage import DAMAGED
from friedel.core.files.hdf5 import CONVENTIONAL
from friedel.core.options import Options
from friedel.stream.sources.events import Begun, Ended, Event, Malformed, Message
from friedel.stream.sources.source import Source, SourceAddress

_LOOK_S = 0.02  # s between two looks at the file: adds at most this to a frame's latency
# Only after so long without a frame is it asked whether the writer has closed the file.
_ASK_S = 1.0
_AT_ONCE = 32  # frames of a message: bounds its memory (134 MB for 1024² pixels of 4 bytes)
# Looks at a frame whose bytes can't be read before it is counted as malformed: 0.1 s in all, in which a writer's flush
# may still arrive over a network file system. More would hold the stream up longer behind a damaged frame.
_ATTEMPTS = 5
_DAMAGED = "its bytes are missing or damaged"


class GrowingOptions(Options):
    """What may stand after "?"."""

    dataset: str | None = None
    """Path of the frames; None: where CXI and NeXus keep them."""


class GrowingHdf5Source:
    """Frames of a growing dataset."""

    patient = True

    def __init__(self, address: SourceAddress) -> None:
        self.uri, self._path = address.uri, Path(address.path)
        self._options = address.options(GrowingOptions)
        self._file: h5py.File | None = None
        self._frames: h5py.Dataset | None = None
        self._next, self._failed = 0, 0
        self._begun = self._over = False
        self._heard = time.monotonic()

    def open(self) -> None:
        """Find the folder; the file itself may come later.

        Raises
        ------
        InputError
            If there is no such folder.
        """
        if not self._path.parent.is_dir():
            raise InputError(f"{self.uri}: the folder {self._path.parent} doesn't exist; check the path")

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next frames; see `Source`."""
        if not self._begun:
            self._begun = True
            return Begun(series=f"{self._path.resolve()} {self._options.dataset or ''}".strip(), lasting=True)
        until = time.monotonic() + timeout_s
        while True:
            event = self._look()
            if event is not None or time.monotonic() >= until:
                return event
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """Close the file."""
        self._frames = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _look(self) -> Event | None:
        if self._file is None and not self._reopen(swmr=True):
            return None
        assert self._frames is not None
        if not self._over:
            self._frames.refresh()
        n_frames = int(self._frames.shape[0])
        if n_frames > self._next:
            return self._read(min(n_frames, self._next + _AT_ONCE))
        if self._over:
            return Ended(reason=f"its writer closed the file after {n_frames} frames")
        if time.monotonic() - self._heard > _ASK_S:
            self._ask_whether_closed()
        return None

    def _read(self, stop: int) -> Event | None:
        assert self._frames is not None
        try:
            frames = np.asarray(self._frames[self._next : stop])
        except DAMAGED:
            return self._give_up()
        self._heard, self._failed = time.monotonic(), 0
        first, self._next = self._next, stop
        return Message(number=first, frames=frames)

    def _give_up(self) -> Event | None:
        """Try a frame that can't be read a few times: its bytes may come yet; then pass over it."""
        self._failed += 1
        if self._failed < _ATTEMPTS:
            time.sleep(_LOOK_S)
            return None
        self._next, self._failed = self._next + 1, 0
        return Malformed(reason=_DAMAGED, number=self._next - 1)

    def _ask_whether_closed(self) -> None:
        """Open the file as a finished one: HDF5 refuses as long as its writer hasn't closed it."""
        self.close()
        self._over = self._reopen(swmr=False)
        if not self._over:
            self._reopen(swmr=True)
        self._heard = time.monotonic()

    def _reopen(self, *, swmr: bool) -> bool:
        try:
            self._file = h5py.File(self._path, "r", libver="latest", swmr=swmr, locking=False)
            self._frames = self._find(self._file)
        except (OSError, KeyError):
            self.close()
            return False
        return True

    def _find(self, file: h5py.File) -> Any:
        names = CONVENTIONAL if self._options.dataset is None else (self._options.dataset,)
        for name in names:
            if isinstance(file.get(name), h5py.Dataset):
                return file[name]
        raise KeyError(names[0])


def open_source(address: SourceAddress) -> Source:
    """Return the source of an address."""
    return GrowingHdf5Source(address)
