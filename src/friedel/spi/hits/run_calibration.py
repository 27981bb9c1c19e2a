"""What a run's own frames tell about it: where the beam stands, how much a photon counts, how much a pixel jitters."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from friedel.spi.hits.prepare import EDGE, Prepared, RunConstants, natural_binning, prepare

SAMPLE = 256
"""Frames that are enough to measure a run by."""

_REACH_PX = 8
# A centre that makes the mean pattern this much more symmetric than the frame's middle does is believed.
_CLEARLY_BETTER = 0.8
# A detector noisier than this, in photons, couldn't have been used for single particles: the gain is wrong, not it.
_NOISIEST = 0.7
_TILE = 8


def measure_run(frames: NDArray[np.generic], mask: NDArray[np.bool_]) -> RunConstants:
    """Measure binning, centre, gain, read noise and faulty pixels from some frames of a run.

    Parameters
    ----------
    frames : (n, y, x)
        A sample of the run; more than `SAMPLE` of them are thinned out evenly.
    mask : (y, x) bool
        True where the detector measures.

    Returns
    -------
    RunConstants
        The same for the same frames, so that a run can be taken up again.
    """
    sample = frames[:: max(1, len(frames) // SAMPLE)][:SAMPLE]
    binning = natural_binning(mask.shape)
    middle = (mask.shape[0] // binning // 2, mask.shape[1] // binning // 2)
    constants = RunConstants(binning=binning, centre=middle)
    if not len(sample):
        return constants
    first = prepare(sample, mask, constants)
    shift = symmetry_centre(first)
    constants = replace(constants, centre=(middle[0] + shift[0], middle[1] + shift[1]))
    whole = _whole_photons(sample)
    if not whole:
        constants = replace(constants, faulty=unchanging_pixels(first))
    gain, variance = photon_transfer(prepare(sample, mask, constants), whole=whole)
    constants = replace(constants, gain=gain, read_variance=variance)
    faulty = faulty_pixels(prepare(sample, mask, constants))
    return replace(constants, faulty=faulty if constants.faulty is None else faulty | constants.faulty)


def symmetry_centre(prepared: Prepared) -> tuple[int, int]:
    """Return by how many pixels (y, x) the beam stands off the middle, from the mean pattern's inversion symmetry.

    The mean of many patterns is symmetric about the beam (Friedel's law and random orientations). (0, 0) where no
    other centre is clearly better.
    """
    weight = prepared.known.sum(0) * (len(prepared.photons) / len(prepared.known))
    mean = torch.where(weight > 0, prepared.photons.sum(0) / weight.clamp_min(1e-6), torch.zeros(()))[0]
    root, known = mean.clamp_min(0).sqrt(), (weight[0] > 0.5).float()
    costs = torch.full((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), torch.inf)
    for dy in range(-_REACH_PX, _REACH_PX + 1):
        for dx in range(-_REACH_PX, _REACH_PX + 1):
            costs[dy + _REACH_PX, dx + _REACH_PX] = _asymmetry(root, known, dy, dx)
    best = int(costs.argmin())
    dy, dx = best // costs.shape[1] - _REACH_PX, best % costs.shape[1] - _REACH_PX
    clear = costs.flatten()[best] < _CLEARLY_BETTER * costs[_REACH_PX, _REACH_PX]
    return (dy, dx) if clear else (0, 0)


def _asymmetry(root: Tensor, known: Tensor, dy: int, dx: int) -> float:
    """Return ‖s(c + r) − s(c − r)‖² / ‖s‖² over pixels of which both are known, the centre off by (dy, dx)."""
    half = EDGE // 2 - _REACH_PX - 1
    rows = slice(EDGE // 2 + dy - half, EDGE // 2 + dy + half + 1)
    columns = slice(EDGE // 2 + dx - half, EDGE // 2 + dx + half + 1)
    s, m = root[rows, columns], known[rows, columns]
    both = m * m.flip(0, 1)
    return float((both * (s - s.flip(0, 1)) ** 2).sum() / (both * s**2).sum().clamp_min(1e-12))


def _whole_photons(sample: NDArray[np.generic]) -> bool:
    """Return whether the values are small whole numbers that begin at one: counted photons."""
    part = sample[: min(len(sample), 16)].astype(np.float64)
    values = part[np.isfinite(part) & (part != 0)]
    return bool(values.size) and values.min() == 1 and bool(np.all(values == np.rint(values)))


def photon_transfer(prepared: Prepared, *, whole: bool) -> tuple[float, float]:
    """Return the gain and the read noise's variance in photons², from how the variance of pixels follows their mean.

    The variance comes from second differences along rows, in which smooth patterns cancel; tiles that fringes make
    more variable than photons can are weighed down.

    Parameters
    ----------
    prepared : Prepared
        In detector units.
    whole : bool
        Whether the values are counted photons; then the gain is 1.

    References
    ----------
    Janesick, Photon Transfer (SPIE Press 2007), chapter 5.
    """
    mean, variance = _tile_statistics(prepared.photons, prepared.known)
    if whole or len(mean) < 10:
        return 1.0, 0.0
    slope, offset = _robust_line(mean, variance)
    slope = max(slope, offset**0.5 / _NOISIEST, 1e-9)
    return slope, offset / slope**2


def _tile_statistics(frames: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    whole = (known > 0.99).float()
    triple = whole[..., :-2] * whole[..., 1:-1] * whole[..., 2:]
    second = frames[..., :-2] - 2 * frames[..., 1:-1] + frames[..., 2:]
    share = functional.avg_pool2d(triple, _TILE)
    mean = functional.avg_pool2d(frames[..., 1:-1] * triple, _TILE) / share.clamp_min(0.1)
    variance = functional.avg_pool2d(second**2 * triple, _TILE) / 6 / share.clamp_min(0.1)
    enough = (share > 0.5).expand_as(mean)
    return mean[enough].double().clamp_min(0), variance[enough].double()


def _robust_line(mean: Tensor, variance: Tensor) -> tuple[float, float]:
    """Return slope and offset of variance against mean; each weight is the inverse square of the expected variance."""
    slope, offset = float(variance.sum() / mean.sum().clamp_min(1e-9)), 0.0
    for _ in range(12):
        expected = (offset + slope * mean).clamp_min(1e-9 * slope + 1e-12)
        outlying = (variance / expected).clamp_min(1) - 1
        weight = 1 / ((expected + 1e-6 * slope) ** 2 * (1 + outlying**2))
        total = weight.sum()
        x, y = (weight * mean).sum() / total, (weight * variance).sum() / total
        slope = float((weight * (mean - x) * (variance - y)).sum() / ((weight * (mean - x) ** 2).sum() + 1e-30))
        slope = max(slope, 1e-9)
        offset = max(float(y - slope * x), 0.0)
    return slope, offset


Pixels = NDArray[np.bool_]

# Photons, over all frames of the sample, from which a dark neighbour can't be chance.
_BRIGHT = 40.0
# No fringe falls to this share of its light from one pixel to the next.
_DIMMER = 0.02
_HOTTER = 4.0
_SIGMAS = 8.0
_WIDEST_PX = 48


def faulty_pixels(prepared: Prepared) -> Tensor:
    """Return the pixels to leave out, ``(128, 128)`` bool.

    Parameters
    ----------
    prepared : Prepared
        A sample of a run's frames, photons.

    Returns
    -------
    (128, 128) bool
        Hot: several times brighter, in the sum of all frames, than the median about it. Blind: dark, or unchanged in
        every frame, although much light falls right beside it (or between such pixels: a hole, a gap).
    """
    total, known = prepared.photons.sum(0)[0], prepared.known.amax(0)[0] > 0
    around = torch.from_numpy(_median_about(total.numpy())).clamp_min(0)
    spread = (around + 1 + prepared.read_variance * len(prepared.photons)).sqrt()
    hot = known & (total > _HOTTER * around + _SIGMAS * spread + _SIGMAS)
    even = torch.where(hot, around, total)  # hot pixels must not make their neighbours look blind
    # Where there is read noise, rows are free of their offset only to about a photon a frame.
    bright = _BRIGHT + (2.0 * len(prepared.photons) if prepared.read_variance else 0.0)
    blind = _blind(even.numpy(), known.numpy(), unchanging_pixels(prepared).numpy(), bright)
    return torch.from_numpy(blind) | hot


def unchanging_pixels(prepared: Prepared) -> Tensor:
    """Return pixels of one value in every frame, ``(128, 128)`` bool: with read noise, pixels that aren't read.

    None for a single frame, or for frames that are all alike: they have nothing to compare.
    """
    if len(prepared.photons) < 2:
        return torch.zeros(prepared.photons.shape[-2:], dtype=torch.bool)
    known = prepared.known.amax(0)[0] > 0
    still = (prepared.photons == prepared.photons[:1]).all(0)[0] & known
    return still & ~still[known].all()  # constant frames are another matter


# Plain NumPy: loading scipy.ndimage takes as long as scoring a thousand frames.


def _median_about(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of 5 × 5 pixels about each, the image mirrored at its edges."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="symmetric"), (5, 5))
    return np.median(windows, axis=(-2, -1)).astype(values.dtype)


def _blind(total: NDArray[np.float32], known: Pixels, still: Pixels, bright: float) -> Pixels:
    """Return pixels that get nothing beside ones that get much, and what hangs together with them, so many deep."""
    beside = _greatest_about(np.where(known, total, 0))
    seeds = known & (beside > bright) & ((total < _DIMMER * beside) | still)
    if not seeds.any():
        return seeds
    dark = known & (still | (total < _DIMMER * np.median(beside[seeds])))
    return _between(seeds, dark, 0) | _between(seeds, dark, 1)


def _between(seeds: Pixels, dark: Pixels, axis: int) -> Pixels:
    """Return the seeds and the dark stretches between two of them along an axis: a hole's inside, a gap's width."""
    ahead = behind = seeds
    for _ in range(_WIDEST_PX):
        ahead, behind = (seeds | (np.roll(some, step, axis) & dark) for some, step in ((ahead, 1), (behind, -1)))
    return ahead & behind


def _greatest_about(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the greatest of each pixel and its four neighbours."""
    greatest = values.copy()
    for axis in (0, 1):
        ahead, behind = (np.roll(greatest, step, axis) for step in (1, -1))
        greatest = np.maximum(greatest, np.maximum(ahead, behind))
    return greatest
