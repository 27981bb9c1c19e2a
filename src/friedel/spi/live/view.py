"""What a page shows of single hits: frozen records, small, ready for JSON. Draws nothing."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Pixels of the real-space image: `SMALLEST` and `LARGEST` of `friedel.spi.hits.sizes.spheroid`.
SIZE_BINS, SIZE_RANGE = 40, (2.0, 42.0)


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
    single, fringes, out_of_distribution : float
        Its scores.
    """

    image: NDArray[np.uint8]
    number: int
    series: str
    single: float
    fringes: float
    out_of_distribution: float


@dataclass(frozen=True, eq=False, kw_only=True)
class MergeView:
    """What a page shows of the intensity that the hits make.

    Attributes
    ----------
    n_frames, n_waiting : int
        Hits in it, and hits that wait.
    sentence : str
        How it stands, and whether more frames help.
    counts : (n,) int64
        Hits at each update.
    halves, correlations : (n,) float32
        At each: correlation of the halves, mean over shells; and the correlation with the truth that follows from it.
    slices : (3, n, n) uint8 or None
        Through the origin, across z, y and x; logarithm over four decades.
    coverage : (12, 24) int64 or None
        Frames of the first half that look along each cell, of equal solid angle: cosine of the polar angle × azimuth.
    """

    n_frames: int = 0
    n_waiting: int = 0
    sentence: str = "Too few hits yet"
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    halves: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    correlations: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    slices: NDArray[np.uint8] | None = None
    coverage: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class HitsView:
    """What a page shows of single hits.

    Attributes
    ----------
    rate_times, rates : (n,) float64
        Ends of equal stretches of time, s since the epoch, and the share of frames selected in each.
    histogram : (20,) int64
        Scored frames by probability, from 0 to 1 in equal steps.
    singles, reject_band, rejected : tuple of Thumbnail
        The latest few, newest first.
    powder : (y, x) float32 or None
        Mean of all selected frames, at most 256 pixels an edge, in the frames' own unit.
    n_powder : int
        Frames in it.
    selected, blank_count, reject_count, out_of_distribution_count : int
        Frames selected, blank, in the reject band and out of distribution, so far.
    sizes : (40,) int64
        Selected frames by the logarithm of their diameter, from ``size_range[0]`` to ``size_range[1]`` pixels of the
        real-space image in equal steps.
    size_range : (float, float)
        The smallest and the largest diameter.
    main_size : str
        The main mode of the latest sizes in words; empty where there are too few.
    precision : tuple of float
        Share of single hits among the latest selected frames, and its 95 % interval's ends; empty without any.
    model : str
        Name and hash of the weights.
    merge : MergeView or None
        The intensity that the hits make; None if they aren't merged.
    """

    rate_times: NDArray[np.float64]
    rates: NDArray[np.float64]
    histogram: NDArray[np.int64]
    singles: tuple[Thumbnail, ...] = ()
    reject_band: tuple[Thumbnail, ...] = ()
    rejected: tuple[Thumbnail, ...] = ()
    powder: NDArray[np.float32] | None = None
    n_powder: int = 0
    selected: int = 0
    blank_count: int = 0
    reject_count: int = 0
    out_of_distribution_count: int = 0
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SIZE_BINS, np.int64))
    size_range: tuple[float, float] = SIZE_RANGE
    main_size: str = ""
    precision: tuple[float, ...] = ()
    model: str = ""
    merge: MergeView | None = None
