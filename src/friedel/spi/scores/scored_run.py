"""The scores of a run, frame by frame, beside where each frame is. Writes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.spi.records import HitScores

SCORE = np.dtype(
    [("single", "<f4"), ("fringes", "<f4"), ("strange", "<f4"), ("unsure", "u1"), ("good", "u1"), ("status", "u1")]
)
"""A frame's scores as they lie in files: 15 bytes."""


@dataclass(frozen=True, kw_only=True)
class FrameUnit:
    """What the numbers in frames mean.

    Attributes
    ----------
    gain, pedestal : float
        Numbers a photon, and without light.
    marks : tuple of float
        Numbers that stand for "no count".
    counted : bool
        They are counted photons, in multiples of the gain.
    measured : bool
        There was light enough to tell the gain.
    """

    gain: float = 1.0
    pedestal: float = 0.0
    marks: tuple[float, ...] = ()
    counted: bool = True
    measured: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredFile:
    """The frames of one source and their scores.

    Attributes
    ----------
    path : Path
        The file or run.
    dataset : str
        Where in it the frames are.
    shape : (int, int, int)
        ``(n, y, x)``.
    dtype : str
        Of the frames, as stored.
    scores : (n,) `SCORE`
        One entry a frame.
    mask : (y, x) bool or None
        True where the detector measures.
    linkable : bool
        HDF5 can refer to its frames as they are.
    unit : FrameUnit
        What its numbers mean.
    read : mapping
        What was read of it, in words and numbers.
    """

    path: Path
    dataset: str
    shape: tuple[int, int, int]
    dtype: str
    scores: NDArray[Any]
    mask: NDArray[np.bool_] | None = None
    linkable: bool = False
    unit: FrameUnit | None = None
    read: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredRun:
    """All files of a run, and which frames were selected.

    Attributes
    ----------
    files : tuple of ScoredFile
        In the order given.
    selected : (n,) bool
        Over all frames of all files, in order.
    model : str
        Name and hash of the weights that scored them.
    """

    files: tuple[ScoredFile, ...]
    selected: NDArray[np.bool_]
    model: str

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.selected)

    @property
    def scores(self) -> HitScores:
        """The scores of all frames as one record."""
        return unpack_scores(np.concatenate([file.scores for file in self.files]), self.model)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Number, over all frames, of each file's first frame."""
        lengths = [len(file.scores) for file in self.files]
        return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)

    def chosen(self, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield, file by file, its number and the numbers in it of the frames where ``wanted`` is True."""
        for index, start in enumerate(self.starts):
            inside = np.flatnonzero(wanted[start : start + len(self.files[index].scores)])
            if inside.size:
                yield index, inside


def pack_scores(scores: HitScores) -> NDArray[Any]:
    """Return scores as an array ``(n,)`` of `SCORE`."""
    packed = np.empty(len(scores), SCORE)
    for name in SCORE.names or ():
        packed[name] = getattr(scores, name)
    return packed


def unpack_scores(packed: NDArray[Any], model: str) -> HitScores:
    """Return an array of `SCORE` as the record."""
    return HitScores(
        single=packed["single"].copy(),
        fringes=packed["fringes"].copy(),
        strange=packed["strange"].copy(),
        unsure=packed["unsure"].astype(bool),
        good=packed["good"].astype(bool),
        status=packed["status"].copy(),
        model=model,
    )
