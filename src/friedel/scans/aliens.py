"""Other crystals' peaks ("aliens") near the measured one, found by physics and taken as unknown.

A single crystal diffracts almost centro-symmetrically, I(q) ≈ I(−q), broken by strain only moderately and near the
peak; its facets' streaks all radiate from the centre. An alien is a compact blob that (1) has no counterpart at −q,
(2) stands isolated: every way from it to the main peak falls far below its own brightness, and (3) is statistically
sure. All three are asked for, because masking part of a good pattern is worse than missing a faint alien.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.base.observer import Note, Observer, silent
from friedel.scans.counts import Counts
from friedel.scans.peak import smoothed

Triple = tuple[int, int, int]
SMOOTHING_VOXELS = 2.0
# A strained crystal's streaks bend: the mate is sought within this many voxels of −q.
MATE_REACH = 4
SIGNIFICANCE = 8.0
# Around the peak, strain may break the symmetry at will: nothing is called alien within this part of the half box.
KEEP_OUT = 0.2
# An alien is masked out to this share of its own brightness, or until it drops into what is there anyway.
TAIL = 0.03
MAX_SHARE = 0.03


@dataclass(frozen=True)
class Alien:
    """One foreign peak: where its maximum is, ``(z, y, x)``, its smoothed counts, and how many voxels it covers."""

    index: Triple
    brightness: float
    voxels: int


def mask_aliens(counts: Counts, peak: Triple, *, ratio: float = 6.0, observer: Observer = silent) -> Counts:
    """Return the counts with other crystals' peaks unknown.

    Parameters
    ----------
    counts : Counts
        The whole recorded scan, cleaned of hot pixels.
    peak : (int, int, int)
        Index of the main peak.
    ratio : float
        How many times an alien must exceed its mate at −q, and the way to the main peak.
    observer : Observer
        Hears what was found and where.
    """
    unknown, aliens = find_aliens(counts, peak, ratio=ratio)
    if not aliens:
        observer(Note("aliens", "no other crystal's peak found", {"aliens": 0.0}))
        return counts
    where = "; ".join(f"frame {a.index[0]}, row {a.index[1]}, column {a.index[2]}" for a in aliens[:5])
    lost = float(unknown.mean())
    text = f"{len(aliens)} other crystal(s) at {where}: {int(unknown.sum())} voxels ({lost:.2%}) are unknown"
    observer(Note("aliens", text, {"aliens": float(len(aliens)), "voxels": float(unknown.sum()), "fraction": lost}))
    return counts.without(unknown)


def find_aliens(counts: Counts, peak: Triple, *, ratio: float = 6.0) -> tuple[NDArray[np.bool_], tuple[Alien, ...]]:
    """Find foreign peaks.

    Returns
    -------
    (z, y, x) bool, tuple of Alien
        Voxels to take as unknown, and what was found, brightest first.
    """
    smooth = smoothed(counts, (SMOOTHING_VOXELS,) * 3)
    mate = _mirrored(ndimage.maximum_filter(smooth, 2 * MATE_REACH + 1), peak)
    # Smoothed over so many voxels, a mean of s counts is s × volume photons.
    volume = (4 * np.pi) ** 1.5 * SMOOTHING_VOXELS**3
    candidates = (smooth > ratio * mate) & (
        (smooth - mate) * volume > SIGNIFICANCE * np.sqrt((smooth + mate) * volume + 1)
    )
    candidates &= counts.mask & ~_near(peak, counts.mask.shape)
    labels, n_found = ndimage.label(candidates)
    unknown, aliens = np.zeros(counts.mask.shape, bool), []
    for index in ndimage.maximum_position(smooth, labels, range(1, n_found + 1)) if n_found else []:
        top = (int(index[0]), int(index[1]), int(index[2]))
        region = _isolated(smooth, mate, top, peak, ratio)
        if region is not None and not unknown[top]:
            unknown |= region
            aliens.append(Alien(top, float(smooth[top]), int(region.sum())))
    return unknown, tuple(sorted(aliens, key=lambda alien: -alien.brightness))


def _isolated(
    smooth: NDArray[np.float32], mate: NDArray[np.float32], top: Triple, peak: Triple, ratio: float
) -> NDArray[np.bool_] | None:
    """Return the blob around ``top``, or None if it hangs together with the main peak or is too large for a blob."""
    core = _connected(smooth > smooth[top] / ratio, top)
    if core[peak] or core.mean() > MAX_SHARE:
        return None
    whole = _connected((smooth > TAIL * smooth[top]) & (smooth > 2 * mate / ratio), top)
    if whole[peak] or whole.mean() > MAX_SHARE:
        whole = core
    grown: NDArray[np.bool_] = ndimage.binary_dilation(whole | core, iterations=2)
    return grown


def _connected(where: NDArray[np.bool_], top: Triple) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(where)
    found: NDArray[np.bool_] = labels == labels[top]
    return found


def _mirrored(values: NDArray[np.float32], peak: Triple) -> NDArray[np.float32]:
    """Return the values at −q; infinite where −q was not recorded, so that nothing there can be called alien."""
    out = np.full(values.shape, np.inf, np.float32)
    spans = [(max(0, 2 * p - n + 1), min(n, 2 * p + 1), 2 * p) for n, p in zip(values.shape, peak, strict=True)]
    target = tuple(slice(low, high) for low, high, _ in spans)
    source = tuple(slice(twice - high + 1, twice - low + 1) for low, high, twice in spans)
    out[target] = values[source][::-1, ::-1, ::-1]
    return out


def _near(peak: Triple, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    distance = [(np.arange(n) - p) / (n / 2) for n, p in zip(shape, peak, strict=True)]
    squares = distance[0][:, None, None] ** 2 + distance[1][None, :, None] ** 2 + distance[2][None, None, :] ** 2
    near: NDArray[np.bool_] = squares < KEEP_OUT**2
    return near
