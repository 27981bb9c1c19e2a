"""What a detector and a beam do to counts, taken back: dark, flat field, monitor, saturation; and binning of voxels.

A dark that only marks bad pixels is a mask, and is handled on reading.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.frames import smooth_inverse
from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Warned, silent


def subtract_dark(counts: Counts, dark: NDArray[np.float32] | None, *, observer: Observer = silent) -> Counts:
    """Return the counts less the dark ``(y, x)``, not below 0; unchanged without one."""
    if dark is None:
        return counts
    values = np.where(counts.mask, np.maximum(counts.values - dark, np.float32(0)), np.float32(0))
    text = f"subtracted the dark image: median {np.median(dark):.3g}, at most {dark.max():.3g} counts a pixel and frame"
    observer(Note("dark", text, {"median": float(np.median(dark)), "maximum": float(dark.max())}))
    return replace(counts, values=values)


def apply_flat(
    counts: Counts, flat: NDArray[np.float32] | None, *, floor: float = 0.25, observer: Observer = silent
) -> Counts:
    """Return the counts over the flat field, whose median becomes 1 so that counts stay photons.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``.
    flat : (y, x) float32 or None
        Flat field, any scale; None: nothing is done.
    floor : float
        Pixels below this fraction of the median are unknown: dividing by so little would amplify their noise.

    Raises
    ------
    InputError
        If the flat field's median is not positive.
    """
    if flat is None:
        return counts
    median = float(np.median(flat[counts.mask.any(axis=0)]))
    if not median > 0:
        raise InputError(
            "the flat field's median is not positive; is it a flat field? Leave it out, or check its region"
        )
    relative = flat / np.float32(median)
    weak = relative < floor
    kept = counts.without(weak)
    values = kept.values / np.where(weak, np.float32(1), relative)
    spread = float(relative[~weak].std())
    what = f"{int(weak.sum())} pixels below {floor:g} of its median are unknown"
    text = f"divided by the flat field (spread {spread:.1%}); {what}"
    observer(Note("flat field", text, {"pixels": float(weak.sum()), "spread": spread}))
    return replace(kept, values=values.astype(np.float32))


# A monitor that changes by more than this is asked whether frames change more smoothly with it; it is not believed if
# their share of periods finer than the crystal's thickness allows grows by so many times.
LEAST_CHANGE, ROUGHER = 0.03, 3.0
LEAST_FRAMES, BRIGHT_PIXELS = 16, 500
FLAT = 1e-3  # range of monitor factors below which frames aren't scaled: the photon noise of a frame of 1e6 photons


def normalise_monitor(counts: Counts, monitor: NDArray[np.float64] | None, *, observer: Observer = silent) -> Counts:
    """Return the counts times mean over each frame's monitor ``(n_rocking,)``; unchanged without a usable one.

    Frames whose monitor is not positive are unknown; if they are more than half, the monitor is not used. Nor is one
    that makes the frames' counts jump: a crystal's intensities have no periods finer than its thickness allows.
    """
    if monitor is None:
        return counts
    good = np.isfinite(monitor) & (monitor > 0)
    if good.sum() <= 0.5 * good.size:
        observer(Warned("monitor", f"only {int(good.sum())} of {good.size} monitor readings are positive: not used"))
        return counts
    if _roughens(counts, monitor, good):
        text = "divided by the monitor, frames change less smoothly along the scan than as recorded: it sees another "
        observer(Warned("monitor", text + "beam, or its readings belong to other frames; not used", bends=True))
        return counts
    factor = np.where(good, monitor[good].mean() / np.where(good, monitor, 1.0), 1.0)
    scaled = f"frames scaled by {factor.min():.3f} to {factor.max():.3f} to one monitor"
    text = f"{scaled}; {int((~good).sum())} without are unknown"
    observer(Note("monitor", text, {"lowest": float(factor.min()), "highest": float(factor.max())}))
    if np.ptp(factor) < FLAT and good.all():
        return counts
    kept = counts.without(~good[:, None, None])
    return replace(kept, values=kept.values * factor[:, None, None].astype(np.float32))


def _roughens(counts: Counts, monitor: NDArray[np.float64], good: NDArray[np.bool_]) -> bool:
    """Tell whether frames divided by the monitor change far less smoothly along the scan than as recorded."""
    present = np.flatnonzero(good & counts.mask.any(axis=(1, 2)))
    if present.size < LEAST_FRAMES or np.std(np.log(monitor[present])) < LEAST_CHANGE:
        return False
    image = counts.values[present].sum(axis=0)
    some = np.argpartition(image, -min(BRIGHT_PIXELS, image.size), axis=None)[-BRIGHT_PIXELS:]
    lines = counts.values.reshape(len(counts.values), -1)[np.ix_(present, some)].astype(np.float64)
    inverse = smooth_inverse(present)
    fine = [
        ((inverse @ values) * values).sum() / max((values**2).sum(), 1e-30)
        for values in (lines, lines / monitor[present][:, None])
    ]
    return bool(fine[1] > ROUGHER * fine[0])


def mask_saturated(counts: Counts, level: float | None, *, observer: Observer = silent) -> Counts:
    """Return the counts with voxels at or above ``level`` unknown; unchanged if it is None."""
    if level is None:
        return counts
    saturated = counts.mask & (counts.values >= level)
    n = int(saturated.sum())
    observer(Note("saturation", f"{n} voxels at or above {level:g} counts are unknown", {"voxels": float(n)}))
    if n > 0.001 * counts.mask.sum():
        observer(
            Warned("saturation", f"{n} voxels are saturated: the peak's centre is unknown, and sizes will be less sure")
        )
    return counts.without(saturated)


def bin_counts(counts: Counts, factors: tuple[int, int, int], *, observer: Observer = silent) -> Counts:
    """Return the counts summed over blocks of ``factors`` voxels along ``(z, y, x)``.

    A block is measured if at least half of its voxels are; its sum is then scaled to the whole block. Voxels left over
    at the end of an axis are dropped.
    """
    if factors == (1, 1, 1):
        return counts
    sizes = [n // factor for n, factor in zip(counts.mask.shape, factors, strict=True)]
    blocks = [item for size, factor in zip(sizes, factors, strict=True) for item in (size, factor)]
    used = tuple(slice(0, size * factor) for size, factor in zip(sizes, factors, strict=True))
    total = counts.values[used].reshape(blocks).sum(axis=(1, 3, 5), dtype=np.float64)
    share = counts.mask[used].reshape(blocks).mean(axis=(1, 3, 5))
    mask = share >= 0.5
    values = np.where(mask, total / np.maximum(share, 0.5), 0.0).astype(np.float32)
    observer(Note("bin", f"summed blocks of {factors} voxels; {1 - mask.mean():.2%} of the blocks are unknown"))
    return replace(counts, values=values, mask=mask)
