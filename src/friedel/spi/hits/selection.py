"""Which frames to keep, from their scores. The default needs no hand: the model's own selection."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from friedel.core.options import Options
from friedel.spi.records import FrameStatus, HitScores


class SelectionOptions(Options):
    """Limits a selected frame must keep. With none given, the model's default selection holds."""

    single: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least probability of a single particle."""
    fringes: Annotated[float, Field(ge=0)] | None = None
    """Least fringe visibility, as a signal-to-noise ratio."""
    strange: Annotated[float, Field(gt=0)] | None = None
    """Most a frame may differ from everything seen in training; 1 leaves out what the rarest percent there reached."""
    unsure: bool = True
    """Keep frames in the model's unsure band."""


def select(scores: HitScores, options: SelectionOptions) -> NDArray[np.bool_]:
    """Return which frames are selected, ``(n,)``; a frame without a score never is.

    A limit on ``single`` or ``fringes`` takes the place of the default selection; the others narrow what is left.
    """
    chosen = scores.good.copy()
    if options.single is not None or options.fringes is not None:
        chosen = (scores.single >= (options.single or 0.0)) & (scores.fringes >= (options.fringes or 0.0))
    if options.strange is not None:
        chosen &= scores.strange <= options.strange
    if not options.unsure:
        chosen &= ~scores.unsure
    return chosen & (scores.status == FrameStatus.SCORED)
