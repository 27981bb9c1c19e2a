"""A run of frames in a file, as an array that is read when it is sliced: what a notebook holds."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.spi.frames.source import FrameOptions, FrameSource, open_source


class Run:
    """The frames of one file or facility run.

    Parameters
    ----------
    path : Path
        The file or the run's folder.
    dataset, geometry, dark
        As for `friedel.spi.frames.source.FrameOptions`.

    Attributes
    ----------
    source : FrameSource
        Reads; knows path, dataset, shape, dtype and what is odd.
    """

    def __init__(
        self, path: Path, *, dataset: str | None = None, geometry: Path | None = None, dark: Path | None = None
    ) -> None:
        self.source: FrameSource = open_source(path, FrameOptions(dataset=dataset, geometry=geometry, dark=dark))

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n, y, x)``."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the frames as stored."""
        return self.source.dtype

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The file's own mask ``(y, x)``, True where the detector measures; None if it has none."""
        return self.source.mask

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the file, a sentence each."""
        return self.source.notes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice) -> NDArray[Any]:
        """Return one frame ``(y, x)``, or some ``(n, y, x)``, read now.

        Raises
        ------
        IndexError
            If there is no such frame.
        InputError
            If the bytes of a frame are damaged, or ``which`` isn't a number or a slice.
        """
        if isinstance(which, slice):
            return self._read(range(*which.indices(len(self))))
        if not isinstance(which, int | np.integer):
            raise InputError(f"frames are chosen by a number or a slice, got {type(which).__name__}")
        number = int(which) + (len(self) if which < 0 else 0)
        if not 0 <= number < len(self):
            raise IndexError(f"{self.source.path}: no frame {which}; it holds {len(self)}")
        return self._read(range(number, number + 1))[0]

    def _read(self, numbers: range) -> NDArray[Any]:
        if not len(numbers):
            return np.zeros((0, *self.shape[1:]), self.dtype)
        first, last = min(numbers), max(numbers)
        try:
            return self.source.read(first, last + 1)[[number - first for number in numbers]]
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{self.source.path}: frames {first} to {last} can't be read ({error})") from error

    def __repr__(self) -> str:
        n, rows, columns = self.shape
        where = f" {self.source.dataset}" if self.source.dataset else ""
        mask = "no mask" if self.mask is None else f"mask leaves {self.mask.mean():.1%}"
        odd = "".join(f"; {note}" for note in self.notes)
        return f"Run({self.source.path.name}{where}: {n} frames of {rows} × {columns}, {self.dtype}, {mask}{odd})"

    def close(self) -> None:
        """Let go of the file."""
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
