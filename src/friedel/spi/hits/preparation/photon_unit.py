"""What one photon is in a run's frames: marks that are no counts, the pedestal, detector units a photon, read noise.

Everything comes from a sample of the run's own frames and from measured pixels only. Nothing here depends on the order
of the frames, their number type or what stands in masked pixels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from friedel.core.detector_units import detector_units
from friedel.core.files.marks import LARGEST

MARKS = tuple(sorted({float(np.float32(value)) for value in LARGEST}))
"""Values that detectors and programs write where there is no count, whatever types they have passed through."""

# Largest read noise, photons a pixel, that is believed: a gain that gives more is taken as too small.
_NOISIEST = 0.7
_TILE = 8  # pixels a side of the tiles whose mean and variance are compared
_FEW_TILES = 10  # fewer don't determine the slope of variance over mean
# Values looked at for the step between them, and for marks.
_MOST_VALUES = 1 << 20
# Share of a photon above the commonest value within which counted data have no other value, and noise has.
_GAP = 0.3
# Above this ratio of variance and mean in steps, the step is no photon.
_OVERDISPERSED = 2.5
# Single photons are looked for so many standard deviations above the noise, and believed if there are so many, and
# between none and one fewer than this share of those at one.
_LONE, _FEW_PHOTONS, _VALLEY = 4.5, 200, 0.75
# By so much must their peak exceed the slope before it is believed instead: the slope errs by a fifth where it holds.
_TOO_SMALL = 1.4
# Photons by which a dark level must differ from what its own noise explains before it is called a pedestal.
_CLEARLY = 0.3
# A share of pixels with one and the same negative number in (nearly) every frame is a mark, not noise.
_ALWAYS = 0.9
# The zero-photon peak is measured again only while its width falls below this share of the last one; without a limit
# it would be narrowed for ever.
_NARROWER = 0.85
# Relative steps to which gain, and read noise, are rounded, so that two samples of a run nearly always give equal ones.
_GRID, _NOISE_GRID = 0.01, 0.05

# Rounding to whole numbers scatters by 0.29 of one; what scatters more is read noise.
_ROUNDING = 0.5

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PhotonUnit:
    """What the numbers in a run's frames mean.

    Attributes
    ----------
    gain : float
        Detector units a photon.
    pedestal : float
        Detector units without light.
    read_variance : float
        Variance of a pixel's noise without light, photons².
    counted : bool
        The numbers are multiples of one photon: nothing but counting noise.
    measured : bool
        False where there wasn't light enough to tell the gain.
    """

    gain: float = 1.0
    pedestal: float = 0.0
    read_variance: float = 0.0
    counted: bool = True
    measured: bool = True


def find_marks(frames: NDArray[np.generic], mask: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the values, beside `MARKS`, that stand for "no count" in these frames: negative ones among whole counts.

    Parameters
    ----------
    frames : (n, y, x)
        A sample of the run.
    mask : (y, x) bool
        True where the detector measures.
    """
    part: NDArray[Any] = frames[:: max(1, len(frames) // 16)][:16]
    negative = (part < 0) & mask if part.dtype.kind in "if" else np.zeros((0, 1, 1), bool)
    if not negative.any():
        return ()
    found = np.unique(part[negative])
    if len(found) > 2 or not np.all(found == np.rint(found)) or not np.all(np.isfinite(found)):
        return ()
    share = negative.mean(0)
    return tuple(float(value) for value in found) if np.median(share[share > 0]) >= _ALWAYS else ()


def measured_values(frames: NDArray[np.generic], mask: NDArray[np.bool_], marks: tuple[float, ...]) -> Values:
    """Return the values of measured pixels, thinned out evenly over frames and pixels, as one array."""
    step = max(1, int(mask.sum()) * len(frames) // _MOST_VALUES)
    places = np.flatnonzero(mask)
    picked = [frame.reshape(-1)[places[index % step :: step]] for index, frame in enumerate(frames)]
    values = np.concatenate([np.zeros(0), *(part.astype(np.float64) for part in picked)])
    values = values[np.isfinite(values)]
    for mark in (*MARKS, *marks):
        values = values[values.astype(np.float32) != np.float32(mark)]
    return values


def photon_unit(mean: Tensor, variance: Tensor, values: Values) -> PhotonUnit:
    """Return what a photon is.

    Parameters
    ----------
    mean, variance : (k,) float64
        Of tiles of the sample, from `tile_statistics`, detector units.
    values : (m,) float64
        From `measured_values`.

    References
    ----------
    Janesick, Photon Transfer (SPIE Press 2007), chapter 5.
    """
    if len(mean) < _FEW_TILES or not len(values):
        return PhotonUnit(measured=False)
    dark, dark_variance = _dark_level(mean, variance)
    slope = _slope(mean, variance, dark, dark_variance)
    step, base = _step(values)
    rounded = _rounded(values, step, slope)
    if rounded is not None:
        return rounded
    if step and _counted(values, base, step, slope, dark, dark_variance):
        return PhotonUnit(gain=step, pedestal=_counts_pedestal(values, base, step, dark, dark_variance))
    zero, noise = _zero_peak(values, dark, dark_variance**0.5)
    lone = _single_photon(values - zero, noise)
    slope = lone if lone and lone > _TOO_SMALL * (slope or 0.0) else slope
    measured = slope is not None and slope > noise / _NOISIEST / 2
    gain = max(slope or 0.0, noise / _NOISIEST, 1e-9)
    if measured:
        gain = _on_grid(_sharpened(values, zero, gain, noise), _GRID)
    read_variance = _on_grid((noise / gain) ** 2, _NOISE_GRID)
    clear = zero - noise**2 / gain > _CLEARLY * gain or zero < -_CLEARLY * gain
    pedestal = float(np.rint(zero / (_NOISE_GRID * gain))) * _NOISE_GRID * gain if clear else 0.0
    return PhotonUnit(gain=gain, pedestal=pedestal, read_variance=read_variance, counted=False, measured=measured)


def _rounded(values: Values, step: float, slope: float | None) -> PhotonUnit | None:
    """Return the unit where photons were multiplied by a gain and rounded: whole values on rungs that aren't whole."""
    if step != 1 or slope is None or slope < _OVERDISPERSED:
        return None
    units = detector_units(values)
    if units is None or units.noise * units.gain > _ROUNDING:
        return None
    pedestal = units.pedestal if abs(units.pedestal) > _CLEARLY * units.gain else 0.0
    return PhotonUnit(gain=units.gain, pedestal=pedestal)


def _zero_peak(values: Values, dark: float, noise: float) -> tuple[float, float]:
    """Return where the peak of pixels without a photon lies, and its width, from its side that no photon reaches."""
    if noise <= 0:
        return dark, noise
    counts, edges = np.histogram(values, bins=800, range=(dark - 5 * noise, dark + 3 * noise))
    middle, zero, width = (edges[1:] + edges[:-1]) / 2, dark, noise
    for _ in range(4):  # a narrower peak keeps more of the light out of its own middle
        for _ in range(20):  # to the middle of what lies about it, until it is the middle
            near = np.clip(1 - np.abs(middle - zero) / (1.2 * width), 0, None) * counts
            zero = float((near * middle).sum() / max(near.sum(), 1e-9))
        below = middle < zero
        squares = (counts * (middle - zero) ** 2)[below].sum() / max(counts[below].sum(), 1)
        before, width = width, min(float(squares) ** 0.5, width)
        if width > _NARROWER * before or width == 0:
            break
    return (zero, width) if counts[below].sum() > 100 and width > 0 else (dark, noise)


def _single_photon(values: Values, noise: float) -> float | None:
    """Return where single photons stand in the histogram, or None where no peak is clear of the noise.

    In a run of many blanks few tiles are lit, and what modules drift by hides how the variance grows with the light.
    """
    lone = values[values > _LONE * noise]
    if noise <= 0 or len(lone) < _FEW_PHOTONS:
        return None
    peak = float(np.quantile(lone, 0.1))
    for _ in range(4):
        near = lone[np.abs(lone - peak) < 0.3 * peak]
        if len(near) < _FEW_PHOTONS:
            return None
        peak = float(np.median(near))
    valley, top = (int(np.sum(np.abs(values - middle * peak) < 0.07 * peak)) for middle in (0.65, 1.0))
    return peak if valley < _VALLEY * top else None


def tile_statistics(frames: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of a pixel in tiles of 8 × 8, ``(k,)`` float64 each, of tiles mostly measured.

    The variance comes from second differences along rows, in which smooth patterns cancel.
    """
    whole = (known > 0.99).float()
    triple = whole[..., :-2] * whole[..., 1:-1] * whole[..., 2:]
    second = frames[..., :-2] - 2 * frames[..., 1:-1] + frames[..., 2:]
    share = functional.avg_pool2d(triple, _TILE)
    mean = functional.avg_pool2d(frames[..., 1:-1] * triple, _TILE) / share.clamp_min(0.1)
    variance = functional.avg_pool2d(second**2 * triple, _TILE) / 6 / share.clamp_min(0.1)
    enough = (share > 0.5).expand_as(mean)
    return mean[enough].double(), variance[enough].double()


def _dark_level(mean: Tensor, variance: Tensor) -> tuple[float, float]:
    """Return mean and variance of the tiles without light: the narrowest quarter of the lower half of all."""
    ordered, places = mean.sort()
    half, quarter = max(len(mean) // 2, 2), max(len(mean) // 8, 1)
    widths = ordered[quarter:half] - ordered[: half - quarter]
    first = int(widths.argmin()) if len(widths) else 0
    chosen = places[first : first + quarter + 1]
    spread = variance[chosen].sort().values
    kept = spread[: max(int(0.95 * len(spread)), 1)]
    return float(mean[chosen].mean()), float(kept.mean())


def _slope(mean: Tensor, variance: Tensor, dark: float, dark_variance: float) -> float | None:
    """Return by how much the variance grows with the light, or None where there is too little light to tell.

    Dim tiles tell best: in bright ones, fringes add more variance than photons do. What is left is weighed down.
    """
    light, excess = mean - dark, variance - dark_variance
    lit = light > 6 * (dark_variance / _TILE**2) ** 0.5 + 1e-9
    slope: float | None = None
    for dimmer_than in (None, 8.0, 8.0, 8.0):
        near = lit if dimmer_than is None or slope is None else lit & (light < dimmer_than * slope)
        if int(near.sum()) < 2 * _FEW_TILES:
            break
        slope = _through_dark(light[near], excess[near], variance[near], dark_variance)
    return slope


def _through_dark(x: Tensor, y: Tensor, variance: Tensor, dark_variance: float) -> float:
    slope = max(float((y / x).median()), 1e-12)
    for _ in range(12):
        expected = dark_variance + slope * x
        outlying = (variance / expected).clamp_min(2) - 2
        weight = x / (expected**2 * (1 + outlying**2))
        slope = max(float((weight * y).sum() / (weight * x).sum()), 1e-12)
    return slope


def _step(values: Values) -> tuple[float, float]:
    """Return the step of which all values are multiples, above the least of them; 0 if there is none."""
    different = np.unique(values[::4])
    base = float(values.min())
    if len(different) < 2:
        return 1.0, base if base == round(base) else 0.0
    steps = different - different[0]
    if np.all(different == np.rint(different)):
        return float(np.gcd.reduce(steps.astype(np.int64))), base
    ratio = steps / steps[1]
    whole = bool(np.all(np.abs(ratio - np.rint(ratio)) < 1e-3 * np.maximum(1, ratio * 1e-4)))
    return (float(steps[1]), base) if whole and len(steps) < _MOST_VALUES // 16 else (0.0, base)


def value_step(values: Values) -> float:
    """Return the step of which all values are multiples, 0 if there is none."""
    return _step(values)[0] if len(values) else 0.0


def _counted(values: Values, base: float, step: float, slope: float | None, dark: float, dark_variance: float) -> bool:
    """Say whether a step is one photon: the noise is counting noise, and nothing lies between no light and a photon."""
    if slope is None or slope < 0.5 * step:
        spread = step * max(dark - base, 0.0)
        return bool((values == base).mean() > 1e-3 and dark_variance <= 1.5 * spread + 1e-9 * step**2)
    if slope < _OVERDISPERSED * step:
        return True
    different, counts = np.unique(values[::4], return_counts=True)
    commonest = int(counts.argmax())
    between = (different > different[commonest]) & (different < different[commonest] + _GAP * slope)
    return bool(counts[between].sum() < 1e-2 * counts[commonest])


def _counts_pedestal(values: Values, base: float, step: float, dark: float, dark_variance: float) -> float:
    """Return the pedestal under counts: what is left of the dark level once counting noise has explained its part."""
    pedestal = dark - dark_variance / step
    common = (values == base).mean() > 1e-3
    if common and base < 0 and pedestal <= -0.5 * step:  # a dark that was too high, or a mean, was taken off
        return base
    if pedestal < max(0.15 * abs(dark), 0.5 * step):
        return 0.0
    return base if common else float(np.rint(min(pedestal, base) / step) * step)


def _sharpened(values: Values, zero: float, gain: float, noise: float) -> float:
    """Return the gain from the peaks that zero, one, two, … photons make in the histogram, where it tells them apart.

    Peaks as wide as that of no photon on multiples of the gain are fitted to the counts between 0.5 and 5.5 photons,
    their heights by expectation maximisation; the gain of the greatest likelihood is taken.
    """
    counts, edges = np.histogram(values - zero, bins=120, range=(0.5 * gain, 5.5 * gain))
    middle = (edges[1:] + edges[:-1]) / 2
    if counts.sum() < 2000 or noise > _NOISIEST * gain or noise <= 0:
        return gain
    width = max(noise, edges[1] - edges[0])
    for reach, step in ((1.4, 0.02), (1.03, 0.0025)):
        trial = gain * np.exp(np.arange(-np.log(reach), np.log(reach) + step / 2, step))
        likelihood = _likelihood(counts.astype(np.float64), middle, trial, width)
        best = int(np.clip(likelihood.argmax(), 1, len(trial) - 2))
        a, b, c = likelihood[best - 1 : best + 2]
        if not b >= max(a, c):
            return gain
        gain = float(trial[best] * np.exp(step * 0.5 * (a - c) / min(a - 2 * b + c, -1e-9)))
    return gain


def _likelihood(counts: Values, middle: Values, trial: Values, width: float) -> Values:
    peaks = np.arange(12)
    shape = np.exp(-0.5 * ((middle[None, :, None] - trial[:, None, None] * peaks) / width) ** 2)
    inside = shape.sum(1) + 1e-12
    heights = np.full((len(trial), len(peaks)), counts.sum() / len(peaks)) / inside
    for _ in range(60):
        expected = np.einsum("tbk,tk->tb", shape, heights) + 1e-9
        heights *= np.einsum("tbk,tb->tk", shape, counts / expected) / inside
    expected = np.einsum("tbk,tk->tb", shape, heights) + 1e-9
    return np.asarray((counts * np.log(expected)).sum(1) - expected.sum(1))


def _on_grid(value: float, step: float) -> float:
    """Return the nearest of values that lie a relative ``step`` apart."""
    return float(np.exp(np.rint(np.log(value) / step) * step)) if value > 0 else 0.0
