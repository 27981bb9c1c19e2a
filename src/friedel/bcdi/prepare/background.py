"""What every voxel has beside the pattern, a pedestal or a background of photons: found, and taken off.

Fringes reach zero, so a pattern's dim parts are as uneven as its bright ones: neighbouring voxels differ from the mean
about them, together, by a constant share of it. A background adds to the mean and not to these differences.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.prepare.counts import Counts
from friedel.core.detector_units import DetectorUnits, clipped_noise, dark_level, detector_units
from friedel.core.observer import Observer, Warned

# The hundredth over the tenth of the values, in rising order: of fringes that reach zero it is below a third.
NEVER_DARK = 1 / 3
# A background beyond this share of the mean counts leaves noise that the model doesn't know.
LARGE_BACKGROUND = 0.2
# Share of the mean counts below which it does no harm; small, bright boxes hold no voxel that is dark.
NEGLIGIBLE = 5e-4
# The means of half of the groups differ by less where there is nothing but a background. Of patterns the dim parts'
# means differ by several times, but for a lone peak's flank.
FLAT = 1.1
# Photons a voxel: of 48 crystals without a background the estimate stayed below 0.02.
LEAST_BACKGROUND = 0.05
# The pattern with a background must fit the dim voxels so much better, in χ², than one without: five standard
# deviations.
LEAST_BETTER = 25.0
# The χ² up to which it fits: of twelve groups and two figures one in 200 has more. Patterns whose dim parts are uneven
# in another way, of scans that end within the peak say, have 95 to 8000, and "backgrounds" of one photon.
MOST_MISFIT = 25.0
# The dim part of the voxels, in so many groups of like brightness.
DIM_SHARE, GROUPS = 0.6, 12
MOST_FRAMES = 48  # frames looked at: a million pairs of voxels tell 0.1 photons
LEAST_PAIRS = 5000
# Mean counts of the dimmest group beyond which a background wouldn't matter.
BRIGHT = 100.0

Floats = NDArray[np.float64]


def without_background(counts: Counts, name: str, observer: Observer) -> Counts:
    """Return the counts without what every voxel has.

    Parameters
    ----------
    counts : Counts
        ``(z, y, x)``, of any unit.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears what was taken off.
    """
    level = background_level(counts)
    mean = float(counts.values[counts.mask].mean(dtype=np.float64))
    if level is None or level < NEGLIGIBLE * mean:
        return counts
    units = detector_units(counts.values[counts.mask])
    if units is not None:
        say_units(units, name, observer)
        return replace(counts, values=np.where(counts.mask, units.photons(counts.values), np.float32(0)))
    large = level > LARGE_BACKGROUND * max(mean - level, 1e-30) and scatters_as_photons(counts, level)
    text = f"{name}: no voxel is near zero: a pedestal or background of {level:.4g} in each, taken off"
    observer(Warned("unit", text + ("; its noise stays" if large else ""), bends=large))
    noise = dark_level(np.maximum(counts.values[counts.mask] - np.float32(level), 0))[1]
    values = not_negative(np.where(counts.mask, counts.values - np.float32(level), 0).astype(np.float32))
    return replace(counts, values=values, unit="unknown" if noise > 1 else counts.unit)


def is_cut_off_noise(raw: NDArray[Any], name: str, observer: Observer) -> bool:
    """Say where whole values ``(n,)`` near zero are a detector's noise without its negative half, and so no photons."""
    noise = clipped_noise(raw)
    if noise:
        text = f"{name}: whole values near zero spread as a detector's noise of {noise:.2g} units, its negative half "
        text += "cut off: no photons, and it hides what one of them is; give photons, or pedestal and gain"
        observer(Warned("unit", text, bends=True))
    return noise > 0


def say_units(units: DetectorUnits, name: str, observer: Observer) -> None:
    """Say that values were a detector's units."""
    text = f"{name}: the values gather around {units.pedestal:.4g} + multiples of {units.gain:.4g}: pedestal and gain"
    observer(Warned("unit", f"{text} of a detector; turned into photons"))


def background_level(counts: Counts) -> float | None:
    """Return what is in every voxel beside the pattern, or None if nothing is."""
    known = counts.values[counts.mask]
    if known.size < 1000:
        return None
    low, tenth = np.partition(known, (known.size // 100, known.size // 10))[[known.size // 100, known.size // 10]]
    least = float(known.min())
    if least > 0 and (known == known.dtype.type(least)).sum() >= 0.01 * known.size:
        return least  # a pedestal without noise: dark voxels all hold it
    pairs = _neighbours(counts) if (known == np.round(known)).all() else None
    floor = None if pairs is None else _floor(pairs[0])
    if floor is not None:
        return floor
    if low > 0 and low >= NEVER_DARK * tenth:
        smooth = _dimmest(counts)
        return smooth if smooth > 0 else None
    return None if pairs is None else _uncontrasted(*pairs)


def _floor(means: Floats) -> float | None:
    """Return what half of all voxels have, far from a small pattern's peak; None where they differ, or are bright.

    Parameters
    ----------
    means : (groups,) float64
        Of ever brighter groups of the dim voxels.
    """
    floor, half = float(means[: GROUPS // 4].mean()), float(means[: GROUPS // 2].max())
    return floor if LEAST_BACKGROUND <= floor <= BRIGHT and half < FLAT * floor else None


def _uncontrasted(means: Floats, covariances: Floats, errors: Floats) -> float | None:
    """Return the background b under which the covariance of neighbouring voxels is s (m − b)², or None.

    m is the mean of voxels that are about as bright, by what the frames before and after hold around them; photon
    noise adds nothing to the covariance of two voxels.
    """
    if means[0] > BRIGHT:
        return None
    trial = np.linspace(0, means[0], 201)
    shape = (means - trial[:, None]) ** 2
    weight = 1 / errors**2
    scale = np.maximum((weight * shape * covariances).sum(axis=1) / (weight * shape**2).sum(axis=1), 0)
    misfit = (weight * (covariances - scale[:, None] * shape) ** 2).sum(axis=1)
    best = int(misfit.argmin())
    fits = misfit[best] < MOST_MISFIT and misfit[0] - misfit[best] > LEAST_BETTER
    believed = trial[best] >= LEAST_BACKGROUND and fits
    return float(trial[best]) if believed else None


def _neighbours(counts: Counts) -> tuple[Floats, Floats, Floats] | None:
    """Return mean, covariance of neighbours and its error in groups of voxels from dim to less dim; None if too few."""
    n = len(counts.mask)
    if n < 3:
        return None
    middle = np.unique(np.linspace(1, n - 2, MOST_FRAMES).astype(int))
    beside = [
        ndimage.uniform_filter(counts.values[middle + k], (0, 5, 5), mode="nearest").astype(np.float32) for k in (-1, 1)
    ]
    about, values, mask = (beside[0] + beside[1]) / 2, counts.values[middle].astype(np.float64), counts.mask[middle]
    keys, products, sums = [], [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:, :, :-1], np.s_[:, :, 1:])):
        known = mask[one] & mask[other]
        keys.append(about[one][known])
        products.append((values[one] * values[other])[known])
        sums.append((values[one] + values[other])[known] / 2)
    key, product, mean = (np.concatenate(parts) for parts in (keys, products, sums))
    if key.size < LEAST_PAIRS:
        return None
    # By the upper half of the float's bits, in rising order like the (positive) numbers: a sort by digits, and stable.
    digits = (np.maximum(key, 0).view(np.uint32) >> 16).astype(np.uint16)
    order = np.argsort(digits, kind="stable")[: int(DIM_SHARE * key.size)]
    groups = np.array_split(order, GROUPS)
    means = np.array([mean[group].mean() for group in groups])
    covariances = np.array([product[group].mean() for group in groups]) - means**2
    errors = np.array([product[group].std() / np.sqrt(group.size) for group in groups])
    usable = errors > 0
    return (means[usable], covariances[usable], errors[usable]) if usable.sum() >= GROUPS // 2 else None


def not_negative(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return frames ``(n, y, x)`` without negative values and with the same sums along the scan.

    Dark voxels scatter about zero; set to zero where they lie below, they would leave a background. What is below zero
    is taken off the next frames, from both ends in turn.
    """
    found = np.zeros_like(values)
    for way in (slice(None), slice(None, None, -1)):
        lacking = np.zeros_like(values[0])
        for k, frame in enumerate(values[way]):
            total = frame + lacking
            found[way][k] += np.maximum(total, 0) / 2
            lacking = np.minimum(total, 0)
    return found


def _dimmest(counts: Counts) -> float:
    """Return the mean of the dimmest places of five voxels' width, all measured; 0 if there are none."""
    whole = ndimage.uniform_filter(counts.mask.astype(np.float32), 5, mode="constant") > 0.999
    if not whole.any():
        return 0.0
    smooth = ndimage.uniform_filter(counts.values, 5, mode="constant")[whole]
    return float(np.quantile(smooth, 0.05))


def scatters_as_photons(counts: Counts, level: float) -> bool:
    """Tell whether the lowest values scatter as a background of photons does; an electronic pedestal hardly does."""
    known: NDArray[Any] = counts.values[counts.mask]
    below = known[known < level]
    return bool(below.size > 10 and ((level - below) ** 2).mean() > 0.5 * level)
