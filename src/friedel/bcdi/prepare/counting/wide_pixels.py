"""Lines of pixels that count more, or less, than those beside them: wide ones at the edges of a detector's chips.

A line that counts twice breaks the pattern as an attenuated frame does, and is found in the same way.
"""

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.frames import (
    LEAST_GAIN,
    LEAST_SAMPLED,
    MOST_PIXELS,
    run_shares,
    share_smoother,
    smooth_inverse,
)
from friedel.core.observer import Observer, Warned, silent

REACH = 32  # pixels on either side of the peak
LEAST_LINES = 16  # known rows, or columns, about the peak
# A pixel is up to three times as wide as others where chips meet, and its neighbours' count may be shared out among it.
LEAST_FACTOR, MOST_FACTOR = 0.25, 5.0
WIDEST = 4  # lines side by side: two chips have two each at their seam
LINES = 400  # the brightest lines across: more add photon noise, and cost time
MOST_SEAMS = 3  # looked for along each axis
STRETCH = 20  # lines looked at together beside the whole: the peak outshines what lies farther out
# Power that is too fine, over that of photon noise and over all power, from which it is looked into: over hundreds of
# lines photon noise is known to some per cent, and the edges of the box put 1e-5 there.
LEAST_FINE, LEAST_SHARE = 0.3, 3e-5

Floats = NDArray[np.float64]


def without_wide_pixels(counts: Counts, *, name: str, observer: Observer = silent) -> Counts:
    """Return the counts with rows and columns unknown that count by another factor than those beside them.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``, photons; hot pixels already unknown.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears which lines, and their factor.
    """
    if counts.unit != "photons":
        return counts
    for axis, what in ((1, "rows"), (2, "columns")):
        for _ in range(MOST_SEAMS):
            found = _seam(counts, axis)
            if found is None:
                break
            first, last, factor = found
            at = (slice(None),) * axis + (slice(first, last + 1),)
            alike = counts.values.copy()
            alike[at] /= np.float32(factor)
            # An object that fills more of its box has neighbouring lines as unlike each other.
            if estimate_oversampling(alike, counts.mask)[axis] < LEAST_SAMPLED:
                break
            lines = f"{what} {first} to {last}" if last > first else f"{what[:-1]} {first}"
            text = f"{name}: {lines} have {factor:.3g} times the counts that those beside them let expect, as of wide "
            observer(Warned("wide pixels", text + "pixels at a chip's edge: unknown"))
            unknown = np.zeros(counts.mask.shape, bool)
            unknown[at] = True
            counts = counts.without(unknown)
    return counts


def _seam(counts: Counts, axis: int) -> tuple[int, int, float] | None:
    """Return first and last of some lines that are scaled against those beside them, and their factor; or None."""
    image = counts.values.sum(axis=0)
    peak = np.unravel_index(int(image.argmax()), image.shape)
    box = tuple(slice(max(int(p) - REACH, 0), int(p) + REACH) for p in peak)
    values = np.moveaxis(counts.values[(slice(None), *box)], axis, 0)
    known = np.moveaxis(counts.mask[(slice(None), *box)], axis, 0)
    inside = np.flatnonzero(known.reshape(len(known), -1).mean(axis=1) > 0.5)
    start = box[axis - 1].start
    top = int(peak[axis - 1]) - start
    parts = (inside, inside[inside < top - 1], inside[inside > top + 1])
    stretches = [inside[first : first + STRETCH] for first in range(0, inside.size - STRETCH + 1, STRETCH // 4)]
    for part in (*parts, *stretches):
        found = _scaled_lines(values[part], known[part], part.astype(np.float64)) if part.size >= LEAST_LINES else None
        # A run that begins a stretch may be what the stretch left out.
        if found is not None and (part is inside or (found[0] > 0 and found[1] < part.size)):
            return int(part[found[0]]) + start, int(part[found[1] - 1]) + start, found[2]
    return None


def _scaled_lines(values: NDArray[np.float32], known: NDArray[np.bool_], at: Floats) -> tuple[int, int, float] | None:
    """Return first, end and factor of a run of lines ``(n, …)`` that, scaled, leave little too fine; None without."""
    lines = values[:, known.all(axis=0)].astype(np.float64)
    lines = lines[:, np.argsort(lines.sum(axis=0))[-LINES:]]
    inverse, weigh = smooth_inverse(at), 1 / (lines.sum(axis=0) + 1)
    fine, noise = ((lines * weigh) @ lines.T) * inverse, np.diag(inverse) * (lines @ weigh)
    fine[np.diag_indices_from(fine)] -= noise
    power = (lines**2) @ weigh
    if not fine.sum() > max(LEAST_FINE * noise.sum(), LEAST_SHARE * power.sum()):
        return None
    share, first, last, factor = run_shares(fine, power)
    with np.errstate(all="ignore"):
        share[(last - first > WIDEST) | ~((1 / factor > LEAST_FACTOR) & (1 / factor < MOST_FACTOR))] = np.inf
    k = int(share.argmin())
    if not share[k] < LEAST_GAIN * float(fine.sum() / power.sum()):
        return None
    scaled = lines.copy()
    scaled[first[k] : last[k]] *= factor[k]
    if share_smoother(lines, scaled, inverse) < MOST_PIXELS:
        return None  # only some lines across agree: a fault of single pixels
    return int(first[k]), int(last[k]), float(1 / factor[k])
