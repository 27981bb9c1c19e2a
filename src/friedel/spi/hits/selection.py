"""Which frames to keep, from their scores; by default the model's own selection."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from friedel.core.options import Options
from friedel.spi.hits.sizes.modes import size_modes
from friedel.spi.records import FrameStatus, HitScores


class SelectionOptions(Options):
    """Limits a selected frame must keep. With none given, the model's default selection holds."""

    single: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least probability of a single particle."""
    fringes: Annotated[float, Field(ge=0)] | None = None
    """Least fringe visibility, as a signal-to-noise ratio."""
    out_of_distribution: Annotated[float, Field(gt=0)] | None = None
    """Most a frame may differ from everything seen in training; 1 leaves out what the rarest percent there reached."""
    reject_band: bool = True
    """Keep frames in the model's reject band."""
    size: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None
    """Least and greatest diameter, nm where the beam and the detector's place are known, else pixels."""
    mode: Literal["any", "main"] = "any"
    """``main``: only frames of the commonest size, which leaves out most droplets and dimers."""

    @field_validator("size")
    @classmethod
    def _rising(cls, size: tuple[float, float] | None) -> tuple[float, float] | None:
        if size is not None and size[0] >= size[1]:
            raise ValueError(f"the least diameter {size[0]} must be smaller than the greatest {size[1]}")
        return size


def select(scores: HitScores, options: SelectionOptions) -> NDArray[np.bool_]:
    """Return which frames are selected, ``(n,)``; a frame without a score never is.

    A limit on ``single`` or ``fringes`` takes the place of the default selection; the others narrow what is left. The
    main mode is that of the frames selected by all other limits; where there are too few sizes to tell, all are kept.
    """
    chosen = scores.good.copy()
    if options.single is not None or options.fringes is not None:
        chosen = (scores.single >= (options.single or 0.0)) & (scores.fringes >= (options.fringes or 0.0))
    if options.out_of_distribution is not None:
        chosen &= scores.out_of_distribution <= options.out_of_distribution
    if not options.reject_band:
        chosen &= ~scores.reject_band
    chosen &= scores.status == FrameStatus.SCORED
    if options.size is not None:
        chosen &= (scores.diameter >= options.size[0]) & (scores.diameter <= options.size[1])
    if options.mode == "main" and (modes := size_modes(scores.diameter[chosen])):
        chosen &= modes[0].holds(scores.diameter)
    return chosen


def precision_estimate(scores: HitScores, selected: NDArray[np.bool_]) -> float | None:
    """Return the expected share of single hits among the selected frames: their mean probability; None without any."""
    return float(scores.single[selected].mean()) if selected.any() else None
