"""Other crystals' peaks ("aliens") near the measured one, found by physics and taken as unknown.

A single crystal diffracts almost centro-symmetrically, I(q) ≈ I(−q), broken by strain only moderately and near the
peak; its facets' streaks all radiate from the centre. An alien is a compact blob that (1) has no counterpart at −q,
(2) stands isolated: every way from it to the main peak falls far below its own brightness, and (3) is statistically
sure. All three are asked for, because masking part of a good pattern is worse than missing a faint alien.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.prepare.corrections import bin_counts
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.crop import smoothed
from friedel.core.observer import Note, Observer, silent

Triple = tuple[int, int, int]
# Smoothing in speckles (one is about the oversampling wide): finer, and single speckles would look like blobs.
SMOOTHING_SPECKLES = 1 / 3
SMOOTHING_VOXELS = (1.0, 4.0)  # bounds of that width: the estimate of the oversampling may be far off
# The mate at −q is sought within so many smoothing lengths: strain moves streaks away from exact centro-symmetry.
MATE_REACH = 2.0
SIGNIFICANCE = 8.0  # standard deviations of photon noise: large, because voxels are many and masking costs signal
# Share of the half box around the peak in which nothing is taken as alien: there strain breaks the symmetry strongly.
KEEP_OUT = 0.2
EDGE = 16  # a rim of 1/16 of each side (2 voxels at least), where only the flank of a peak would be seen, is left out
# An alien is masked out to this share of its own brightness, or until it drops into what is there anyway.
TAIL = 0.03
MAX_SHARE = 0.03  # of the array that one alien may cover: a larger blob belongs to the pattern itself
LARGE = 4_000_000  # voxels above which every second voxel along each axis is looked at, an eighth of the cost


@dataclass(frozen=True)
class Alien:
    """One foreign peak: where its maximum is, ``(z, y, x)``, its smoothed counts, and how many voxels it covers."""

    index: Triple
    brightness: float
    voxels: int

    def refined(self) -> Self:
        """Return the same alien on a grid twice as fine."""
        z, y, x = self.index
        return replace(self, index=(2 * z, 2 * y, 2 * x), brightness=self.brightness / 8, voxels=8 * self.voxels)


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
    if counts.mask.size <= LARGE:
        return _find(counts, peak, ratio)
    # Aliens are many voxels wide in a large scan: every second voxel shows them as well, at an eighth of the cost.
    coarse, aliens = _find(bin_counts(counts, (2, 2, 2)), (peak[0] // 2, peak[1] // 2, peak[2] // 2), ratio)
    unknown = np.zeros(counts.mask.shape, bool)
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    unknown[: fine.shape[0], : fine.shape[1], : fine.shape[2]] = fine
    return unknown, tuple(alien.refined() for alien in aliens)


def _find(counts: Counts, peak: Triple, ratio: float) -> tuple[NDArray[np.bool_], tuple[Alien, ...]]:
    sigma = _scale(counts)
    smooth = smoothed(counts, sigma)
    reach = [2 * round(MATE_REACH * width) + 1 for width in sigma]
    mate = _mirrored(ndimage.maximum_filter(smooth, reach), peak)
    # A Gaussian mean of s counts rests on s × volume photons.
    volume = (4 * np.pi) ** 1.5 * float(np.prod(sigma))
    excess, noise = (smooth - mate) * volume, np.sqrt((smooth + mate) * volume + 1)
    candidates = (smooth > ratio * mate) & (excess > SIGNIFICANCE * noise) & counts.mask
    candidates &= ~_excluded(peak, counts.mask.shape)
    labels, n_found = ndimage.label(candidates)
    unknown, aliens = np.zeros(counts.mask.shape, bool), []
    for index in ndimage.maximum_position(smooth, labels, range(1, n_found + 1)) if n_found else []:
        top = (int(index[0]), int(index[1]), int(index[2]))
        region = None if unknown[top] else _isolated(smooth, mate, top, peak, ratio)
        if region is not None:
            unknown |= region
            aliens.append(Alien(top, float(smooth[top]), int(region.sum())))
    return unknown, tuple(sorted(aliens, key=lambda alien: -alien.brightness))


def _scale(counts: Counts) -> tuple[float, float, float]:
    low, high = SMOOTHING_VOXELS
    ratios = estimate_oversampling(counts.values, counts.mask)
    z, y, x = (min(max(SMOOTHING_SPECKLES * ratio, low), high) for ratio in ratios)
    return z, y, x


def _isolated(
    smooth: NDArray[np.float32], mate: NDArray[np.float32], top: Triple, peak: Triple, ratio: float
) -> NDArray[np.bool_] | None:
    """Return the blob around ``top``, or None if it hangs together with the main peak or is too large for a blob."""
    core = _connected(smooth > smooth[top] / ratio, top)
    if core[peak] or core.mean() > MAX_SHARE:
        return None
    whole = (smooth > TAIL * smooth[top]) & (smooth > mate) & _around(core)
    grown: NDArray[np.bool_] = ndimage.binary_dilation(_connected(whole | core, top), iterations=2)
    return grown


def _around(core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the box about the core that reaches beyond it by its own size: tails end there at the latest."""
    box = np.zeros(core.shape, bool)
    spans = [np.flatnonzero(core.any(axis=tuple(k for k in range(3) if k != axis))) for axis in range(3)]
    box[tuple(slice(max(2 * s[0] - s[-1] - 1, 0), 2 * s[-1] - s[0] + 2) for s in spans)] = True
    return box


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


def _excluded(peak: Triple, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where no alien's maximum is believed: near the peak, and at the edge, where only a flank would be seen."""
    distance = [(np.arange(n) - p) / (n / 2) for n, p in zip(shape, peak, strict=True)]
    squares = distance[0][:, None, None] ** 2 + distance[1][None, :, None] ** 2 + distance[2][None, None, :] ** 2
    excluded: NDArray[np.bool_] = squares < KEEP_OUT**2
    inner = tuple(slice(edge, n - edge) for n in shape if (edge := max(2, n // EDGE)))
    outside = np.ones(shape, bool)
    outside[inner] = False
    return excluded | outside
