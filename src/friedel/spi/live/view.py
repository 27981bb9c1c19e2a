"""What a page shows of single hits: frozen records, small, ready for JSON. Draws nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Thumbnail:
    """A frame made small.

    Attributes
    ----------
    image : (y, x) uint8
        Square root of the intensities, from the least to the 99.8th percentile; at most 128 pixels an edge.
    number : int
        The frame's number in its series.
    series : str
        Which series of the source.
    single, fringes, strange : float
        Its scores.
    """

    image: NDArray[np.uint8]
    number: int
    series: str
    single: float
    fringes: float
    strange: float


@dataclass(frozen=True, eq=False, kw_only=True)
class HitsView:
    """What a page shows of single hits.

    Attributes
    ----------
    rate_times, rates : (n,) float64
        Ends of equal stretches of time, s since the epoch, and the share of frames selected in each.
    histogram : (20,) int64
        Scored frames by probability, from 0 to 1 in equal steps.
    singles, unsure, rejected : tuple of Thumbnail
        The latest few, newest first.
    powder : (y, x) float32 or None
        Mean of all selected frames, at most 256 pixels an edge, in the frames' own unit.
    n_powder : int
        Frames in it.
    selected, unsure_count, odd_count : int
        Frames selected, unsure and unlike anything seen in training, so far.
    model : str
        Name and hash of the weights.
    """

    rate_times: NDArray[np.float64]
    rates: NDArray[np.float64]
    histogram: NDArray[np.int64]
    singles: tuple[Thumbnail, ...] = ()
    unsure: tuple[Thumbnail, ...] = ()
    rejected: tuple[Thumbnail, ...] = ()
    powder: NDArray[np.float32] | None = None
    n_powder: int = 0
    selected: int = 0
    unsure_count: int = 0
    odd_count: int = 0
    model: str = ""
