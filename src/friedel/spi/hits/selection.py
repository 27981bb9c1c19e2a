"""Which frames to keep, from their scores; by default the model's own selection."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from friedel.core.options import Options
from friedel.core.statistics import Interval
from friedel.spi.hits.probability.calibration import log_odds
from friedel.spi.hits.sizes.droplets import are_droplets
from friedel.spi.hits.sizes.modes import SizeMode, size_modes
from friedel.spi.records import FrameStatus, HitScores

# Standard deviations from run to run of the log odds of being right, below and above what the probabilities say. Of 89
# simulated runs of two simulators, 1 to 50 % hits with droplets and without, 94 % lie within the interval they give.
_BETWEEN_RUNS = (0.7, 1.4)


Column: TypeAlias = NDArray[np.float32]
OF_SIZE = ("diameter", "asphericity", "unround")
"""Columns of `HitScores` by which the main mode is chosen."""
# Particles of one kind: their sizes' relative spread, and their least share of what isn't a droplet.
_ONE_SIZE, _ONE_KIND = 0.08, 0.75
_ONE_SPECIES = 0.5  # share of sizes in modes below which sizes are of any kind, and tell nothing


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
    """``main``: only the run's particles: no round bodies of other sizes (droplets), and where most hits have one size,
    none of another (dimers)."""

    @field_validator("size")
    @classmethod
    def _rising(cls, size: tuple[float, float] | None) -> tuple[float, float] | None:
        if size is not None and size[0] >= size[1]:
            raise ValueError(f"the least diameter {size[0]} must be smaller than the greatest {size[1]}")
        return size


def select(scores: HitScores, options: SelectionOptions) -> NDArray[np.bool_]:
    """Return which frames are selected, ``(n,)``; a frame without a score never is.

    A limit on ``single`` or ``fringes`` takes the place of the default selection; the others narrow what is left. The
    main mode is looked for among the frames selected by all other limits (`of_the_main_mode`).
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
    if options.mode == "main":
        chosen[chosen] = of_the_main_mode(*(getattr(scores, name)[chosen] for name in OF_SIZE))
    return chosen


def of_the_main_mode(diameter: Column, asphericity: Column, unround: Column) -> NDArray[np.bool_]:
    """Say which hits are the run's particles by size and roundness, ``(n,)``; too few sizes tell nothing: all are.

    Droplets are not (`are_droplets`). Where nearly all others have one size, neither are those of another: dimers.
    Particles of several kinds, and long ones, which look smaller or larger from view to view, are all kept. Where
    nothing is known of roundness, as in the scores of earlier versions, those of the commonest size are.

    Parameters
    ----------
    diameter, asphericity, unround : (n,) float32
        Those columns of `HitScores`.
    """
    chosen = ~are_droplets(diameter, asphericity, unround)
    if modes := size_modes(diameter[chosen]):
        inside = modes[0].holds(diameter)
        one_kind = modes[0].spread < _ONE_SIZE and inside[chosen].mean() > _ONE_KIND
        chosen &= inside if one_kind or not np.isfinite(unround).any() else np.isfinite(diameter)
    return chosen


def precision_estimate(
    single: NDArray[np.float32], diameter: NDArray[np.float32], modes: Sequence[SizeMode] | None = None
) -> Interval | None:
    """Return the share of single hits among the selected frames, with a 95 % interval; None without any.

    The share is the mean of their probabilities. Experiments differ from those that these were calibrated on by
    `_BETWEEN_RUNS`; and what has no common size may be droplets, which are one body each: so the interval's lower end
    counts them as wrong.

    Parameters
    ----------
    single, diameter : (n,) float32
        Those columns of a run's `HitScores`, of the selected frames alone.
    modes : sequence of SizeMode, optional
        `size_modes` of these diameters, where they are known already.
    """
    if not len(single):
        return None
    value, known = float(single.mean()), diameter[np.isfinite(diameter)]
    modes = size_modes(known) if modes is None else modes
    common = float(np.any([mode.holds(known) for mode in modes], axis=0).mean()) if modes else 1.0
    if common < _ONE_SPECIES:
        common = 1.0
    low, high = (
        _bound(share, len(single), spread, end)
        for share, spread, end in zip((value * common, value), _BETWEEN_RUNS, (-1.96, 1.96), strict=True)
    )
    return Interval(value, min(low, value), high)


def _bound(share: float, n: int, spread: float, deviations: float) -> float:
    """Return a share so many standard deviations away, in log odds: of counting and between runs."""
    middle = log_odds(np.clip(share, 1e-3, 1 - 1e-3))
    counting = 1 / (n * share * (1 - share) + 1)
    return float(1 / (1 + np.exp(-(middle + deviations * np.hypot(counting**0.5, spread)))))
