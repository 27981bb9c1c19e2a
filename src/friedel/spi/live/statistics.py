"""What a display shows of the hits so far, kept up batch by batch in memory that doesn't grow. Draws nothing."""

import math
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from friedel.core.statistics import Interval
from friedel.spi.hits.selection import precision_estimate
from friedel.spi.hits.sizes.modes import SizeMode, described, size_modes
from friedel.spi.live.view import SIZE_BINS, SIZE_RANGE, HitsView, Thumbnail
from friedel.spi.records import FrameStatus, HitScores

_STRETCHES = 600  # of the rate's curve: 1 s each to begin with, doubled when ten minutes are full
_GALLERY = 6  # latest frames of each kind
# Selected frames whose probabilities and sizes tell precision and main mode: a changed sample shows after so many hits.
_LATEST_SIZES = 2000
# The modes of 2000 sizes take 60 ms, in which no batch is handed out. They are fitted again once so many times that has
# passed: every 12 s, and one frame in two hundred waits for it; with few hits several times a second.
_BETWEEN_FITS = 200
_BETWEEN_PICTURES_S = 0.25  # s between two new pictures of a kind; the page shows new ones once a second
_EDGE, _POWDER_EDGE = 128, 256  # longest sides, pixels
_BRIGHTEST = 99.8  # percentile that is white: 33 pixels of 128² may be brighter


class RateOverTime:
    """Shares of selected frames in equal stretches of time; when there are too many, neighbours are joined."""

    def __init__(self, began: float) -> None:
        self._began, self._stretch = began, 1.0
        self._all, self._selected = np.zeros(_STRETCHES, np.int64), np.zeros(_STRETCHES, np.int64)
        self._used = 0

    def add(self, now: float, n_frames: int, n_selected: int) -> None:
        """Count frames scored at ``now``, s."""
        place = int(max(now - self._began, 0.0) / self._stretch)
        while place >= _STRETCHES:
            self._join()
            place = int((now - self._began) / self._stretch)
        self._all[place] += n_frames
        self._selected[place] += n_selected
        self._used = max(self._used, place + 1)

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends of the stretches, s, and the rates; NaN where no frame came."""
        ends = self._began + self._stretch * np.arange(1, self._used + 1, dtype=np.float64)
        every = self._all[: self._used]
        rates = np.where(every > 0, self._selected[: self._used] / np.maximum(every, 1), np.nan)
        return ends, np.asarray(rates, np.float64)

    def _join(self) -> None:
        self._stretch *= 2
        for counts in (self._all, self._selected):
            counts[: _STRETCHES // 2] = counts.reshape(-1, 2).sum(1)
            counts[_STRETCHES // 2 :] = 0
        self._used = -(-self._used // 2)


class HitStatistics:
    """Rates, histogram, galleries and virtual powder of the frames scored so far.

    Attributes
    ----------
    over : bool
        No more frames come: modes and precision are to be those of the last ones.
    """

    def __init__(self) -> None:
        # Times of day for the curve, told by the monotonic clock: the system's may be set while frames come.
        self._clock = time.time() - time.monotonic()
        self._rate = RateOverTime(self._clock + time.monotonic())
        self._histogram = np.zeros(20, np.int64)
        self._galleries: dict[str, deque[Thumbnail]] = {
            name: deque(maxlen=_GALLERY) for name in ("singles", "reject_band", "rejected")
        }
        self._drawn = dict.fromkeys(self._galleries, 0.0)
        self._powder: NDArray[np.float64] | None = None
        self._n_powder = 0
        self.selected = self.blank = self.reject_band = self.out_of_distribution = 0
        self._sizes = np.zeros(SIZE_BINS, np.int64)
        self._latest_sizes: deque[float] = deque(maxlen=_LATEST_SIZES)
        self._latest_singles: deque[float] = deque(maxlen=_LATEST_SIZES)
        self._fitted: tuple[float, int, tuple[SizeMode, ...], Interval | None] = (-math.inf, 0, (), None)
        self.model, self.over = "", False

    def add(
        self,
        scores: HitScores,
        selected: NDArray[np.bool_],
        frames: NDArray[np.generic],
        *,
        numbers: NDArray[np.int64],
        series: str,
    ) -> None:
        """Take up a batch.

        Parameters
        ----------
        scores : HitScores
            Of its ``n`` frames.
        selected : (n,) bool
            Which of them were selected.
        frames : (n, y, x), any real dtype
            The frames; only sums and small pictures of them are kept.
        numbers : (n,) int64
            Their numbers in the series.
        series : str
            Its name.
        """
        scored = scores.status == FrameStatus.SCORED
        self._histogram += _histogram(scores.single[scored], 20, 0.0, 1.0)
        self._rate.add(self._clock + time.monotonic(), len(scores), int(selected.sum()))
        self.selected += int(selected.sum())
        self.blank += int((scores.blank >= 0.5).sum())
        self.reject_band += int(scores.reject_band.sum())
        self._add_sizes(scores.diameter[selected])
        self._latest_singles.extend(scores.single[selected].tolist())
        self.out_of_distribution += int((scores.out_of_distribution > 1).sum())
        self.model = scores.model
        self._add_powder(frames, selected)
        kinds = {
            "singles": selected,
            "reject_band": scores.reject_band,
            "rejected": scored & ~selected & ~scores.reject_band,
        }
        for kind, wanted in kinds.items():
            self._add_picture(kind, wanted, scores, frames, numbers=numbers, series=series)

    def view(self) -> HitsView:
        """Return all of it for a display."""
        times, rates = self._rate.curve()
        powder = None if self._powder is None else (self._powder / max(self._n_powder, 1)).astype(np.float32)
        modes, precision = self._fit()
        return HitsView(
            rate_times=times,
            rates=rates,
            histogram=self._histogram.copy(),
            singles=tuple(self._galleries["singles"]),
            reject_band=tuple(self._galleries["reject_band"]),
            rejected=tuple(self._galleries["rejected"]),
            powder=powder,
            n_powder=self._n_powder,
            selected=self.selected,
            blank_count=self.blank,
            sizes=self._sizes.copy(),
            main_size=described(modes[:1], "px"),
            precision=() if precision is None else (precision.value, precision.low, precision.high),
            reject_count=self.reject_band,
            out_of_distribution_count=self.out_of_distribution,
            model=self.model,
        )

    def _fit(self) -> tuple[tuple[SizeMode, ...], Interval | None]:
        """Return the modes of the latest sizes, and the precision of the latest hits."""
        due, selected, modes, precision = self._fitted
        began = time.monotonic()
        if self.selected != selected and (self.over or began > due):
            singles, sizes = (np.array(values, np.float32) for values in (self._latest_singles, self._latest_sizes))
            modes = size_modes(sizes)
            precision = precision_estimate(singles, sizes, modes)
            due = began + _BETWEEN_FITS * (time.monotonic() - began)
            self._fitted = (due, self.selected, modes, precision)
        return modes, precision

    def _add_sizes(self, diameters: NDArray[np.float32]) -> None:
        self._latest_sizes.extend(diameters.tolist())
        known = diameters[np.isfinite(diameters)]
        if known.size:
            low, high = np.log(SIZE_RANGE)
            self._sizes += _histogram(np.log(known), SIZE_BINS, low, high)

    def _add_powder(self, frames: NDArray[np.generic], selected: NDArray[np.bool_]) -> None:
        if not selected.any():
            return
        total = binned(_sum(frames[selected]), _POWDER_EDGE)
        if self._powder is None or self._powder.shape != total.shape:
            self._powder, self._n_powder = np.zeros(total.shape), 0
        self._powder += total
        self._n_powder += int(selected.sum())

    def _add_picture(
        self,
        kind: str,
        wanted: NDArray[np.bool_],
        scores: HitScores,
        frames: NDArray[np.generic],
        *,
        numbers: NDArray[np.int64],
        series: str,
    ) -> None:
        now = time.monotonic()
        if not wanted.any() or now - self._drawn[kind] < _BETWEEN_PICTURES_S:
            return
        self._drawn[kind], last = now, int(np.flatnonzero(wanted)[-1])
        picture = Thumbnail(
            image=small_picture(frames[last]),
            number=int(numbers[last]),
            series=series,
            single=float(scores.single[last]),
            fringes=float(scores.fringes[last]),
            out_of_distribution=float(scores.out_of_distribution[last]),
        )
        self._galleries[kind].appendleft(picture)


def _histogram(values: NDArray[np.float32], bins: int, low: float, high: float) -> NDArray[np.int64]:
    """Return what `numpy.histogram` does for equal bins, for a handful of values in a fifth of its time."""
    inside = values[(values >= low) & (values <= high)]
    places = ((inside - low) * (bins / (high - low))).astype(np.int64)
    return np.bincount(np.minimum(places, bins - 1), minlength=bins)


def _sum(frames: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the sum of frames ``(n, y, x)``; only floats can hold what is no number."""
    known = np.nan_to_num(frames) if frames.dtype.kind == "f" else frames
    return np.asarray(known.sum(axis=0, dtype=np.float32))


def binned(image: NDArray[np.float32], edge: int) -> NDArray[np.float32]:
    """Return an image ``(y, x)`` with whole blocks of pixels averaged, so that no side is longer than ``edge``."""
    block = max(-(-max(image.shape) // edge), 1)
    if block == 1:
        return image
    rows, columns = (size // block for size in image.shape)
    return image[: rows * block, : columns * block].reshape(rows, block, columns, block).mean(axis=(1, 3))


def small_picture(frame: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a frame ``(y, x)`` as a small grey picture: the square root of its intensities."""
    values = np.sqrt(np.maximum(binned(np.nan_to_num(frame.astype(np.float32)), _EDGE), 0))
    low, high = float(values.min()), float(np.percentile(values, _BRIGHTEST))
    return (np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
