"""What values are if not photons: a detector's units (pedestal, gain, readout noise), logarithms, roots, normalised.

Most voxels of a pattern are dark, so the pedestal is the middle of all values and the noise what lies below it; what is
bright gathers around whole numbers of photons, as far as the noise lets it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.marks import LARGEST
from friedel.core.statistics import quantiles

Floats: TypeAlias = NDArray[np.float64]
SAMPLE = 20_000
# Nothing counts so far; its square, summed over a million voxels, is still a float32.
COUNTABLE = 1e15
# So many different values near the end of a type's range, and as few between them and the others, are no bright pixels.
LEAST_HIGH, EMPTY = 5, 0.01
# Of values on steps so large a share may have gone beyond their type's end, and so many times round.
MOST_BEYOND_TYPE, MOST_SPANS, BY_CHANCE = 0.5, 16, 1e-6
# With more of the positive values beyond it, they aren't single damaged ones.
MOST_BEYOND = 0.01
LEAST_BRIGHT = 500
# With so many dark voxels the middle of all values is the pedestal, and too few of the others are left in a sample.
MOSTLY_DARK = 0.6
# Dark voxels are the lowest of whose place so large a share of the densest holds many.
LEAST_PEAK = 0.3
# Gains below this can't be told from photons whose numbers are whole.
SMALLEST_GAIN = 3.0
# Around steps of the gain, the mean of exp(2πi v / gain) is exp(-2π² σ²): 0.35 for a noise σ of 0.23 photons.
LEAST_COHERENCE = 0.35
# Between no step at all and the gain that mean falls to such a share of what it is at the gain.
CONTRAST = 0.7
LEAST_STEPS = 4.0  # in units of the noise, the smallest gain that is looked for among fractions
# Within a quarter of a step of its rung lies half of what knows no steps, and 0.72 of what scatters by 0.23 photons.
LEAST_NEAR = 0.72
LEAST_RUNG = 0.03
# Whole numbers of which one in so many occurs: a term of a polynomial takes a tenth of an exponential.
DENSE = 10
# Up to so many quanta float32 keeps multiples apart by far more than the tolerance.
QUANTA = 2000
# Noise whose negative half was cut off: zeros are so large a share of all, few values lie below, and the number of ones
# falls below `LEVEL` of itself not before `LEAST_WIDTH`, and to less than `FALLEN` at twice that.
LEAST_ZEROS, MOST_BELOW, MOST_NOISE = 0.3, 1e-3, 400
LEVEL, LEAST_WIDTH, FALLEN = 0.6, 3, 0.25
TOLERANCE = 0.01  # distance from a whole number that still counts as whole
MOST_WHOLE = 0.995  # share of the values that must be whole: a few hot or interpolated voxels are let pass
# So large a share of the values must be so few quanta: most voxels of a pattern hold few photons.
LEAST_FEW = 0.2
# Frames with light that are asked for a unit of their own, and how many are looked through for them, blanks among them.
ENOUGH_FRAMES, MOST_ASKED = 8, 128
LEAST_KINDS = 3  # different whole numbers among them: two may be a mask or a mark

SCALES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("the logarithm of 1 + photons", np.expm1),
    ("the decimal logarithm of 1 + photons", lambda v: np.power(10.0, v) - 1),
    ("the logarithm of photons", np.exp),
    ("the decimal logarithm of photons", lambda v: np.power(10.0, v)),
    ("the square root of photons (amplitudes)", np.square),
)
"""What people make of photons before they keep them, and how it is undone; what was undone is whole."""


@dataclass(frozen=True, kw_only=True)
class DetectorUnits:
    """What turns a detector's values into photons.

    Attributes
    ----------
    pedestal : float
        Value without light.
    gain : float
        Units a photon.
    noise : float
        Readout noise, photons; 0 where it isn't seen.
    """

    pedestal: float
    gain: float
    noise: float = 0.0

    def photons(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return the nearest whole numbers of photons, not below 0."""
        return np.maximum(np.round((values - self.pedestal) / self.gain), 0).astype(np.float32)


def detector_units(known: NDArray[Any]) -> DetectorUnits | None:
    """Return pedestal and gain, if the low values gather around equal steps of at least `SMALLEST_GAIN`.

    Parameters
    ----------
    known : (n,) real
        Values of measured voxels.
    """
    zero, noise = dark_level(known)
    noise = noise or clipped_noise(known)
    # Fractions have steps of any size; noise hides those of less than four times its own.
    whole = bool((known[:SAMPLE] == np.round(known[:SAMPLE])).all())
    smallest = SMALLEST_GAIN if whole or not noise else min(SMALLEST_GAIN, LEAST_STEPS * noise)
    bright = known[known > zero + 3 * noise + 0.5]
    mostly_dark = (np.abs(known - zero) <= 3 * noise + 0.5).mean() > MOSTLY_DARK and bright.size >= LEAST_BRIGHT
    if not mostly_dark:
        return _dense_units(known, smallest)
    low = _sampled(bright, 0.8) - zero
    found = _step(low, smallest)
    if found is None:
        return None
    pedestal, gain = _refined(zero, found[0], known)
    if gain < smallest or not _on_rungs((low + zero - pedestal) / gain):
        return None
    return DetectorUnits(pedestal=pedestal, gain=gain, noise=noise / gain)


def beyond_counting(values: NDArray[Any], *, name: str) -> NDArray[np.bool_] | None:
    """Return where values are so large that nothing counted them: damaged bytes, or a fill value; None: nowhere.

    Parameters
    ----------
    values : (…), any real dtype
        Raw values; the largest ones of number types are marks, and left to `friedel.core.files.marks`.
    name : str
        Origin of the data, for messages.

    Raises
    ------
    InputError
        If most values are as large: then no number of photons can be told.
    """
    if values.dtype.kind not in "iuf" or values.dtype.itemsize < 4 or not values.size:
        return None
    with np.errstate(invalid="ignore"):
        if values.dtype.kind != "f" and not (values.max() > COUNTABLE or values.min() < -COUNTABLE):
            return None
        beyond = (values > COUNTABLE) | (values < -COUNTABLE)
    beyond &= np.isfinite(values)
    if not beyond.any():
        return None
    beyond[beyond] = ~np.isin(values[beyond], np.array(LARGEST, np.float64))
    n, top = int(beyond.sum()), float(np.abs(values[beyond].astype(np.float64)).max(initial=0))
    if n > MOST_BEYOND * np.count_nonzero(values):
        raise InputError(f"{name}: values up to {top:.3g} are no counts; divide them by what one photon is")
    return beyond if n else None


def out_of_range(values: NDArray[Any]) -> str | None:
    """Return in what way values left the range of their number type, None if they didn't or it can't be told.

    Negative ones of a type without a sign lie just below its end, with nothing between them and the others; a gain
    stage in the highest bits looks alike. Of detector units that are multiples of a gain, sums beyond the end aren't.

    Parameters
    ----------
    values : (n,) integers of 8, 16 or 32 bits
        Values of measured pixels; of another type nothing is said.
    """
    if values.dtype.kind not in "iu" or values.dtype.itemsize > 4 or values.size < LEAST_BRIGHT:
        return None
    bits, span = 8 * values.dtype.itemsize, 2 ** (8 * values.dtype.itemsize)
    if values.dtype.kind == "u":
        high = values >= 3 * (span // 4)
        high &= ~np.isin(values, np.array([mark for mark in LARGEST if mark < span], values.dtype))
        if np.unique(values[high][:SAMPLE]).size >= LEAST_HIGH:
            between = (values >= span // 4) & (values < 3 * (span // 4))
            if between.sum() < EMPTY * high.sum():
                top = int(values[high].min()) - 1
                text = f"values of uint{bits} lie below {span // 4} and above {top}, none between: negative ones that "
                text += f"began again from above (save them as int{bits}), or a gain stage in the highest bits"
                return text + " (convert raw data to photons first)"
    return _lost_range(values, span) if bits <= 16 else None


def _lost_range(values: NDArray[Any], span: int) -> str | None:
    """Return that multiples of a gain went beyond the end of their type, if those off the steps are some such."""
    whole = values[values != 0].astype(np.int64)
    kinds, counts = np.unique(whole[:: max(1, whole.size // (10 * SAMPLE))], return_counts=True)
    if kinds.size < LEAST_KINDS:
        return None
    gain = int(kinds[counts.argmax()])
    if gain <= SMALLEST_GAIN:
        return None
    off = kinds[kinds % gain != 0]
    if off.size < LEAST_KINDS or counts[kinds % gain != 0].sum() > MOST_BEYOND_TYPE * counts.sum():
        return None
    back = np.any([(off + k * span) % gain == 0 for k in range(1, MOST_SPANS + 1)], axis=0)
    # By chance a number is a multiple of the gain after one of some turns.
    if back.mean() < 0.99 or min(1.0, MOST_SPANS / gain) ** off.size > BY_CHANCE:
        return None
    text = f"values are multiples of {gain}, but for some that are so only with {span} added: sums beyond the end of "
    return text + "their number type began again from its start; save them in a wider type"


def dark_level(known: NDArray[Any]) -> tuple[float, float]:
    """Return where dark voxels lie, and their root mean square distance below it: the lowest place of many values."""
    some = known[:: max(1, known.size // (10 * SAMPLE))].astype(np.float64)
    low, middle = quantiles(some, (0.001, 0.5))
    width = (middle - low) / 40
    if (some == np.round(some)).all():
        width = max(np.ceil(width), 1.0)  # else some bins hold one whole number more than the next
    if not width > 0:
        return float(middle), 0.0
    width = max(
        width, 4 * float(np.spacing(max(abs(low), abs(middle))))
    )  # beyond 2**53 whole numbers are farther apart
    edges = np.arange(low - width, middle + 2.5 * width, width) - width / 2
    counts = np.convolve(np.histogram(some, edges)[0], (0.25, 0.5, 0.25), mode="same")
    peaks = [k for k in range(1, counts.size - 1) if counts[k - 1] <= counts[k] >= counts[k + 1]]
    first = next((k for k in peaks if counts[k] > LEAST_PEAK * counts.max()), int(counts.argmax()))
    zero = float(edges[first] + width / 2)
    below = some[some < zero]
    noise = float(np.sqrt(((below - zero) ** 2).mean())) if below.size > 0.02 * some.size else 0.0
    return zero, noise


def clipped_noise(known: NDArray[Any]) -> float:
    """Return the readout noise of whole values whose negative half was cut off at zero; 0 where there is none.

    Photons of a pattern fall from one to two and three by a half and a third, or rise; noise stays level to a standard
    deviation, and falls by seven times to the second.
    """
    some = known[:: max(1, known.size // (10 * SAMPLE))]
    some = some[np.isfinite(some)].astype(np.float64)
    few = some[(some >= 0) & (some < MOST_NOISE)]
    if few.size < LEAST_BRIGHT or (some < 0).mean() > MOST_BELOW or not (few == np.round(few)).all():
        return 0.0
    counts = np.bincount(few.astype(np.int64), minlength=MOST_NOISE)
    if counts[0] < LEAST_ZEROS * some.size or counts[1] < LEAST_BRIGHT:
        return 0.0
    low = np.flatnonzero(counts[1:] < LEVEL * counts[1])
    width = int(low[0]) + 1 if low.size else MOST_NOISE
    if width < LEAST_WIDTH or 2 * width >= MOST_NOISE or counts[2:].max() > 1.1 * counts[1]:
        return 0.0
    if counts[2 * width] > FALLEN * counts[1]:
        return 0.0
    return float(np.sqrt((width**2 - 1) / (2 * np.log(counts[1] / max(counts[width], 1)))))


def _sampled(values: NDArray[Any], share: float) -> Floats:
    some = values[:: max(1, values.size // SAMPLE)].astype(np.float64)
    return np.asarray(some[some <= quantiles(some, (share,))])


def _step(some: Floats, smallest: float = SMALLEST_GAIN) -> tuple[float, float] | None:
    """Return the step around whose multiples values gather, and their phase; None if they don't.

    The mean of exp(2πi f v) is large where 1/f is the step; between, the spread of the values makes it small.
    """
    span = float(some.max())
    if span < 2 * smallest:
        return None
    steps = np.geomspace(span / 1.5, smallest, 600)
    sums = _mean_phasors(some, steps)
    size = np.abs(sums)
    peaks = [
        k for k in range(1, 599) if size[k] > LEAST_COHERENCE and size[k] >= size[k - 1] and size[k] >= size[k + 1]
    ]
    peaks = [k for k in peaks if size[: k + 1].min() < CONTRAST * size[k]]
    if not peaks:
        return None
    # The gain itself is the largest step of those that fit about as well: its fractions fit, too.
    peaks = [k for k in peaks if size[k] > 0.8 * size[peaks].max()]
    return float(steps[peaks[0]]), float(np.angle(sums[peaks[0]]))


def _mean_phasors(some: Floats, steps: Floats) -> NDArray[np.complex128]:
    """Return the mean of exp(2πi v / step) over values, for each step."""
    # Whole numbers are few different ones: the mean over them by their shares takes a hundredth of the time.
    values, counts = np.unique(some, return_counts=True)
    shares, least = counts / some.size, values[0]
    places = values - least
    if places[-1] > DENSE * places.size or not (places == np.round(places)).all():
        return np.array([shares @ np.exp(2j * np.pi * values / step) for step in steps])
    # Where they are dense, it is a polynomial in exp(2πi / step), which needs no exponential a value.
    series = np.bincount(places.astype(np.int64), weights=shares)
    sums = np.polynomial.polynomial.polyval(np.exp(2j * np.pi / steps), series)
    return np.asarray(sums * np.exp(2j * np.pi * least / steps))


def _refined(pedestal: float, gain: float, known: NDArray[Any]) -> tuple[float, float]:
    """Return pedestal and gain fitted to ever more photons: a hundredth of error puts the hundredth a step off."""
    for most in (2.5, 4.5, 12.5, 40.5, 150.5, 600.5, 2500.5):
        values = known[known < pedestal + most * gain]
        values = values[:: max(1, values.size // SAMPLE)].astype(np.float64)
        numbers = np.round((values - pedestal) / gain)
        if np.ptp(numbers) > 0:
            gain, pedestal = (float(x) for x in np.polyfit(numbers, values, 1))
    return pedestal, gain


def _on_rungs(photons: Floats) -> bool:
    near = np.round(photons)
    numbers, counts = np.unique(near, return_counts=True)
    full = counts[numbers > 0] > LEAST_RUNG * photons.size
    return bool((np.abs(photons - near) < 0.25).mean() > LEAST_NEAR and full.sum() >= 3)


def _dense_units(known: NDArray[Any], smallest: float) -> DetectorUnits | None:
    """Return the units where many voxels have photons: the lowest rung is the one next to the lowest values."""
    some = known[:: max(1, known.size // SAMPLE)].astype(np.float64)
    low, high = quantiles(some, (0.01, 0.9))
    some = some[some <= high] - low
    if (some == np.round(some)).all() and high - low < 4 * SMALLEST_GAIN:
        return None
    found = _step(some, smallest)
    if found is None:
        return None
    gain, phase = found
    rungs = low + phase / (2 * np.pi) * gain + gain * np.arange(-1, 3)
    near = [int((np.abs(some + low - rung) < gain / 4).sum()) for rung in rungs]
    first = next((float(rung) for rung, n in zip(rungs, near, strict=True) if n > 0.02 * some.size), None)
    if first is None:
        return None
    pedestal, gain = _refined(first, gain, known)
    return DetectorUnits(pedestal=pedestal, gain=gain) if _on_rungs((some + low - pedestal) / gain) else None


def whole_numbers(values: Floats) -> bool:
    """Tell whether positive values are whole numbers of something, most of them few."""
    few = values[values < QUANTA]
    if few.size < max(100, LEAST_FEW * values.size):
        return False
    near = np.round(few)
    close = np.abs(few - near) < TOLERANCE
    return bool(close.mean() > MOST_WHOLE and np.unique(near[:20_000]).size >= LEAST_KINDS)


def transformed(values: NDArray[Any]) -> str | None:
    """Return what values are if they are photons' logarithms or roots, None if they aren't or it can't be told.

    Parameters
    ----------
    values : (n,) real
        Values of measured pixels.
    """
    positive = values[values > 0]
    some = positive[:: max(1, positive.size // (10 * SAMPLE))].astype(np.float64)
    if some.size < LEAST_BRIGHT or some.max() > np.log(1e12) ** 2 or (some == np.round(some)).all():
        return None
    least = float(some.min())
    if _multiples(some, least):
        return None
    with np.errstate(all="ignore"):
        usual = next((what for what, undo in SCALES if _whole_if_undone(some, undo(some))), None)
        # Decibels and other multiples of logarithms: the least positive value is that of one photon, or of two.
        scales = (least / np.log(2), least / np.log(3))
        scale = next((s for s in scales if _whole_if_undone(some, np.expm1(some / s))), None)
    return usual or (None if scale is None else f"{scale:.4g} × log(1 + photons)")


def _multiples(values: Floats, least: float) -> bool:
    return any(whole_numbers(values / (least / k)) for k in (1, 2, 3))


def _whole_if_undone(values: Floats, undone: Floats) -> bool:
    """Tell whether photons are whole numbers of something, and values as they are aren't.

    Only few photons tell. Multiples of one number have whole squares, and whole powers of two: where brighter values
    are none, as beyond an overflow, those of few photons still show it.
    """
    few = values[undone < QUANTA]
    return whole_numbers(undone) and not _multiples(few, float(few.min()))


def normalised_apart(frames: NDArray[Any]) -> bool:
    """Tell whether every frame ``(n, y, x)`` is whole numbers of a unit of its own: frames normalised one by one."""
    units = []
    for frame in frames[:MOST_ASKED]:
        positive = frame[np.isfinite(frame) & (frame > 0)].astype(np.float64)
        if positive.size < LEAST_BRIGHT:
            continue  # a blank tells nothing
        if not whole_numbers(positive / positive.min()):
            return False
        units.append(float(positive.min()))
        if len(units) == ENOUGH_FRAMES:
            break
    return len(units) > 1 and max(units) > (1 + TOLERANCE) * min(units)
