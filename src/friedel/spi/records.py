"""What flows through the classification of single-particle frames: the frames, and the scores they get."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError


class FrameStatus(IntEnum):
    """Why a frame has no score of its own."""

    SCORED = 0
    MASKED = 1
    """No pixel of it was measured."""
    CONSTANT = 2
    """All its measured pixels are equal: an empty or a saturated readout."""
    UNREADABLE = 3
    """Its bytes could not be read or decompressed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Frames:
    """Detector frames of one run, or a stretch of it.

    Attributes
    ----------
    intensities : (n, y, x) float or integer
        Photons, or detector units (ADU); NaN where unknown.
    mask : (y, x) bool
        True where the detector measures.
    first : int
        Number, within the run, of the first frame.
    """

    intensities: NDArray[np.generic]
    mask: NDArray[np.bool_]
    first: int = 0

    def __post_init__(self) -> None:
        if self.intensities.ndim != 3:
            raise InputError(f"frames must have axes (n, y, x), got shape {self.intensities.shape}")
        if self.mask.shape != self.intensities.shape[1:]:
            raise InputError(f"mask {self.mask.shape} doesn't fit frames of {self.intensities.shape[1:]}")


@dataclass(frozen=True, eq=False, kw_only=True)
class HitScores:
    """What each frame looks like. All arrays are ``(n,)``, one entry a frame, in the frames' order.

    Attributes
    ----------
    single : float32 in [0, 1]
        Calibrated probability that one particle alone made the pattern. 0 for frames without a score.
    fringes : float32, at least 0
        Fringe visibility: signal-to-noise ratio of the fringes, from the photons themselves.
    strange : float32, at least 0
        How unlike anything seen in training: 1 at the training data's 99th percentile.
    unsure : bool
        The probability lies in the band in which the model errs too often to decide alone.
    good : bool
        The default selection: single *and* with fringes one can see.
    status : uint8
        `FrameStatus` of each frame.
    model : str
        Name and hash of the weights that scored them.
    """

    single: NDArray[np.float32]
    fringes: NDArray[np.float32]
    strange: NDArray[np.float32]
    unsure: NDArray[np.bool_]
    good: NDArray[np.bool_]
    status: NDArray[np.uint8]
    model: str = field(default="")

    def __len__(self) -> int:
        return len(self.single)

    def __repr__(self) -> str:
        return (
            f"HitScores({len(self)} frames: {int(self.good.sum())} good ({self.hit_rate:.1%}), "
            f"{int(self.unsure.sum())} unsure, {int(np.sum(self.status != FrameStatus.SCORED))} without a score; "
            f"model {self.model or 'unknown'})"
        )

    @property
    def hit_rate(self) -> float:
        """Fraction of the frames in the default selection; 0 for no frames."""
        return float(self.good.mean()) if len(self) else 0.0


def joined_scores(parts: Sequence[HitScores]) -> HitScores:
    """Return the scores of consecutive stretches of a run as one; all are of one model.

    Raises
    ------
    InputError
        If there is no part.
    """
    if not parts:
        raise InputError("there are no frames, so there are no scores; give at least one frame")
    names = [item.name for item in fields(HitScores) if isinstance(getattr(parts[0], item.name), np.ndarray)]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **columns)
