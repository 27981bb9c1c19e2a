"""The paper's preprocessing: the central 128² pixels, each to zero mean and unit variance over the training frames.

Li & Han, "Convolutional Neural Network for Single Particle Imaging with X-FEL": it "amplifies invisible fringes". The
statistics belong to one experiment's beam, detector and units; they travel with the weights. Flips are training's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.errors import InputError, WeightsError
from friedel.spi.records import Frames

SIDE = 128  # pixels, as in the paper
# Beyond this a pixel is hot, not informative; and float16 stores of inputs can't overflow.
_LIMIT = 100.0


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Frames to a network's input, by each pixel's statistics over the training frames.

    Attributes
    ----------
    mean : (side, side) float32
        Of each central pixel, in the frames' unit; 0 where it was never measured.
    deviation : (side, side) float32
        Standard deviation; 0 where the pixel was never measured or never changed. Such pixels are always 0 for the
        network, as are unknown ones: the mean of all others.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    NAME: ClassVar[str] = "standardise"

    @classmethod
    def fit(cls, stretches: Iterable[Frames], *, side: int = SIDE) -> Self:
        """Return the statistics of training frames, gathered stretch by stretch.

        Parameters
        ----------
        stretches : iterable of Frames
            Photons or ADU; each with its mask.
        side : int
            Pixels along each axis, about the frame's centre, that the network sees.

        Raises
        ------
        InputError
            If there is no frame, or no pixel that ever changes.
        """
        count, mean, squares = (np.zeros((side, side)) for _ in range(3))
        for stretch in stretches:
            values = central(stretch.intensities, stretch.mask, side=side).astype(np.float64)
            count, mean, squares = _merge((count, mean, squares), _moments(values))
        deviation = np.sqrt(squares / np.maximum(count, 1))
        # A constant's rounding error is no variance.
        deviation[deviation <= 1e-6 * np.abs(mean)] = 0
        if not deviation.any():
            raise InputError(
                "no pixel changes over the training frames: there are none, or they are masked or constant"
            )
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def __call__(self, frames: NDArray[np.generic], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Return the network's input.

        Parameters
        ----------
        frames : (n, y, x) float or integer
            In the unit of the training frames; values that aren't finite are unknown.
        mask : (y, x) bool, optional
            True where the detector measures; everywhere if not given.

        Returns
        -------
        (n, 1, side, side) float32
            Zero mean and unit variance over the training frames, kept within ±100; 0 where unknown.
        """
        values = central(frames, mask, side=len(self.mean))
        scale = np.divide(1, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        values -= self.mean
        values *= scale
        np.nan_to_num(values, copy=False, nan=0.0)
        return np.clip(values, -_LIMIT, _LIMIT, out=values)[:, None]

    def statistics(self) -> dict[str, Tensor]:
        """Return both arrays by name, for `friedel.core.networks.save_weights`."""
        return {"mean": torch.from_numpy(self.mean), "deviation": torch.from_numpy(self.deviation)}

    @classmethod
    def from_statistics(cls, statistics: Mapping[str, Tensor]) -> Self:
        """Return the standardiser that `statistics` describes.

        Raises
        ------
        WeightsError
            If an array is missing.
        """
        missing = sorted({"mean", "deviation"} - set(statistics))
        if missing:
            raise WeightsError(f"the weights lack the preprocessing's {' and '.join(missing)}; train the model again")
        return cls(statistics["mean"].numpy(), statistics["deviation"].numpy())


def central(frames: NDArray[np.generic], mask: NDArray[np.bool_] | None = None, *, side: int) -> NDArray[np.float32]:
    """Return the central ``side`` × ``side`` pixels of frames, the centre kept at index ``n // 2``.

    Parameters
    ----------
    frames : (n, y, x) float or integer
        Any size; smaller frames are surrounded by unknown pixels.
    mask : (y, x) bool, optional
        True where the detector measures.
    side : int
        Pixels along y and x of what is returned.

    Returns
    -------
    (n, side, side) float32
        A copy; NaN where unknown: masked, outside the frame, or not finite.

    Raises
    ------
    InputError
        If the axes are wrong or the mask doesn't fit.
    """
    if frames.ndim != 3:
        raise InputError(f"frames must have axes (n, y, x), got shape {frames.shape}")
    if mask is not None and mask.shape != frames.shape[1:]:
        raise InputError(f"mask {mask.shape} doesn't fit frames of {frames.shape[1:]}")
    seen = np.full((len(frames), side, side), np.nan, dtype=np.float32)
    (here_y, there_y), (here_x, there_x) = (_overlap(length, side) for length in frames.shape[1:])
    part = frames[:, there_y, there_x].astype(np.float32)
    if mask is not None:
        part[:, ~mask[there_y, there_x].astype(bool)] = np.nan
    part[~np.isfinite(part)] = np.nan
    seen[:, here_y, here_x] = part
    return seen


def _overlap(length: int, side: int) -> tuple[slice, slice]:
    shift = length // 2 - side // 2
    start, stop = max(shift, 0), min(shift + side, length)
    return slice(start - shift, stop - shift), slice(start, stop)


_Moments = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _moments(values: NDArray[np.float64]) -> _Moments:
    """Return count, mean and sum of squared deviations of each pixel over its known values."""
    known = np.isfinite(values)
    count = known.sum(axis=0).astype(np.float64)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    return count, mean, np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0)


def _merge(one: _Moments, other: _Moments) -> _Moments:
    # Chan, Golub & LeVeque, Am. Stat. 37, 242 (1983): pairwise, so that no large sums cancel.
    count = one[0] + other[0]
    apart, share = other[1] - one[1], other[0] / np.maximum(count, 1)
    return count, one[1] + apart * share, one[2] + other[2] + apart**2 * one[0] * share
