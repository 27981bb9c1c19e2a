"""Frames that weren't recorded as the others were: lost, half lost, repeated, with light added, attenuated.

A frame without counts between two bright ones is lost, not dark: its voxels are unknown. Whole frames, and large parts
of them, are compared with their neighbours here; single pixels in `bad_pixels`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Note, Observer, Warned, listed, silent

# By chance no count where 25 are expected: 1e-11.
LEAST_EXPECTED = 25.0
# A part without a count is a fringe's if the rest of the frame has so small a share of the counts that the frames next
# to it have there: between parallel faces all of a frame is dark.
DIP = 0.1
# A part of a frame whose mirror image about the peak has as few counts may be dark: strain makes a fringe three times
# as bright on one side, and of 10 expected none come by chance once in 22,000 parts looked at.
DARK = 30
# So many frames in a row without a count, beside one with so many: fringes come back every second frame at the latest,
# and fall by a few times from one to the next.
LEAST_SHUT, SHUT_BESIDE = 3, 300.0
# Share of the frames unknown above which the result isn't trusted.
MOST_LOST = 0.1
# A frame has damaged bytes if more than such a share of its pixels, and more than so many, are so many times brighter
# than all around them in the frames before and after.
GARBLED_TIMES = 20.0
GARBLED_SHARE = 0.002
GARBLED_PIXELS = 5
# Stray light: a frame's darkest pixels have so many times the counts of those in the frames before and after.
LIFTED_TIMES = 3.0
# Bounds of an attenuator's factor: below 1.5 strain may change frames as much; beyond 120 a detector's range doesn't
# reach.
LEAST_STEP = np.log(1.5)
MOST_FACTOR = 120.0
# A factor is believed if taking it off leaves less than this share of the power at frequencies beyond `BAND`.
LEAST_GAIN = 0.15
# A factor is looked for only where that power exceeds photon noise's own part so many times,
LEAST_FINE = 3.0
# and is more than this share of all power: the edges of the box put some power there.
LEAST_SHARE = 1e-4
STRETCH = 20  # frames looked at together beside the whole scan, so that a run far from the peak isn't outshone
# So many of the brightest pixels are asked one by one, and this share of them must agree.
MOST_ASKED = 200
MOST_PIXELS = 0.7
MOST_RUNS = 3  # attenuated runs looked for, one after the other
LEAST_FRAMES = 16  # of a scan or stretch in which a run is looked for: fewer frames hold too few fine periods
BRIGHT_PIXELS = 2000  # enough to average over photon noise; more only cost time
# The highest frequency, cycles a frame, of the intensities of an object that fills less than 1 / 2.5 of the box: its
# autocorrelation is twice as long as it, 0.8 of the box, so ±0.4. And what is added to K's diagonal, so that it can be
# inverted.
BAND = 0.4
NOISE = 1e-5
# The oversampling along the scan that `BAND` supposes, less the 15 % to which it is known.
LEAST_SAMPLED = 2.2
# The quarters' slopes may spread by this share on either side of their median and still count as one slope.
ALIKE = 0.35
# The beam fell if mirrored frames differ by more than this factor from end to end, and steadily.
LEAST_FALL = 1.5
STEADY = 0.9  # share of the logarithmic ratios' power that a straight line must explain


def repaired_frames(counts: Counts, *, name: str, observer: Observer = silent) -> Counts:
    """Return the counts with lost, repeated and lifted frames unknown.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``, photons.
    name : str
        Origin of the data, for messages.
    observer : Observer
        Hears what was found, by the frames' numbers from 0.
    """
    if len(counts.mask) < 8:
        return counts
    before = _present(counts)
    counts = _without_repeated(counts, name, observer)
    counts = _without_constant(counts, name, observer)
    counts = _without_lost(counts, name, observer)
    counts = _without_lifted(counts, name, observer)
    counts = _without_garbled(counts, name, observer)
    lost = before & ~_present(counts)
    if lost.sum() > MOST_LOST * max(int(before.sum()), 1):
        text = f"{name}: {int(lost.sum())} of {len(lost)} frames are lost; what they held is left to the phasing"
        observer(Warned("lost frames", text, bends=True))
    return counts


def one_beam(
    counts: Counts, *, name: str, places: NDArray[np.float64] | None = None, observer: Observer = silent
) -> Counts:
    """Return the counts with attenuated runs of frames scaled back; say where the beam seems to have changed.

    Parameters
    ----------
    counts, name, observer
        As for `repaired_frames`; hot pixels are already unknown where they could be found.
    places : (n,) float64 or None
        Where the frames lie along the scan, in its steps; NaN: not known. None: evenly.
    """
    # Of what doesn't scatter as photons do, it isn't known how unlike each other neighbouring frames may be.
    if len(counts.mask) < LEAST_FRAMES or counts.unit != "photons":
        return counts
    counts = _with_one_beam(counts, np.arange(len(counts.mask)) if places is None else places, name, observer)
    if places is None:
        _watch_the_beam(counts, name, observer)
    return counts


def _present(counts: Counts) -> NDArray[np.bool_]:
    return np.asarray(counts.mask.any(axis=(1, 2)))


def _without_repeated(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take a frame that equals the one before it bit for bit as unknown: its own counts were never written."""
    values = counts.values
    totals = values.sum(axis=(1, 2), dtype=np.float64)
    again = [
        index
        for index in range(1, len(values))
        if totals[index] == totals[index - 1] >= LEAST_EXPECTED and np.array_equal(values[index], values[index - 1])
    ]
    if not again or len(again) > len(values) // 2:
        return counts
    text = f"{name}: frames {listed(again)} hold the frame before them once more; unknown"
    observer(Warned("lost frames", text))
    return _without_frames(counts, again)


def _without_constant(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take frames as unknown whose pixels all hold one value above zero: something else than the pattern's light."""
    top = counts.values.max(axis=(1, 2))
    constant = np.flatnonzero(top > 0)
    for every in (8, 1):  # a glance first
        some = (constant, slice(None, None, every), slice(None, None, every))
        alike = (counts.values[some] == top[constant, None, None]) | ~counts.mask[some]
        constant = constant[alike.all(axis=(1, 2))]
    constant = constant[counts.mask[constant].sum(axis=(1, 2)) > 1]
    if not constant.size or constant.size > len(top) // 2:
        return counts
    observer(Warned("lost frames", f"{name}: all pixels of frames {listed(constant)} hold one value; unknown"))
    return _without_frames(counts, constant)


def _without_lost(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take parts of frames that are empty between full ones as unknown: whole frames, halves and eighths."""
    unknown = np.zeros(counts.mask.shape, bool)
    totals = counts.values.sum(axis=(1, 2), dtype=np.float64)
    whole: set[int] = set()
    parts: set[int] = set()
    for region in _regions(counts.values.shape[1:]):
        box = (slice(None), *region)
        known = np.asarray(counts.mask[box].any(axis=(1, 2)))
        is_whole = counts.values[box].shape == counts.values.shape
        inside = counts.values[box].sum(axis=(1, 2), dtype=np.float64)
        # Of values in another unit it isn't known that so much light leaves no frame empty.
        lost = _empty_between(inside, known, whole=is_whole and counts.unit == "photons")
        dips = _dips(totals - inside)
        for index in lost:
            if not is_whole and index in dips:
                continue
            unknown[(index, *region)] = True
            (whole if is_whole else parts).add(index)
    if not unknown.any():
        return counts
    said = [f"frames {listed(sorted(whole))}"] if whole else []
    said += [f"parts of frames {listed(sorted(parts - whole))}"] if parts - whole else []
    text = f"{name}: {' and '.join(said)} have no counts between bright ones: lost, not dark, so unknown"
    observer(Warned("lost frames", text))
    return counts.without(unknown)


def _dips(totals: NDArray[np.float64]) -> set[int]:
    """Return the frames with far fewer counts than both next to them: a dark fringe runs through all of the frame."""
    beside = np.minimum(totals[:-2], totals[2:])
    return set(map(int, np.flatnonzero(totals[1:-1] < DIP * beside) + 1))


def _regions(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Yield the whole frame, its halves and eighths along rows and columns, its quarters, and every second line."""
    rows, columns = shape
    yield slice(0, rows), slice(0, columns)
    for up in (slice(0, rows // 2), slice(rows // 2, rows)):
        yield up, slice(0, columns // 2)
        yield up, slice(columns // 2, columns)
    for parts in (2, 8):
        for k in range(parts):
            yield slice(k * rows // parts, (k + 1) * rows // parts), slice(0, columns)
            yield slice(0, rows), slice(k * columns // parts, (k + 1) * columns // parts)
    for k in (0, 1):
        yield slice(k, rows, 2), slice(0, columns)
        yield slice(0, rows), slice(k, columns, 2)


def _empty_between(totals: NDArray[np.float64], known: NDArray[np.bool_], *, whole: bool) -> list[int]:
    """Return the frames that are empty though both next to them aren't, nor is their mirror image about the peak.

    Of whole frames also those at the ends while a shutter was closed; a part of a frame may see a streak alone.
    """
    empty = known & (totals <= 0)
    if not empty.any() or empty.all():
        return []
    full = np.flatnonzero(totals >= LEAST_EXPECTED)
    peak = int(totals.argmax())
    found = _shut(totals, empty) if whole else []
    # Beside the brightest frame no fringe is dark: the central maximum is twice as wide as the others.
    beside = whole and any(0 <= index < len(totals) and empty[index] for index in (peak - 1, peak + 1))
    for index in np.flatnonzero(empty):
        below, above = full[full < index], full[full > index]
        if below.size == 0 or above.size == 0 or not _full_to(totals, known, int(index)):
            continue
        mirror = 2 * peak - int(index)
        # A crystal's own dark fringe is as dark on the other side of the peak.
        fringe = 0 <= mirror < len(totals) and mirror != index and known[mirror] and totals[mirror] <= DARK
        if (fringe and not beside) or int(index) in found:
            continue
        found.append(int(index))
    return found


def _shut(totals: NDArray[np.float64], empty: NDArray[np.bool_]) -> list[int]:
    """Return the frames at either end without a count, a shutter being closed: others and their mirrors have many."""
    found: list[int] = []
    for way in (1, -1):
        line = totals[::way]
        dark, peak = int((~empty[::way]).argmax()), int(line.argmax())
        if dark < LEAST_SHUT or line[dark] < SHUT_BESIDE:
            continue
        # What ends on both sides of the peak alike ends of itself.
        mirrored = line[2 * peak - dark + 1 :][:LEAST_SHUT]
        if mirrored.size == LEAST_SHUT and mirrored.min() > DARK:
            found += list(range(dark)) if way == 1 else list(range(len(totals) - dark, len(totals)))
    return found


def _full_to(totals: NDArray[np.float64], known: NDArray[np.bool_], index: int) -> bool:
    """Tell whether the nearest frames that have counts, on both sides, have enough of them."""
    below = next((totals[k] for k in range(index - 1, -1, -1) if known[k] and totals[k] > 0), 0.0)
    above = next((totals[k] for k in range(index + 1, len(totals)) if known[k] and totals[k] > 0), 0.0)
    return bool(min(below, above) >= LEAST_EXPECTED)


def _without_lifted(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take up to three frames in a row as unknown that have counts everywhere, though those next to them are dark."""
    dim = np.quantile(counts.values[:, ::2, ::2], 0.02, axis=(1, 2))
    lifted: set[int] = set()
    for length in (1, 2, 3) if dim.max() > LEAST_EXPECTED else ():
        for first in range(len(dim) - length + 1):
            beside = [dim[k] for k in (first - 1, first + length) if 0 <= k < len(dim)]
            if dim[first : first + length].min() > LIFTED_TIMES * max(beside) + LEAST_EXPECTED:
                lifted |= set(range(first, first + length))
    if not lifted:
        return counts
    most = max(float(dim[k]) for k in lifted)
    text = (
        f"{name}: frames {listed(sorted(lifted))} have up to {most:.3g} counts in every pixel, those next to them none"
    )
    observer(Warned("lost frames", text + ": light or a fault, so unknown"))
    return _without_frames(counts, sorted(lifted))


def _without_garbled(counts: Counts, name: str, observer: Observer) -> Counts:
    """Take frames as unknown in which many pixels are bright though the frames before and after are dark around them.

    So looks a frame whose compressed bytes were damaged; a crystal's pattern is wider than one frame.
    """
    values = counts.values
    around = ndimage.maximum_filter(values, (1, 3, 3))
    present = np.flatnonzero(_present(counts))
    garbled = []
    for place, index in enumerate(map(int, present) if present.size > 2 else ()):
        # An unknown frame is no neighbour: it holds zeros. At an end two frames are asked: one may be a dark fringe.
        beside = {0: (1, 2), present.size - 1: (place - 1, place - 2)}.get(place, (place - 1, place + 1))
        near = present[list(beside)]
        odd = values[index] > GARBLED_TIMES * around[near].max(axis=0) + LEAST_EXPECTED
        if odd.sum() > max(GARBLED_SHARE * odd.size, GARBLED_PIXELS):
            garbled.append(index)
    if not garbled or len(garbled) > len(values) // 4:
        return counts
    text = f"{name}: frames {listed(garbled)} are bright where the frames next to them are dark: damaged, so unknown"
    observer(Warned("lost frames", text))
    return _without_frames(counts, garbled)


def _without_frames(counts: Counts, frames: NDArray[np.intp] | list[int]) -> Counts:
    unknown = np.zeros(counts.mask.shape, bool)
    unknown[frames] = True
    return counts.without(unknown)


def _with_one_beam(counts: Counts, places: NDArray[Any], name: str, observer: Observer) -> Counts:
    """Scale back runs of frames whose counts all differ from the expected by one factor, as behind an attenuator."""
    for _ in range(MOST_RUNS):
        found = _scaled_run(counts, places)
        if found is None:
            break
        run, factor = found
        values = counts.values.copy()
        values[run] /= np.float32(factor)
        # An object that fills more of its box has neighbouring frames as unlike each other as attenuated ones.
        if estimate_oversampling(values, counts.mask)[0] < LEAST_SAMPLED:
            break
        text = (
            f"{name}: frames {listed(range(run.start, run.stop))} have {factor:.3g} times the counts that the others "
        )
        text += "let expect, as behind an attenuator; scaled back by estimate (a monitor would do it exactly)"
        observer(Warned("beam", text, bends=True))
        counts = replace(counts, values=values)
    return counts


def _scaled_run(counts: Counts, places: NDArray[Any]) -> tuple[slice, float] | None:
    """Return the run of frames that is scaled against the others, and by how much; None if none is.

    Along the scan the counts of a pixel have no periods finer than the crystal's thickness allows. What is finer is
    f' M f for frames' factors f, with M the sum over pixels of (y y') ∘ K⁻¹ and K the covariance of such functions,
    less what photon noise adds. Its share of the power f' E f is lowest where a run's factor is right; the run is
    believed if it lowers that share to a small part.
    """
    present = np.flatnonzero(_present(counts) & np.isfinite(places))
    peak = int(counts.values.sum(axis=(1, 2)).argmax())
    # The peak outshines the rest, so stretches beside it are looked at by themselves, too.
    stretches = [present[first : first + STRETCH] for first in range(0, present.size - STRETCH + 1, STRETCH // 4)]
    for part in (present, present[present < peak - 1], present[present > peak + 1], *stretches):
        found = _run_in(counts, part, places) if part.size >= LEAST_FRAMES else None
        if found is not None and (part is present or part[0] < found[0].start or part[0] == present[0]):
            return found
    return None


def _run_in(counts: Counts, present: NDArray[np.intp], places: NDArray[Any]) -> tuple[slice, float] | None:
    """Return the run among some frames, as `_scaled_run` does."""
    fine, power, noise = _fineness(counts, present, places)
    if not fine.sum() > max(LEAST_FINE * noise, LEAST_SHARE * power.sum()):
        return None
    share, first, last, factor = run_shares(fine, power)
    k, now = int(share.argmin()), float(fine.sum() / power.sum())
    if not share[k] < LEAST_GAIN * now:
        return None
    factors = np.ones(present.size)
    factors[first[k] : last[k]] = factor[k]
    lines, inverse = _lines(counts, present, places, MOST_ASKED)
    if share_smoother(lines, lines * factors[:, None], inverse) < MOST_PIXELS:
        return None  # only some pixels agree: hot ones
    return slice(int(present[first[k]]), int(present[last[k] - 1]) + 1), float(1 / factor[k])


def run_shares(
    fine: NDArray[np.float64], power: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return, for every run of frames, the lowest share that is too fine if it is scaled; first, last and the factor.

    Parameters
    ----------
    fine : (n, n) float64
        M of `_scaled_run`, photon noise taken off.
    power : (n,) float64
        Of each frame.
    """
    total = np.zeros((len(fine) + 1,) * 2)
    total[1:, 1:] = fine.cumsum(axis=0).cumsum(axis=1)
    powers = np.concatenate([[0.0], power.cumsum()])
    first, last = np.triu_indices(len(fine) + 1, k=1)
    some = (last - first <= len(fine) // 2) & (powers[last] > powers[first])
    first, last = first[some], last[some]
    inner = total[last, last] - total[first, last] - total[last, first] + total[first, first]
    cross = (total[last, -1] - total[first, -1]) - inner
    outer = total[-1, -1] - 2 * cross - inner
    inside = powers[last] - powers[first]
    outside = np.maximum(powers[-1] - inside, 1e-30)
    # The lower eigenvalue of the two by two problem, and the factor in its vector.
    a, c, b = outer / outside, inner / inside, cross / np.sqrt(inside * outside)
    share = (a + c) / 2 - np.hypot((a - c) / 2, b)
    with np.errstate(all="ignore"):
        factor = (share - a) / b * np.sqrt(outside / inside)
    usable = np.isfinite(factor) & (factor > 1 / MOST_FACTOR) & (factor < MOST_FACTOR)
    usable &= np.abs(np.log(np.where(usable, factor, 1.0))) > LEAST_STEP
    share[~usable] = np.inf
    return share, first, last, factor


def share_smoother(before: NDArray[np.float64], after: NDArray[np.float64], inverse: NDArray[np.float64]) -> float:
    """Return the share of lines ``(n, lines)`` of whose power a smaller part is too fine after a change than before.

    Parameters
    ----------
    before, after : (n, lines) float64
        Lines along an axis.
    inverse : (n, n) float64
        What measures their power beyond the band (`smooth_inverse`).
    """

    def fine(values: NDArray[np.float64]) -> NDArray[np.float64]:
        power: NDArray[np.float64] = (values**2).sum(axis=0) + 1e-30
        return np.asarray(((inverse @ values) * values).sum(axis=0) / power)

    return float((fine(after) < fine(before)).mean())


def _lines(
    counts: Counts, present: NDArray[np.intp], places: NDArray[Any], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the brightest pixels' counts along the frames, ``(n, pixels)``, and K⁻¹ of `_scaled_run`."""
    image = counts.values[present].sum(axis=0)
    some = np.argpartition(image, -min(most, image.size), axis=None)[-most:]
    lines = counts.values.reshape(len(counts.values), -1)[np.ix_(present, some)].astype(np.float64)
    return lines, smooth_inverse(places[present])


def smooth_inverse(at: NDArray[Any]) -> NDArray[np.float64]:
    """Return K⁻¹ ``(n, n)`` for points at these places, K the covariance of functions without too fine periods.

    The share of a line's power that is too fine is y' K⁻¹ y / y' y.
    """
    return _inverse_between(np.asarray(at - at[0], np.float64).tobytes())


@lru_cache(maxsize=16)  # stretches of a scan lie alike
def _inverse_between(places: bytes) -> NDArray[np.float64]:
    at = np.frombuffer(places)
    kernel = np.sinc(2 * BAND * (at[:, None] - at))
    inverse = np.asarray(np.linalg.inv(kernel + NOISE * np.eye(at.size)) * NOISE)
    inverse.flags.writeable = False
    return inverse


def _fineness(
    counts: Counts, present: NDArray[np.intp], places: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return M of `_scaled_run`, ``(n, n)``, the frames' powers, and what photon noise put in M's diagonal."""
    lines, inverse = _lines(counts, present, places, BRIGHT_PIXELS)
    weigh = 1 / (lines.sum(axis=0) + 1)
    fine = ((lines * weigh) @ lines.T) * inverse
    noise = np.diag(inverse) * (lines @ weigh) * (counts.unit == "photons")
    fine[np.diag_indices_from(fine)] -= noise
    return fine, (lines**2) @ weigh, float(noise.sum())


def _watch_the_beam(counts: Counts, name: str, observer: Observer) -> None:
    """Warn where frames and their mirror images about the peak differ more and more: the beam may have fallen.

    Strain makes the two differ as well, but not alike in all quarters of the frame and not steadily.
    """
    quarters = _mirrored_quarters(counts)
    falls = [fall for pair in quarters if (fall := _fall(*pair)) is not None]
    slopes = np.array([slope for slope, _ in falls])
    reach = max((distance for _, distance in falls), default=0.0)
    if slopes.size < 3 or abs(np.median(slopes)) * reach < np.log(LEAST_FALL):
        observer(Note("beam", f"{name}: frames and their mirror images about the peak speak for a steady beam"))
        return
    if np.ptp(slopes) > ALIKE * 2 * abs(np.median(slopes)) or len({bool(slope > 0) for slope in slopes}) > 1:
        return
    way = "less" if np.median(slopes) < 0 else "more"
    change = float(np.exp(abs(np.median(slopes)) * reach))
    text = (
        f"{name}: frames have steadily {way} counts than their mirror images about the peak, up to {change:.2g} times"
    )
    observer(Warned("beam", text + ": the beam changed during the scan, and no monitor is used", bends=True))


def _mirrored_quarters(counts: Counts) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return, for each quarter about the peak, its counts a frame before it and those of its mirror image after."""
    z, y, x = np.unravel_index(int(counts.values.argmax()), counts.values.shape)
    n, rows, columns = counts.values.shape
    reach = [min(int(p), size - 1 - int(p)) for p, size in zip((z, y, x), (n, rows, columns), strict=True)]
    if min(reach) < 4:
        return []
    box = counts.values[
        z - reach[0] : z + reach[0] + 1, y - reach[1] : y + reach[1] + 1, x - reach[2] : x + reach[2] + 1
    ]
    pairs = []
    for up in (slice(0, reach[1]), slice(reach[1], None)):
        for left in (slice(0, reach[2]), slice(reach[2], None)):
            quarter = box[:, up, left].sum(axis=(1, 2), dtype=np.float64)
            mirror = box[:, ::-1, ::-1][:, up, left].sum(axis=(1, 2), dtype=np.float64)[::-1]
            pairs.append((quarter[: reach[0]][::-1], mirror[: reach[0]][::-1]))
    return pairs


def _fall(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the slope of ln(after / before) over the distance from the peak, and the farthest; None if not steady."""
    some = np.flatnonzero(np.minimum(before, after) >= 2 * LEAST_EXPECTED)
    if some.size < 6:
        return None
    distance, ratio = some + 1.0, np.log(after[some] / before[some])
    slope = float((ratio * distance).sum() / (distance**2).sum())
    rest = float(((ratio - slope * distance) ** 2).sum())
    steady = rest < (1 - STEADY) * float((ratio**2).sum())
    return (slope, float(distance.max())) if steady else (0.0, float(distance.max()))
