"""The scores of a run, frame by frame, beside where each frame is. Writes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.spi.hits.sizes.units import in_nanometres
from friedel.spi.records import SIZES, Beam, HitScores

SCORE = np.dtype(
    [
        *((name, "<f4") for name in ("single", "blank", "fringes", "out_of_distribution")),
        *((name, "<f4") for name in SIZES),
        *((name, "u1") for name in ("reject_band", "good", "status")),
    ]
)
"""A frame's scores as they lie in files: 39 bytes."""


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
    drifts : bool
        Every frame has a pedestal of its own, so numbers can't be turned into photons alike.
    """

    gain: float = 1.0
    pedestal: float = 0.0
    marks: tuple[float, ...] = ()
    counted: bool = True
    measured: bool = True
    drifts: bool = False


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
    beam : Beam or None
        Photon energy, distance and pixel size, where they are known: sizes are then in nm.
    length_unit : str
        Of the sizes in the files' scores.
    """

    files: tuple[ScoredFile, ...]
    selected: NDArray[np.bool_]
    model: str
    beam: Beam | None = None
    length_unit: str = "px"

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.selected)

    @property
    def scores(self) -> HitScores:
        """The scores of all frames as one record; sizes in nm where the beam is known and frames are of one shape."""
        packed = np.concatenate([file.scores for file in self.files])
        scores = replace(unpack_scores(packed, self.model), length_unit=self.length_unit)
        shapes = {file.shape[1:] for file in self.files}
        return scores if self.beam is None or len(shapes) > 1 else in_nanometres(scores, self.beam, *shapes)

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


def without_score(packed: NDArray[Any], rows: NDArray[np.bool_], status: int) -> None:
    """Take the scores of some frames away, in place, and give them a status that says why."""
    packed[rows] = np.zeros((), packed.dtype)
    packed["status"][rows] = status
    for name in SIZES:
        packed[name][rows] = np.nan


def pack_scores(scores: HitScores) -> NDArray[Any]:
    """Return scores as an array ``(n,)`` of `SCORE`."""
    packed = np.empty(len(scores), SCORE)
    for name in SCORE.names or ():
        packed[name] = getattr(scores, name)
    return packed


def unpack_scores(packed: NDArray[Any], model: str) -> HitScores:
    """Return an array of `SCORE` as the record."""
    columns: dict[str, Any] = {name: packed[name].copy() for name in SCORE.names or ()}
    columns |= {name: packed[name].astype(bool) for name in ("reject_band", "good")}
    return HitScores(**columns, model=model)
