"""Calibration of a run from its own frames: the beam's place, detector units a photon, read noise, faulty pixels."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.detector_units import COUNTABLE, beyond_counting, normalised_apart, out_of_range, transformed
from friedel.core.errors import InputError
from friedel.core.fourier import convolved
from friedel.spi.hits.preparation.frame_levels import clipped_at, drifting, frame_levels
from friedel.spi.hits.preparation.photon_unit import (
    MARKS,
    find_marks,
    measured_values,
    photon_unit,
    tile_statistics,
    value_step,
)
from friedel.spi.hits.preparation.prepare import Prepared, RunConstants, loaded, natural_binning, prepare

SAMPLE = 256
"""Frames that are enough to measure a run by."""

_REACH_PX = 8  # binned pixels about the middle in which the beam is looked for first
# A centre that makes the mean pattern this much more symmetric than the frame's middle does is believed.
_CLEARLY_BETTER = 0.8
# One this much farther out than a few pixels must be better by this than the best of those.
_FARTHER_BETTER = 0.6
# One beyond a tenth of the frame must be so much better still, with so much of the light at pixels whose mirror images
# are on the detector.
_FARTHEST_BETTER, _FARTHEST_LIGHT = 0.3, 0.4
# Rows of a frame that decide whether it is among the sample, and what scatters the numbers made of them.
_ROWS, _SCATTER = 16, 1000 * 0.6180339887498949
# Whole frames looked at for the unit of their numbers and the beam's place; so many at once.
_OVERVIEW, _AT_ONCE = 128, 32
_NOISELESS = 0.5  # share of all values
_SPARSE = 16  # one value in so many tells their step
_MOST_VALUES = 1 << 20  # looked at for whether they left the range of their type
_LEVELS = 32  # frames whose levels are compared


def measure_run(
    frames: NDArray[np.generic], mask: NDArray[np.bool_], *, centre: tuple[float, float] | None = None
) -> RunConstants:
    """Measure binning, centre, pedestal, gain, read noise, marks and faulty pixels from some frames of a run.

    Parameters
    ----------
    frames : (n, y, x)
        A sample of the run; of more than `SAMPLE` frames, so many are picked by what is in them, in whatever order
        they come.
    mask : (y, x) bool
        True where the detector measures.
    centre : (float, float), optional
        Pixel (y, x) of the frames that the direct beam hits; None looks for it.

    Returns
    -------
    RunConstants
        The same for the same frames, so that a run can be taken up again.

    Raises
    ------
    InputError
        If the centre lies outside the frames, the numbers are logarithms or roots of photons, each frame is normalised
        on its own, or no counts are so large.
    """
    binning = natural_binning(mask.shape)
    if centre is not None and not all(0 <= place < n for place, n in zip(centre, mask.shape, strict=True)):
        raise InputError(
            f"the beam's centre, row {centre[0]:g} and column {centre[1]:g}, lies outside the frames of "
            f"{mask.shape[0]} × {mask.shape[1]} pixels"
        )
    middle = (mask.shape[0] // binning // 2, mask.shape[1] // binning // 2)
    constants = RunConstants(binning=binning, centre=_binned_centre(centre, binning) or middle)
    if not len(frames):
        return constants
    sample = _countable(frames[picked_frames(frames, mask)], mask)
    marks = find_marks(sample, mask)
    constants = replace(constants, marks=marks, clipped=clipped_at(sample, mask, (*MARKS, *marks)) or 0.0)
    raw = sample
    values = measured_values(sample, mask, constants.marks)
    levelled = _levelled(sample, mask, constants, value_step(values[::_SPARSE]))
    if levelled is not None:
        sample, constants = levelled, replace(constants, drifts=True)
        values = measured_values(sample, mask, constants.marks)
    _require_linear(raw, mask, sample, values)
    overview = _Overview.of(sample, mask, constants)
    unit = photon_unit(overview.tile_mean, overview.tile_variance, values)
    if centre is None:
        shift = symmetry_centre(overview.pattern(unit.pedestal), overview.weight)
        constants = replace(constants, centre=(middle[0] + shift[0], middle[1] + shift[1]))
    constants = replace(
        constants,
        gain=unit.gain,
        pedestal=unit.pedestal,
        read_variance=unit.read_variance,
        counted=unit.counted,
        measured=unit.measured,
    )
    sample = raw
    prepared = prepare(sample, mask, replace(constants, read_variance=0.0))
    # Where most values are one and the same, dim pixels hold it in every frame: there is no noise to miss.
    _, repeats = np.unique(values[::_SPARSE], return_counts=True)
    noiseless = unit.counted or repeats.max(initial=0) > _NOISELESS * repeats.sum()
    still = None if noiseless else unchanging_pixels(prepared)
    if constants.read_variance:
        prepared = prepare(sample, mask, replace(constants, faulty=still))
    faulty = faulty_pixels(prepared)
    return replace(constants, faulty=faulty if still is None else faulty | still)


def _countable(sample: NDArray[np.generic], mask: NDArray[np.bool_]) -> NDArray[np.generic]:
    """Return the sample with values that nothing can have counted as NaN."""
    # fmax and fmin pass over NaN.
    if sample.dtype.itemsize < 4 or (
        np.fmax.reduce(sample, axis=None) <= COUNTABLE and np.fmin.reduce(sample, axis=None) >= -COUNTABLE
    ):
        return sample
    beyond = beyond_counting(sample[:, mask], name="the frames")
    if beyond is None:
        return sample
    whole = np.zeros(sample.shape, bool)
    whole[:, mask] = beyond
    return np.where(whole, np.nan, sample).astype(np.float32)


def _levelled(
    sample: NDArray[np.generic], mask: NDArray[np.bool_], constants: RunConstants, step: float
) -> NDArray[np.float32] | None:
    """Return the sample without each frame's own level; None if frames have none."""

    def levels(some: NDArray[np.generic]) -> tuple[Tensor, Tensor]:
        parts = (loaded(some[k : k + _AT_ONCE], mask, constants) for k in range(0, len(some), _AT_ONCE))
        level, variance = (torch.cat(column) for column in zip(*(frame_levels(*part) for part in parts), strict=True))
        return level, variance * constants.binning**2

    if not drifting(*levels(sample[:: max(1, len(sample) // _LEVELS)]), step):
        return None
    unknown = np.isin(sample, np.array((*MARKS, *constants.marks), np.float64)) | ~np.isfinite(sample)
    levelled = sample.astype(np.float32) - levels(sample)[0].numpy()[:, None, None]
    return np.where(unknown, np.float32(np.nan), levelled)


def _require_linear(
    raw: NDArray[np.generic], mask: NDArray[np.bool_], sample: NDArray[np.generic], values: NDArray[np.float64]
) -> None:
    """Raise InputError if the numbers are no multiples of photons: their noise would be taken for something else."""
    few = raw[:: max(1, raw.size // _MOST_VALUES)] if raw.dtype.kind in "iu" else raw[:0]
    odd = out_of_range(few[:, mask].ravel())
    if odd is not None:
        raise InputError(f"the frames' {odd}")
    what = transformed(values) if sample.dtype.kind == "f" else None
    if what is not None:
        raise InputError(f"the frames' values are {what}; give photons or detector units")
    if sample.dtype.kind == "f" and normalised_apart(sample):
        raise InputError("every frame is normalised by a number of its own; give photons or detector units")


def _binned_centre(centre: tuple[float, float] | None, binning: int) -> tuple[int, int] | None:
    return None if centre is None else (round(centre[0] / binning), round(centre[1] / binning))


def picked_frames(frames: NDArray[np.generic], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the numbers of the frames, `SAMPLE` at most, to measure a run by: chosen by their own measured values.

    So the same frames in another order, of another type, or with other values under the mask give the same sample.
    """
    if len(frames) <= SAMPLE:
        return np.arange(len(frames))
    rows = np.unique(np.linspace(0, mask.shape[0] - 1, _ROWS).astype(int))
    weights = np.random.default_rng(0).random(mask[rows].shape) * mask[rows]
    keys = np.empty(len(frames))
    for first in range(0, len(frames), SAMPLE):
        part = frames[first : first + SAMPLE][:, rows].astype(np.float32, order="C")
        part[~np.isfinite(part)] = 0
        part[:, ~mask[rows]] = 0
        keys[first : first + SAMPLE] = part.astype(np.float64).reshape(len(part), -1) @ weights.reshape(-1)
    return np.asarray(np.argsort(np.modf(np.abs(keys) * _SCATTER)[0], kind="stable")[:SAMPLE])


@dataclass(frozen=True, eq=False, kw_only=True)
class _Overview:
    """Whole frames in short: their sum and how often each pixel was known, ``(y, x)`` binned; and tiles of each."""

    total: Tensor
    weight: Tensor
    tile_mean: Tensor
    tile_variance: Tensor
    scale: int

    @classmethod
    def of(cls, sample: NDArray[np.generic], mask: NDArray[np.bool_], constants: RunConstants) -> "_Overview":
        step = max(1, len(sample) // _OVERVIEW)
        total: Tensor | float = 0.0
        weight: Tensor | float = 0.0
        tiles = []
        for first in range(0, len(sample), _AT_ONCE * step):
            part, known = loaded(sample[first : first + _AT_ONCE * step : step], mask, constants)
            part = part * constants.binning**2
            tiles.append(tile_statistics(part, known))
            total = total + part.sum(0)[0].double()
            weight = weight + known.sum(0)[0].double() * (len(part) / len(known))
        mean, variance = (torch.cat(column) for column in zip(*tiles, strict=True))
        assert isinstance(total, Tensor)
        assert isinstance(weight, Tensor)
        scale = constants.binning**2
        return cls(total=total, weight=weight, tile_mean=mean, tile_variance=variance, scale=scale)

    def pattern(self, pedestal: float) -> NDArray[np.float64]:
        """Return the mean pattern, ``(y, x)``, without its pedestal."""
        mean = self.total / self.weight.clamp_min(1e-6) - pedestal * self.scale
        return np.asarray(torch.where(self.weight > 0, mean, torch.zeros((), dtype=torch.float64)).numpy())


def symmetry_centre(mean: NDArray[np.float64], weight: Tensor) -> tuple[int, int]:
    """Return by how many pixels (y, x) the beam stands off the middle, from the mean pattern's inversion symmetry.

    The mean of many patterns is symmetric about the beam (Friedel's law and random orientations). (0, 0) where no
    other centre is clearly better. The farther a centre is from the middle, the more convincing it must be.

    Parameters
    ----------
    mean : (y, x)
        The mean pattern.
    weight : (y, x)
        How often each pixel was measured.
    """
    known = (weight > 0.5 * weight.max().clamp_min(1e-9)).numpy().astype(np.float64)
    root = np.sqrt(np.clip(mean, 0, None)) * known
    reach = min(max(_REACH_PX, -(-max(root.shape) // 10) + 2), min(root.shape) // 3)
    near = _search(root, known, (0, 0), min(_REACH_PX, reach), reach)
    at_middle = _asymmetry(root, known, (0, 0), reach)
    found = near if near[0] < _CLEARLY_BETTER * at_middle else (at_middle, (0, 0))
    coarse = max(1, min(root.shape) // 64)
    small = [_shrunk(values, coarse) for values in (root, known)]
    _, (dy, dx) = _search(small[0], small[1], (0, 0), reach // coarse, reach // coarse)
    far = _search(root, known, (dy * coarse, dx * coarse), coarse + 1, reach)
    chosen = far[1] if far[0] < _FARTHER_BETTER * found[0] else found[1]
    return _anywhere(root, known, chosen, reach)


def _anywhere(
    root: NDArray[np.float64], known: NDArray[np.float64], chosen: tuple[int, int], reach: int
) -> tuple[int, int]:
    """Return the centre of symmetry anywhere on the frame, or the chosen one if none far off is far better.

    ‖s(c + r) − s(c − r)‖² = 2 (s² ∗ m)(2c) − 2 (s ∗ s)(2c), with m where the frame is known.
    """
    factor = max(1, min(root.shape) // 64)
    asymmetry = _asymmetries(_shrunk(root, factor), _shrunk(known, factor))
    middle = [n // 2 // factor for n in root.shape]
    at = tuple(2 * (m + round(c / factor)) for m, c in zip(middle, chosen, strict=True))
    y, x = (int(k) for k in np.unravel_index(int(asymmetry.argmin()), asymmetry.shape))
    shift = tuple(round((k / 2 - m) * factor) for k, m in zip((y, x), middle, strict=True))
    now = float(asymmetry[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2].min())
    if max(abs(k) for k in shift) <= reach or not asymmetry[y, x] < _FARTHEST_BETTER * now:
        return chosen
    fine = _asymmetries(root, known)[::2, ::2]
    rows, columns = (
        slice(max(n // 2 + k - 2 * factor, 0), n // 2 + k + 2 * factor + 1)
        for n, k in zip(root.shape, shift, strict=True)
    )
    part = fine[rows, columns]
    dy, dx = np.unravel_index(int(part.argmin()), part.shape)
    return rows.start + int(dy) - root.shape[0] // 2, columns.start + int(dx) - root.shape[1] // 2


def _asymmetries(root: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the asymmetry about every half pixel, index 2c; infinite where it has too little light to tell."""
    known = (known > 0.5).astype(np.float64)
    light, field = known * root**2, known * root
    power, both = convolved(light, known), convolved(field, field)
    enough = power > max(_FARTHEST_LIGHT * float((known * root**2).sum()), 1e-9)
    return np.asarray(np.where(enough, 2 * (power - both) / np.where(enough, power, 1), np.inf))


def _search(
    root: NDArray[np.float64], known: NDArray[np.float64], about: tuple[int, int], radius: int, reach: int
) -> tuple[float, tuple[int, int]]:
    """Return the least asymmetry, and the shift with it, within ``radius`` of a shift and ``reach`` of the middle.

    Every other shift is looked at, then the neighbours of the best.
    """
    best = (np.inf, about)
    for centre, offsets in ((about, range(-radius, radius + 1, 2 if radius > 2 else 1)), (None, range(-1, 2))):
        y, x = centre or best[1]
        shifts = [(y + dy, x + dx) for dy in offsets for dx in offsets]
        inside = [shift for shift in shifts if max(abs(shift[0]), abs(shift[1])) <= reach]
        best = min([best, *((_asymmetry(root, known, shift, reach), shift) for shift in inside)])
    return best


def _asymmetry(root: NDArray[np.float64], known: NDArray[np.float64], shift: tuple[int, int], reach: int) -> float:
    """Return ‖s(c + r) − s(c − r)‖² / ‖s‖² over pixels of which both are known, the centre off by (dy, dx)."""
    windows = []
    for n, off in zip(root.shape, shift, strict=True):
        half = max((n - 1) // 2 - reach, 1)
        windows.append(slice(n // 2 + off - half, n // 2 + off + half + 1))
    s, m = root[windows[0], windows[1]], known[windows[0], windows[1]]
    both = m * m[::-1, ::-1]
    return float((both * (s - s[::-1, ::-1]) ** 2).sum() / max(float((both * s * s).sum()), 1e-12))


def _shrunk(values: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Return means over squares about the middle, so that the middle stays the middle pixel."""
    sides = [(n // 2 // factor, (n - 1) // 2 // factor) for n in values.shape]
    cut = values[
        tuple(slice(n // 2 - a * factor, n // 2 + b * factor) for n, (a, b) in zip(values.shape, sides, strict=True))
    ]
    rows, columns = (sum(side) for side in sides)
    return np.asarray(cut.reshape(rows, factor, columns, factor).mean(axis=(1, 3)))


Pixels = NDArray[np.bool_]

# Photons, over all frames of the sample, from which a dark neighbour can't be chance.
_BRIGHT = 40.0
# No fringe falls to this share of its light from one pixel to the next.
_DIMMER = 0.02
# Two pixels from where a fringe is dark there is four times the light that there is one pixel from it, and 2.8 times
# where fringes are six pixels wide; beside a blind pixel there is about as much, and half beside a gap of two.
_FRINGE = 0.42
# A hot pixel's sum over the sample exceeds so many times the median of the 5 × 5 pixels about it, plus so many standard
# deviations. Eight aren't reached by chance; the factor is a choice: smaller, and bright narrow fringes would be hot.
_HOTTER = 4.0
_SIGMAS = 8.0
# On a fringe's crest, narrow or beside a beamstop, three of the pixels next to one have more than half of its light.
_CREST = 2.0
_MOST_OF_A_PIXEL = 3.0  # photons: a frame with a hot pixel is not yet a bright one
_WIDEST_PX = 48  # of a hole or gap that is filled in between blind pixels


def faulty_pixels(prepared: Prepared) -> Tensor:
    """Return the pixels to leave out, ``(128, 128)`` bool.

    Parameters
    ----------
    prepared : Prepared
        A sample of a run's frames, photons.

    Returns
    -------
    (128, 128) bool
        Hot: several times brighter than the median about it, in the sum of all frames or of the darker half of them
        (amid the light of hits it would hide). Blind: dark, or unchanged in every frame, although much light falls
        right beside it (or between such pixels: a hole, a gap).
    """
    total, known = _fair_sum(prepared.photons)[0], prepared.known.amax(0)[0] > 0
    around = torch.from_numpy(_median_about(total.numpy())).clamp_min(0)
    # Beside unknown pixels, a beamstop's rim mostly, networks have learned without what the plain rule leaves out.
    amid = torch.nn.functional.avg_pool2d(known[None, None].float(), 5, 1, 2, count_include_pad=False)[0, 0] > 0.99
    hot = known & (
        _hot(prepared.photons, prepared.read_variance, amid)
        | _hot(_darker_half(prepared), prepared.read_variance, amid)
    )
    even = torch.where(hot, around, total)  # hot pixels must not make their neighbours look blind
    # Where there is read noise, rows are free of their offset only to about a photon a frame.
    bright = _BRIGHT + (2.0 * len(prepared.photons) if prepared.read_variance else 0.0)
    blind = _blind(even.numpy(), known.numpy(), unchanging_pixels(prepared).numpy(), bright)
    return torch.from_numpy(blind) | hot


def _fair_sum(photons: Tensor) -> Tensor:
    """Return the sum over frames ``(n, …)``, in which no frame counts for more than all the others together.

    One frame of a thousand times the light, by a fault or a droplet, would else stand for the run, and its dark fringes
    for blind pixels.
    """
    light = photons.flatten(1).clamp_min(0).sum(1)
    others = light.sum() - light
    weight = torch.where((light > others) & (others > 0), others / light.clamp_min(1e-9), torch.ones_like(light))
    return torch.einsum("n,n...->...", weight, photons)


def _hot(photons: Tensor, read_variance: float, amid: Tensor) -> Tensor:
    total = _fair_sum(photons)[0]
    around = torch.from_numpy(_median_about(total.numpy())).clamp_min(0)
    spread = (around + 1 + read_variance * len(photons)).sqrt()
    hot = total > _HOTTER * around + _SIGMAS * spread + _SIGMAS
    return hot & (~amid | (total > _CREST * _third_about(total))) if hot.any() else hot


def _third_about(total: Tensor) -> Tensor:
    """Return the third greatest of the eight pixels next to each."""
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    return torch.stack([total.roll(step, (0, 1)) for step in steps]).kthvalue(6, dim=0).values


def _darker_half(prepared: Prepared) -> Tensor:
    """Return the photons of the darker frames, by pixels of which none counts for more than a few photons."""
    order = prepared.photons.clamp_max(_MOST_OF_A_PIXEL).flatten(1).sum(1).argsort(stable=True)
    return prepared.photons[order[: (len(order) + 1) // 2]]


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
    light = np.where(known, total, 0)
    beside = _greatest_about(light)
    even = _beside(light, 1) > _FRINGE * _beside(light, 2)
    seeds = known & (beside > bright) & np.where(total < _DIMMER * beside, even, still)
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


def _beside(values: NDArray[np.float32], distance: int) -> NDArray[np.float32]:
    """Return the sum of the four pixels so far from each along rows and columns."""
    return np.sum([np.roll(values, step, axis) for axis in (0, 1) for step in (-distance, distance)], axis=0)


def _greatest_about(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the greatest of each pixel and its four neighbours."""
    greatest = values.copy()
    for axis in (0, 1):
        ahead, behind = (np.roll(greatest, step, axis) for step in (1, -1))
        greatest = np.maximum(greatest, np.maximum(ahead, behind))
    return greatest
