"""Whether the values are photons; and photons from other units, where the values themselves show the conversion.

Photon counts are whole numbers, so a scale can be found: normalised counts are multiples of the smallest, logarithms
and amplitudes become whole numbers when undone, detector units cluster around multiples of the gain. Where nothing is
whole the noise is used: photon counts scatter by the square root of their mean. A pedestal or a background shows in
that no value comes near zero, as the minima between a pattern's fringes must.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.prepare.background import is_cut_off_noise, say_units, scatters_as_photons, without_background
from friedel.bcdi.prepare.counts import Counts, counts_from
from friedel.core.detector_units import (
    COUNTABLE,
    LEAST_KINDS,
    QUANTA,
    SCALES,
    TOLERANCE,
    beyond_counting,
    detector_units,
    normalised_apart,
    out_of_range,
    whole_numbers,
)
from friedel.core.errors import InputError
from friedel.core.files.marks import LARGEST
from friedel.core.fourier import fourier
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.core.statistics import quantiles

Floats: TypeAlias = NDArray[np.float64]
MOST_ASKED = 64  # frames asked whether their values left the range of their type
SAMPLE = 200_000  # values looked at: the share of whole ones is then known to 2e-4, where 5e-3 decides
# Of a pattern in which counts below this were set to zero, and of how many voxels of the next three numbers to see it.
LEAST_THRESHOLD, LEAST_EACH = 2, 50
LEAST_PEAK = 50.0  # no pattern that can be phased has fewer photons in its brightest voxel
ORDINARY_PHOTONS = 1e7  # what a pattern of unknown scale is brought to: an ordinary scan's
# Bounds of one photon's size in the values' units, as the noise tells it (fringes add to it), in which the values
# already count photons.
PHOTON_NOISE = (0.3, 3.0)
# The size of a photon by neighbours at the least, and by pixels two apart where neighbours tell none: the least of 48
# patterns of photons were 0.91 and 0.92, after a median over 3 × 3 pixels 0.30 to 0.46 and 0.49 to 0.74. A lone smooth
# peak has 0.75 to 0.81 and 0.58 to 0.66: its photons fall on one side.
LEAST_NOISE = {1: 0.65, 2: 0.75}
# The same of any brighter part of the dim voxels, which a filter leaves a quarter, and a scale below one that scale.
# A lone smooth peak has 0.75.
LEAST_OF_PARTS = 0.62
# From one part to the next brighter one the size of a photon grows by less where a gain is seen; fringes alone make it
# grow as the mean does, by three times and more.
MOST_GROWTH = 2.0
# Pixels two apart differ by more than so many times the noise of neighbours where that is correlated.
MOST_CORRELATED = 3.0
# Where the lowest counts are above this, the pattern is so bright that a background wouldn't matter.
MOST_RARE = 30
# Beyond this share of the box no autocorrelation reaches, if the object fills less than half of it.
OUTER = 0.42
# Undone, the transform must be so much emptier there.
LEAST_STRAIGHT = 0.03
# Scales of logarithms that are this near a usual one are that one, in float32, too.
NEAR = 1e-4
# So many times the median of whole counts are many.
MANY = 10
# Of multiples of a half or a third of the least value, so large a share aren't multiples of the least itself; of
# photons it is half of them and more.
LEAST_ODD = 0.05
MOST_FILLED = 0.2  # share of pixels that may hold fractions among whole counts: gaps that were filled in
# Bounds of a flat field, of a number that counts were divided by; means of two voxels and more are multiples of a half
# and less. So many of the pixels are looked at, and so large a share must agree.
FLAT = (0.55, 1.9)
MOST_PIXELS = 200
SCALED_SHARE = 0.8
# The size of a photon differs by so many times between frames that were normalised one by one; by less after a monitor.
OWN_UNIT = 3.0
# Whole numbers may be roots or logarithms times a number of at least so much, rounded: values that rounding moves by
# less than such a share of a photon must come out whole to within it, but for so few.
LEAST_ROUNDED = 50
ROUNDED = 0.25
MOST_NEAR = 0.99

# As floats: 2**64 would make them Python objects, and each look-up among the values slow.
_LARGEST = np.array(LARGEST, dtype=np.float64)


def photons_from(
    values: NDArray[Any], mask: NDArray[np.bool_] | None, *, name: str, observer: Observer = silent
) -> Counts:
    """Check raw values and return them as photons, as far as they can be made so.

    Parameters
    ----------
    values, mask, name
        As for `counts_from`.
    observer : Observer
        Hears the unit that was found, and every conversion.

    Raises
    ------
    InputError
        As `counts_from`.
    """
    array, mask = _without_fractions(_frames_alike(np.asarray(values), name, observer), mask, name, observer)
    array = _countable(array, name, observer)
    odd = out_of_range(array[:: max(1, len(array) // MOST_ASKED)].ravel()) if array.ndim == 3 else None
    if odd is not None:
        raise InputError(f"{name}: {odd}")
    with np.errstate(all="ignore"):  # what overflows isn't a scale
        scale = _scale_of(array)
    if array.dtype == np.uint8 and array.max(initial=0) == np.iinfo(np.uint8).max:
        text = f"{name}: values of 8 bits up to 255, as of a picture: scaled and rounded, not counted"
        observer(Warned("unit", text, bends=True))
    if scale is None:
        array = _without_gain(array, mask, name, observer)
    if scale is not None:
        what, to_photons = scale
        observer(Warned("unit", f"{name}: the values are {what}; turned back to photons"))
        with np.errstate(all="ignore"):
            photons = np.round(to_photons(array.astype(np.float64)))
        array = np.where(np.isneginf(array), 0.0, photons) if array.dtype.kind == "f" else photons
    counts = counts_from(array, mask, name=name, observer=observer)
    return judged_unit(counts, name=name, observer=observer)


def _countable(array: NDArray[Any], name: str, observer: Observer) -> NDArray[Any]:
    """Return the values with those that nothing can have counted as NaN."""
    if array.dtype.kind not in "iuf" or array.ndim != 3 or not array.size:
        return array
    with np.errstate(all="ignore"):
        # fmax and fmin pass over NaN, and say nothing where all are.
        if not (np.fmax.reduce(array, axis=None) > COUNTABLE or np.fmin.reduce(array, axis=None) < -COUNTABLE):
            return array
        scale = _scale_of(array)
        if scale is not None:
            counts = np.where(np.isfinite(array), scale[1](array.astype(np.float64)), 0)
            if np.isfinite(counts).all() and counts.max() < COUNTABLE:
                return array  # multiples of something, however large
    beyond = beyond_counting(array, name=name)
    if beyond is None:
        return array
    text = f"{name}: {int(beyond.sum())} voxels hold values up to {np.abs(array[beyond].astype(np.float64)).max():.3g}"
    observer(Warned("marks", text + ", which nothing can have counted: unknown"))
    return np.where(beyond, np.nan, array)


def _without_fractions(
    array: NDArray[Any], mask: NDArray[np.bool_] | None, name: str, observer: Observer
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Take the pixels that hold fractions as unknown where all others hold whole counts: they were filled in."""
    if array.dtype.kind != "f" or array.ndim != 3:
        return array, mask
    known = np.isfinite(array) if mask is None else np.isfinite(array) & mask
    filled = (known & (array != np.round(array))).any(axis=0)
    whole = known & ~filled & (array > 0)
    if not 0 < filled.mean() <= MOST_FILLED or np.unique(array[whole][:SAMPLE]).size < LEAST_KINDS:
        return array, mask
    # Counts whose rate was corrected hold fractions where they are many; between neighbours there are some of few, too.
    if array[known & (array != np.round(array))].min() > MANY * np.median(array[whole]):
        return array, mask
    if _scaled_counts(array, filled, known):
        observer(
            Note("unit", f"{name}: {int(filled.sum())} pixels hold multiples of a number of their own: a flat field")
        )
        return array, mask
    text = f"{name}: {int(filled.sum())} pixels hold fractions, all others whole counts: filled in, so unknown"
    observer(Warned("dead pixels", text))
    return np.where(filled, array.dtype.type(0), array), ~filled & (True if mask is None else mask)


def _frames_alike(array: NDArray[Any], name: str, observer: Observer) -> NDArray[Any]:
    """Return photons where each frame was divided by its own highest value or sum; a monitor varies by far less."""
    if array.dtype.kind != "f" or array.ndim != 3 or not normalised_apart(array):
        return array
    least = np.where(array > 0, array, np.inf).min(axis=(1, 2), initial=np.inf)
    known = least[np.isfinite(least)]
    if known.max() < OWN_UNIT * known.min():
        return array
    text = f"{name}: every frame is multiples of a number of its own, from {known.min():.3g} to {known.max():.3g}:"
    observer(Warned("unit", text + " normalised one by one; turned back to photons"))
    units = np.where(np.isfinite(least), least, 1.0)[:, None, None]
    return np.where(np.isfinite(array), np.round(array / units), array)


def _scaled_counts(array: NDArray[Any], filled: NDArray[np.bool_], known: NDArray[np.bool_]) -> bool:
    """Tell whether pixels with fractions hold whole counts times a number of each pixel's own, as of a flat field.

    Means over neighbours are multiples of a half, a third, a quarter and so on, or of nothing.
    """
    rows, columns = np.nonzero(filled)
    every = max(1, rows.size // MOST_PIXELS)
    scaled = asked = 0
    for row, column in zip(rows[::every], columns[::every], strict=True):
        counts = array[known[:, row, column], row, column].astype(np.float64)
        counts = counts[counts > 0]
        if np.unique(counts).size < LEAST_KINDS:
            continue
        asked += 1
        least = float(counts.min())
        numbers = np.arange(max(1, int(least / FLAT[1])), int(least / FLAT[0]) + 1)
        ratios = counts[:, None] * numbers / least
        off = np.abs(ratios - np.round(ratios)) > 1e-6 * ratios + 1e-4
        scaled += bool(numbers.size and (~off.any(axis=0)).any())
    return asked > 0 and scaled > SCALED_SHARE * asked


def judged_unit(counts: Counts, *, name: str, observer: Observer = silent) -> Counts:
    """Return the counts without a pedestal or background, in photons if their noise says how large one is.

    Parameters
    ----------
    counts : Counts
        ``(z, y, x)``, marks taken out; a known dark already subtracted.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears the unit, and what was taken off.
    """
    raw = counts.values[counts.mask]
    whole = bool((raw == np.round(raw)).all())
    before = counts
    counts = without_background(counts, name, observer)
    taken_off = float(np.median((before.values - counts.values)[counts.mask])) if counts is not before else 0.0
    # Of a faint background most voxels have none: what is taken off the median is nothing.
    photons_taken_off = counts is not before and (taken_off <= 0 or scatters_as_photons(before, taken_off))
    if whole and taken_off > 0 and not photons_taken_off:
        counts = _of_unknown_gain(counts, name, observer)
        if counts.unit == "unknown":
            return counts
    if whole and is_cut_off_noise(raw, name, observer):
        return replace(before, unit="unknown")
    if whole:
        observer(Note("unit", f"{name}: whole numbers, taken as photons"))
        kept = _thresholded(counts, name, observer) if counts is before else counts
        # Without a background of photons a pattern's dim voxels scatter by more than their mean, or were set to zero.
        return _filtered(kept, before if photons_taken_off else kept, name, observer)
    # Of values that went below zero, the dim ones' noise is the readout's or a background's.
    noise = photon_size(counts) if before.unit == "photons" else None
    if noise is not None and counts.values.max() < LEAST_PEAK * noise:
        noise = None  # nothing with so few photons scatters like them over the whole pattern: logarithms, cut to digits
    if noise is not None and PHOTON_NOISE[0] <= noise <= PHOTON_NOISE[1]:
        observer(Note("unit", f"{name}: fractions that scatter like photons"))
        return counts
    if noise is not None:
        text = f"{name}: the noise says that one photon is {noise:.3g} of the units; divided by that"
        observer(Warned("unit", text))
        return replace(counts, values=counts.values / np.float32(noise))
    counts = _straightened(counts, name, observer)
    return replace(_of_unknown_unit(counts, name, observer), unit="unknown")


def _of_unknown_gain(counts: Counts, name: str, observer: Observer) -> Counts:
    """Divide by the gain that the noise tells, where a pedestal was taken off whole numbers that aren't photons.

    Readout noise hides the steps of the gain, and is the dimmest voxels'; the brighter ones scatter by the gain.
    """
    parts = _scatter(counts, 1)
    if parts is None or parts[0][-1] <= PHOTON_NOISE[1]:
        return counts
    # A background's noise, which stays, makes the size fall as the mean grows; fringes make it grow as fast.
    if not parts[0][-2] <= parts[0][-1] <= MOST_GROWTH * parts[0][-2]:
        return counts
    gain = parts[0][-1]
    text = f"{name}: above that pedestal the values scatter as if one photon were {gain:.3g} of a detector's units, of "
    text += "which no steps are seen: divided by that; readout noise stays, so give photons, or pedestal and gain"
    observer(Warned("unit", text, bends=True))
    return replace(counts, values=counts.values / np.float32(gain), unit="unknown")


def photon_size(counts: Counts) -> float | None:
    """Estimate how large one photon is from the noise of the dim voxels; None if what scatters there isn't photons.

    The third differences between frames, rows or columns leave little of a pattern that is sampled finely; of counts
    of mean m their mean square is 20 m g, if one photon is g units. Bright voxels' fringes add to it, so the dim count;
    where these scatter in proportion to m² instead, there is no noise to see.
    """
    size = _noise_size(_scatter(counts, 1))
    # Smoothed or interpolated counts differ less from the nearest than from those farther on: not photons any more.
    if size is None or (far := _noise_size(_scatter(counts, 2))) is None:
        return size
    return size if far < MOST_CORRELATED * size else None


def _noise_size(found: tuple[list[float], list[float]] | None) -> float | None:
    """Return the size of a photon that what `_scatter` found speaks for, as `photon_size` has it."""
    if found is None:
        return None
    gains, means = found
    # Photons: the ratio stays where the mean grows. Without noise it grows like the mean.
    grows = np.log(gains[-1] / gains[0]) / np.log(means[-1] / means[0]) if means[-1] > means[0] and gains[0] > 0 else 1
    return gains[0] if abs(grows) < 0.5 else None


def _scatter(counts: Counts, stride: int) -> tuple[list[float], list[float]] | None:
    """Return how large a photon is by the noise of ever brighter parts of the dim voxels, and their means."""
    shape = counts.mask.shape
    if min(shape) < 8:
        return None
    step, s = max(1, shape[0] // 32), stride
    values, mask = counts.values[::step], counts.mask[::step]
    first, second, third, fourth = (slice(k * s, shape[2] - (3 - k) * s) for k in range(4))
    change = values[..., fourth] - 3 * values[..., third] + 3 * values[..., second] - values[..., first]
    mean = (values[..., first] + values[..., second] + values[..., third] + values[..., fourth]) / 4
    known = mask[..., first] & mask[..., second] & mask[..., third] & mask[..., fourth] & (mean > 0)
    m, square = mean[known].astype(np.float64), change[known].astype(np.float64) ** 2 / 20
    if m.size < 1000:
        return None
    # Of few different means, of hardly any counts, several quantiles are one value.
    edges = np.unique(quantiles(m, (0.05, 0.2, 0.4, 0.6)))
    parts = [(m >= low) & (m < high) for low, high in pairwise(edges)]
    if len(parts) < 2 or any(not part.any() for part in parts):
        return None
    sizes, means = ([float(x[part].mean()) for part in parts] for x in (square, m))
    return [size / mean for size, mean in zip(sizes, means, strict=True)], means


def _of_unknown_unit(counts: Counts, name: str, observer: Observer) -> Counts:
    top = float(counts.values.max())
    text = f"{name}: the values are fractions without photon noise, so their unit isn't known"
    if top >= LEAST_PEAK:
        observer(Note("unit", text))
        return counts
    factor = ORDINARY_PHOTONS / float(counts.values.sum(dtype=np.float64))
    observer(Warned("unit", f"{text}; the highest is {top:.3g}, so all are scaled by {factor:.3g} for the phasing"))
    return replace(counts, values=(counts.values * np.float32(factor)))


def _scale_of(array: NDArray[Any]) -> tuple[str, Callable[[Any], Any]] | None:
    """Return what the values are if not photons, and how photons are made of them."""
    if array.dtype.kind not in "iuf" or array.ndim != 3:
        return None
    positive = array[np.isfinite(array) & (array > 0)] if array.dtype.kind == "f" else array[array > 0]
    if positive.size < LEAST_KINDS:
        return None
    some = positive[:: max(1, positive.size // SAMPLE)].astype(np.float64)
    some = some[~np.isin(some, _LARGEST)]
    if some.size == 0:
        return None
    if (some == np.round(some)).all() and some.max() < COUNTABLE:
        return _multiples(some, float(positive.min())) or _rounded(some, float(positive.min()))
    least = float(positive.min())
    for divisor in (1, 2, 3):
        quantum = least / divisor
        odd = (np.round(some[some < QUANTA * quantum] / quantum) % divisor != 0).mean() if divisor > 1 else 1.0
        if odd > LEAST_ODD and whole_numbers(some / quantum):
            return f"multiples of {quantum:.4g}, normalised photons", _divided_by(quantum)
    square = float(np.square(least))  # infinite where Python's own would raise
    # Squares of whole numbers are whole, too: of amplitudes the greater part isn't whole itself.
    uneven = np.abs(some / least - np.round(some / least)) > TOLERANCE
    if uneven[some < np.sqrt(QUANTA) * least].mean() > LEAST_ODD and whole_numbers((some / least) ** 2):
        return f"amplitudes, of which one photon's is {least:.4g}", _squared_over(square)
    for scale in () if (array < 0).any() else (least / np.log(2), least / np.log(3)):
        # Logarithms of 1 + photons to any base, decibels too; where no voxel has one photon, the least has two.
        if some.max() < scale * np.log(1e12) and whole_numbers(np.expm1(some / scale)):
            what = "the logarithm of 1 + photons" if abs(scale - 1) < NEAR else f"{scale:.4g} × log(1 + photons)"
            what = "the decimal logarithm of 1 + photons" if abs(scale * np.log(10) - 1) < NEAR else what
            return what, _exponential_over(scale)
    if some.max() < np.log(1e12):
        # Of no photons the logarithm is minus infinity, or low where that was cut off: then nothing was added before.
        scales = SCALES[2:] + SCALES[:2] if (array < 0).any() else SCALES
        for what, undo in scales:
            if whole_numbers(undo(some)):
                return what, undo
    return None


def _divided_by(quantum: float) -> Callable[[Any], Any]:
    return lambda values: values / quantum


def _exponential_over(scale: float) -> Callable[[Any], Any]:
    return lambda values: np.expm1(values / scale)


def _squared_over(square: float) -> Callable[[Any], Any]:
    return lambda values: np.square(values) / square


def _multiples(some: Floats, least: float) -> tuple[str, Callable[[Any], Any]] | None:
    """Return the detector units of one photon, where all whole values are multiples of it."""
    gain = int(np.gcd.reduce(np.concatenate([some, [least]]).astype(np.int64)))
    if gain < 2 or np.unique(some[:10_000]).size < LEAST_KINDS + 2:
        return None
    return f"multiples of {gain}, detector units of that many a photon", _divided_by(gain)


def _rounded(some: Floats, least: float) -> tuple[str, Callable[[Any], Any]] | None:
    """Return how whole values are made photons that are roots or logarithms of such, times a number and rounded."""
    if least < LEAST_ROUNDED:
        return None
    for first in (1, 2):  # photons in the dimmest voxel that has any
        root, scale = least / np.sqrt(first), least / np.log1p(first)
        ways = (
            (f"{root:.4g} × amplitudes", _squared_over(root**2), root, np.sqrt),
            (f"{scale:.4g} × log(1 + photons)", _exponential_over(scale), scale, np.log1p),
        )
        for what, undo, one, do in ways:
            with np.errstate(all="ignore"):
                numbers = np.round(undo(some))
            numbers = np.where(numbers < COUNTABLE, numbers, 0)
            value = one * do(numbers)
            # The scale is known as well as the least value, half of its last digit.
            wrong = 0.5 + 0.5 * value / least
            clear = (numbers >= 1) & (one * (do(numbers + 1) - do(numbers)) * ROUNDED > wrong)
            near = np.abs(some - value)[clear] <= wrong[clear]
            # Of multiples of a gain, taken for roots, only square numbers would come out.
            if np.isin(first + np.arange(LEAST_KINDS), numbers[clear]).all() and near.mean() > MOST_NEAR:
                return f"{what}, rounded", undo
    return None


def _goes_negative(array: NDArray[Any]) -> bool:
    """Tell whether negative values are noise about zero rather than a few marks."""
    if array.dtype.kind not in "if" or array.ndim != 3:
        return False
    low = array[array < 0]
    return low.size > 0.01 * array.size and np.unique(low[:1000]).size > LEAST_KINDS


def _without_gain(array: NDArray[Any], mask: NDArray[np.bool_] | None, name: str, observer: Observer) -> NDArray[Any]:
    """Return photons where the raw values are whole numbers, or go below zero, and gather around equal steps."""
    if array.ndim != 3 or array.dtype.kind not in "iuf":
        return array
    negative = _goes_negative(array)
    if not negative and array.dtype.kind == "f" and not (array[np.isfinite(array)] % 1 == 0).all():
        return array
    measured = np.isfinite(array) & ~np.isin(array, _LARGEST)
    measured &= True if mask is None else mask
    if not negative:
        measured &= array >= 0
    units = detector_units(array[measured]) if measured.any() else None
    if units is None:
        return array
    say_units(units, name, observer)
    return np.where(measured, units.photons(array), np.nan)


def _thresholded(counts: Counts, name: str, observer: Observer) -> Counts:
    """Say where low counts were set to zero: what is left doesn't scatter as photons do."""
    low = np.bincount(counts.values[counts.mask & (counts.values < MOST_RARE)].astype(np.int64), minlength=MOST_RARE)
    first = int(np.flatnonzero(low[1:])[0]) + 1 if low[1:].any() else 0
    if first < LEAST_THRESHOLD or first > MOST_RARE - 3 or low[first : first + 3].min() < LEAST_EACH:
        return counts
    few = "1" if first == 2 else f"1 to {first - 1}"
    text = f"{name}: no voxel has {few} photons but many have {first}: lower counts were set to 0, so the "
    observer(Warned("unit", text + "zeros aren't measured", bends=True))
    return replace(counts, unit="unknown")


def _filtered(counts: Counts, recorded: Counts, name: str, observer: Observer) -> Counts:
    """Say where neighbouring voxels, as recorded, scatter less than photons: a median or a mean of them was taken."""
    parts = _scatter(recorded, 1)
    stride, low = 1, _noise_size(parts)
    if low is None:
        stride, low = 2, _noise_size(_scatter(recorded, 2))
    if parts is not None and min(parts[0]) < LEAST_OF_PARTS:
        stride, low = 1, min(parts[0])
    if low is None or low >= LEAST_NOISE[stride]:
        return counts
    text = (
        f"{name}: neighbouring voxels scatter by {low:.2g} of photon noise: filtered (a median, a mean), or simulated"
    )
    text += " without noise, or scaled and rounded; such light isn't counted, so give the counts as recorded"
    observer(Warned("unit", text, bends=True))
    return replace(counts, unit="unknown")


def _straightened(counts: Counts, name: str, observer: Observer) -> Counts:
    """Undo a root or a logarithm of noise-free intensities, in which no whole numbers can be found.

    The transform of intensities is the object's autocorrelation, empty beyond its extent; that of their root or
    logarithm is not.
    """
    top = float(counts.values.max())
    ways = [("amplitudes", np.square(counts.values))]
    if top < np.log(1e12):
        ways += [("logarithms of 1 + intensity", np.expm1(counts.values))]
        ways += (
            [("decimal logarithms of 1 + intensity", np.power(np.float32(10), counts.values) - 1)] if top < 12 else []
        )
    leaks = [_leak(values) for _, values in ways]
    best = int(np.argmin(leaks))
    if leaks[best] > LEAST_STRAIGHT * _leak(counts.values):
        return counts
    observer(Warned("unit", f"{name}: the values are {ways[best][0]} (their transform says so); turned to intensities"))
    return replace(counts, values=np.where(counts.mask, ways[best][1], 0).astype(np.float32))


def _leak(values: NDArray[np.float32]) -> float:
    """Return the share of the transform's power in the outer part of the box, where autocorrelations end."""
    scaled = values.astype(np.float64) / max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
    power = fourier(torch.from_numpy(scaled).to(torch.complex64)).abs().numpy() ** 2
    far = [np.abs(np.arange(n) - n // 2) > OUTER * n for n in values.shape]
    outside = far[0][:, None, None] | far[1][None, :, None] | far[2][None, None, :]
    return float(power[outside].mean() / power.mean())
