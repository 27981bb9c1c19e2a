"""Runs of frames as series that are read as one: the entries of a file, or thousands of files of an image each."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import DAMAGED
from friedel.core.files.hdf5 import open_hdf5
from friedel.spi.frames.source import Beside, DifferentFramesError, FrameOptions, FrameSource, open_source

_FEW_FRAMES = 16  # of a file: files with so few are joined to one series, so that each hasn't a journal of its own
# Fewer files than this are told apart and each gets a journal of its own.
_MANY_FILES = 4


@dataclass(frozen=True, kw_only=True)
class Part:
    """Frames of one dataset of one file: path, dataset (None: the only candidate), and how many there are.

    ``found`` is the dataset that was found, where it is all there is to read: neither looked for nor with a mask of
    each frame's own.
    """

    path: Path
    dataset: str | None
    n_frames: int
    found: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Series:
    """Parts that are read one after the other, as frames of one run.

    Attributes
    ----------
    parts : tuple of Part
        In order.
    options : FrameOptions
        How each is read, but for its dataset.
    """

    parts: tuple[Part, ...]
    options: FrameOptions

    @property
    def path(self) -> Path:
        """The first file, by which the series is called."""
        return self.parts[0].path

    def open(self) -> FrameSource:
        """Open the series; the caller closes it."""
        first = self.parts[0]
        if len(self.parts) == 1:
            return open_source(first.path, _with(self.options, first.dataset))
        return SeriesFrames(self)


def find_series(
    paths: Sequence[Path], options: FrameOptions, *, broken: Callable[[Path, InputError], None] | None = None
) -> list[Series]:
    """Open every file once and return the series its frames make.

    Parameters
    ----------
    paths : sequence of Path
        Files and runs, from `list_files`.
    options : FrameOptions
        How to read them.
    broken : function, optional
        Told of each file that can't be read, and why; without it the first one is an error.

    Raises
    ------
    InputError
        If a file can't be read and ``broken`` isn't given, or none can.
    """
    found: list[tuple[Part, Any]] = []
    behind: set[Path] = set()
    errors: list[InputError] = []
    for path in paths:
        try:
            found += _look(path, options, behind)
        except InputError as error:
            if broken is None or len(paths) == 1:
                raise
            errors.append(error)
            broken(path, error)
    if errors and not found:
        raise errors[0]
    # What a master file links to is read through it: its own files beside it would be the same frames once more.
    return _grouped([item for item in found if item[0].path.resolve() not in behind], options)


def _look(path: Path, options: FrameOptions, behind: set[Path]) -> list[tuple[Part, Any]]:
    """Return the parts of one file, each with what must be equal for parts to be read as one; note the files behind."""
    try:
        return _opened(path, options, options.dataset, behind)
    except DifferentFramesError:
        return [item for name in _groups(path, options) for item in _opened(path, options, name, behind)]


def _groups(path: Path, options: FrameOptions) -> list[str]:
    from friedel.spi.frames.hdf5 import grouped_names

    opened = open_hdf5(path)
    with opened.file as file:
        try:
            if "place_ones" in file:
                return []
            return [names[0] for names in grouped_names(file, path, options)]
        except DAMAGED as error:
            raise InputError(f"{path}: can't be read, probably truncated or damaged ({error}); copy it again") from None


def _opened(path: Path, options: FrameOptions, dataset: str | None, behind: set[Path]) -> list[tuple[Part, Any]]:
    source = open_source(path, _with(options, dataset))
    try:
        behind |= {file.resolve() for file in source.files} - {path.resolve()}
        found = source.dataset if getattr(source, "plain", False) else None
        part = Part(path=path, dataset=dataset, n_frames=source.shape[0], found=found)
        mask = b"" if source.mask is None else np.packbits(source.mask).tobytes()
        return [(part, (source.shape[1:], source.dtype.str, hash(mask), source.centre))]
    finally:
        source.close()


def _grouped(found: Sequence[tuple[Part, Any]], options: FrameOptions) -> list[Series]:
    many = len({part.path for part, _ in found}) >= _MANY_FILES
    series: list[list[Part]] = []
    kind = None
    for part, now in found:
        small = many and part.n_frames <= _FEW_FRAMES
        if small and now == kind:
            series[-1].append(part)
        else:
            series.append([part])
        kind = now if small else None
    return [Series(parts=tuple(parts), options=options) for parts in series]


def _with(options: FrameOptions, dataset: str | None) -> FrameOptions:
    return replace(options, dataset=dataset)


class SeriesFrames:
    """A `friedel.spi.frames.source.FrameSource` over the parts of a series; one file is open at a time."""

    dataset, block, linkable = "", 1, False

    def __init__(self, series: Series) -> None:
        self._series, self.path = series, series.path
        self._open: tuple[int, FrameSource] | None = None
        first = self._part(0)
        self._starts = np.cumsum([0, *(part.n_frames for part in series.parts)])
        self.shape = (int(self._starts[-1]), *first.shape[1:])
        self.dtype, self.mask, self.centre, self.beside = first.dtype, first.mask, first.centre, first.beside
        self.expected, self.notes = self.shape[0], first.notes

    beside: Beside

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the series."""
        return tuple(dict.fromkeys(part.path for part in self._series.parts))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``.

        Raises
        ------
        OSError
            If a file of them can't be read any more, or holds other frames than before.
        """
        found = [np.zeros((0, *self.shape[1:]), self.dtype)]
        index = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            low, high = int(self._starts[index]), int(self._starts[index + 1])
            until = min(stop, high)
            if until > start:
                found.append(self._stretch(index, start - low, until - low))
            start, index = until, index + 1
        return np.concatenate(found)

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _stretch(self, index: int, start: int, stop: int) -> NDArray[Any]:
        try:
            part = self._part(index)
        except InputError as error:
            raise OSError(str(error)) from None
        if part.shape[1:] != self.shape[1:] or part.shape[0] < stop:
            raise OSError(f"{part.path}: its frames are {part.shape} now; it was changed meanwhile")
        return part.read(start, stop).astype(self.dtype, copy=False)

    def _part(self, index: int) -> FrameSource:
        if self._open is None or self._open[0] != index:
            with suppress(OSError):
                self.close()
            part = self._series.parts[index]
            options = _with(self._series.options, part.dataset)
            if part.found is not None:  # thousands of files: their mask is known to be the series', their dataset found
                options = replace(options, dataset=part.found, own_mask="none")
            self._open = index, open_source(part.path, options)
        return self._open[1]
