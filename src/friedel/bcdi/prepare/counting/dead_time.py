"""Counts that a detector lost at high rates: found because they make a pattern finer than its crystal, and put back.

Pixels that are blind for a while after each photon show n / (1 + n t) of n photons. Products of intensities have up to
twice the periods that intensities have; so bright lines are finer than a crystal of any one extent allows, until the
loss is undone.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Observer, Warned, silent

REACH = 20  # voxels on either side of the peak
LEAST_LINE = 24  # voxels of a line: on shorter ones no narrow band can be told
BRIGHT = 0.3  # of the highest count: lines of which these and brighter voxels are part lost a share that shows
# Bands of the intensities tried, cycles a voxel, and shares lost at the highest count.
BANDS = tuple(round(0.44 - 0.02 * k, 2) for k in range(18))
SHARES = np.concatenate([[0.0], np.geomspace(0.03, 0.8, 25)])
# Power beyond a band is looked into from so many times what photon noise puts there, and this share of all power, which
# the lines' ends put there.
LEAST_FINE, EDGES = 5.0, 3e-7
# A loss is believed if undoing it leaves less than such a share of what is too fine, on two axes that agree on it to
# such a factor. Of 64 patterns with a loss it left 0.0 to 0.2 where it showed at all, and of 16 without one 0.94.
MOST_LEFT, AGREE = 0.3, 1.6
# With less left than this the pattern is as it would be without a loss.
CLEAN = 0.1
# Added to the covariance's diagonal so that it can be inverted; it bounds what can be told from nothing.
FLOOR = 1e-8

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Loss:
    """A loss along one axis: its share at the highest count, and what undoing it leaves of what is too fine."""

    share: float
    left: float


def without_dead_time(counts: Counts, *, name: str, observer: Observer = silent) -> Counts:
    """Return the counts with what dead time took put back, where the pattern shows how much that is.

    Parameters
    ----------
    counts : Counts
        ``(z, y, x)``; hot pixels and saturated ones already unknown.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears the loss that was put back.
    """
    top = float(counts.values.max())
    if counts.unit != "photons" or not top > 0:
        return counts
    peak = np.unravel_index(int(counts.values.argmax()), counts.values.shape)
    box = tuple(slice(max(int(p) - REACH, 0), int(p) + REACH + 1) for p in peak)
    values, mask = counts.values[box].astype(np.float64) / top, counts.mask[box]
    found = [loss for axis in range(3) if (loss := _loss(values, mask, axis, top)) is not None]
    found = [loss for loss in found if loss.left < MOST_LEFT]
    shares = [loss.share for loss in found]
    if len(found) < 2 or max(shares) > AGREE * min(shares):
        return counts
    share, left = float(np.median(shares)), max(loss.left for loss in found)
    text = f"{name}: bright voxels have fewer counts than the dim ones' fringes allow, as by dead time: at the highest "
    text += f"count {share:.0%} of the photons weren't counted; put back by estimate (the detector's own correction "
    observer(Warned("dead time", text + "would do it exactly)", bends=left > CLEAN))
    return replace(counts, values=(counts.values / (1 - np.float32(share / top) * counts.values)).astype(np.float32))


def _loss(values: Floats, mask: NDArray[np.bool_], axis: int, top: float) -> _Loss | None:
    """Return the loss that explains best what is too fine along an axis; None if nothing is."""
    lines, known = np.moveaxis(values, axis, -1), np.moveaxis(mask, axis, -1).all(axis=-1)
    lines = lines[known & (lines.max(axis=-1) > BRIGHT)]
    if lines.shape[-1] < LEAST_LINE or not len(lines):
        return None
    best: _Loss | None = None
    for band in BANDS:
        inverse = _inverse(lines.shape[-1], band)
        now, noise = _too_fine(lines, SHARES[:1], inverse, top)
        if now[0] < LEAST_FINE * noise[0] + EDGES:
            continue
        fine = _too_fine(lines, SHARES, inverse, top)[0]
        k = int(fine.argmin())
        if k == 0:
            break  # the pattern itself has such periods, and longer ones in every narrower band
        left = max(float(fine[k] / fine[0]), 0.0)
        if best is None or left < best.left:
            best = _Loss(share=float(SHARES[k]), left=left)
    return best


def _too_fine(lines: Floats, shares: Floats, inverse: Floats, top: float) -> tuple[Floats, Floats]:
    """Return what share of lines' power ``(n, m)``, losses undone, is too fine, and that of their photon noise."""
    gains = 1 / (1 - shares[:, None, None] * lines)
    undone = lines * gains
    power = (undone**2).sum(axis=(1, 2))
    noise = (lines * gains**4).sum(axis=1) @ np.diag(inverse) / (top * power)
    return ((undone @ inverse) * undone).sum(axis=(1, 2)) / power - noise, noise


@lru_cache(maxsize=2 * len(BANDS))
def _inverse(n: int, band: float) -> Floats:
    """Return what measures a line's power beyond a band: the inverse of the covariance of functions within it."""
    places = np.arange(n)
    kernel = np.sinc(2 * band * (places[:, None] - places))
    inverse = np.asarray(np.linalg.inv(kernel + FLOOR * np.eye(n)) * FLOOR)
    inverse.flags.writeable = False
    return inverse
