"""From a raw rocking scan to a clean, centred 3D pattern: the order of the steps. Each step has its own file."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.geometry.rocking import reciprocal_grid
from friedel.bcdi.prepare.aliens import mask_aliens
from friedel.bcdi.prepare.arrays import say_axes, unshifted
from friedel.bcdi.prepare.bad_pixels import mask_dead_pixels, mask_hot_pixels
from friedel.bcdi.prepare.corrections import apply_flat, bin_counts, mask_saturated, normalise_monitor, subtract_dark
from friedel.bcdi.prepare.counting.dead_time import without_dead_time
from friedel.bcdi.prepare.counting.filled_lines import without_filled_lines
from friedel.bcdi.prepare.counting.overflow import without_overflow
from friedel.bcdi.prepare.counting.wide_pixels import without_wide_pixels
from friedel.bcdi.prepare.counts import Counts, counts_from, require_signal
from friedel.bcdi.prepare.crop import MINIMUM, Triple, choose_shape, crop, find_peak, window_start
from friedel.bcdi.prepare.frames import repaired_frames
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.oversampling import note_oversampling
from friedel.bcdi.prepare.positions import Evened, evened, in_order
from friedel.bcdi.prepare.units import judged_unit, photons_from
from friedel.bcdi.records import BraggScan, Diffraction, OwnFrames
from friedel.core.errors import InputError
from friedel.core.observer import Observer, Recorder, Warned, silent, tee

DEFAULTS = PrepareOptions()
# A rocking curve, or a peak on the detector, that is still so high where it ends goes on beyond.
CUT_OFF = 0.5
# Lattice planes farther apart than 15 Å, or closer than 0.4 Å, hardly give a Bragg peak at 5–30 keV.
SPACINGS = (0.4, 15.0)


def prepare(scan: BraggScan, options: PrepareOptions = DEFAULTS, *, observer: Observer = silent) -> Diffraction:
    """Clean a scan and cut the box around its Bragg peak.

    Parameters
    ----------
    scan : BraggScan
        As read; it is not changed.
    options : PrepareOptions
        What to do.
    observer : Observer
        Hears one note a step, with numbers.

    Returns
    -------
    Diffraction
        float32 photons, the peak at index ``n // 2``; whatever isn't measured is False in ``mask``, never a zero.

    Raises
    ------
    InputError
        If nothing usable is left, or an option contradicts the data.
    """
    heard = Recorder()
    tell = tee(heard, observer)
    scan, order = in_order(scan, observer=tell)
    counts = clean_counts(scan, options, observer=tell)
    if scan.beam is None:
        say_axes(counts, name=scan.name, observer=tell)
        counts = unshifted(counts, scan.name, tell)
    infer_beam = options.lost_frames and not (options.monitor and scan.monitor is not None)
    even = evened(counts, scan, infer_beam=infer_beam, observer=tell)
    _watch_the_ends(even.counts, scan.name, tell)
    places = np.empty_like(even.places)
    places[order] = even.places
    found = around_peak(even.counts, even.scan, _with_places(options, places, scan.name), own=even, observer=tell)
    if found.grid is not None:
        _watch_the_spacing(found.grid.d_spacing_angstrom, scan.name, tell)
    return replace(found, origin=scan.origin.with_events(heard.events))


def _watch_the_ends(counts: Counts, name: str, observer: Observer) -> None:
    """Warn where the pattern is cut off: by the scan's first or last frame, or an edge of the detector."""
    ends = (("first frame", "last frame"), ("first row", "last row"), ("first column", "last column"))
    for axis, (first, last) in enumerate(ends):
        others = tuple(other for other in range(3) if other != axis)
        known = np.flatnonzero(counts.mask.any(axis=others))
        line = counts.values.sum(axis=others, dtype=np.float64)[known]
        for end, value in ((first, line[0]), (last, line[-1])):
            if value > CUT_OFF * line.max():
                text = f"{name}: the pattern is cut off at the {end}, which has {value / line.max():.0%} of the most"
                observer(Warned("peak", text, bends=True))


def _watch_the_spacing(spacing: float, name: str, observer: Observer) -> None:
    if not SPACINGS[0] < spacing < SPACINGS[1]:
        text = f"{name}: the lattice planes come out {spacing:.4g} Å apart, which hardly gives a Bragg peak: is"
        observer(Warned("geometry", text + " an angle in radians, or are the angles another scan's?", bends=True))


def _with_places(options: PrepareOptions, places: NDArray[np.float64], name: str) -> PrepareOptions:
    """Return the options with a stated centre as a frame number among the even ones."""
    if options.centre is None or not 0 <= options.centre[0] < places.size:
        return options
    place = places[options.centre[0]]
    if not np.isfinite(place):
        raise InputError(f"{name}: frame {options.centre[0]} of the stated centre has no known position")
    return options.model_copy(update={"centre": (round(float(place)), *options.centre[1:])})


def around_peak(
    counts: Counts,
    scan: BraggScan,
    options: PrepareOptions = DEFAULTS,
    *,
    own: Evened | None = None,
    observer: Observer = silent,
) -> Diffraction:
    """Return the box around the Bragg peak of a whole scan's clean counts: the second half of `prepare`.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``, from `clean_counts`; frames of a scan that goes on may still be unknown.
    scan : BraggScan
        The same scan; only its name and its geometry are looked at.
    own : Evened, optional
        What ``counts`` come from: with an uneven scan's own frames, which are kept beside them.
    options, observer
        As for `prepare`.
    """
    peak = find_peak(counts, options.centre, observer=observer)
    if options.aliens:
        counts = mask_aliens(counts, peak, ratio=options.alien_ratio, observer=observer)
    recorded = (counts.mask.shape[0], counts.mask.shape[1], counts.mask.shape[2])
    shape = options.shape or choose_shape(recorded, peak, bin_by=options.bin, pad_fraction=options.pad_fraction)
    start = window_start(peak, shape, options.bin)
    raw = (shape[0] * options.bin[0], shape[1] * options.bin[1], shape[2] * options.bin[2])
    frames = None if own is None or raw != shape else _own_frames(own, counts, start, shape)
    counts = bin_counts(crop(counts, start, raw, observer=observer), options.bin, observer=observer)
    require_signal(counts, scan.name)
    grid = _grid(scan, start, shape, options.bin)
    note_oversampling(counts, grid, observer=observer)
    return Diffraction(
        intensities=counts.values, mask=counts.mask, grid=grid, name=scan.name, unit=counts.unit, origin=scan.origin,
        frames=frames,
    )  # fmt: skip


def _own_frames(own: Evened, counts: Counts, start: Triple, shape: Triple) -> OwnFrames | None:
    """Return an uneven scan's own frames in the box, unknown where the even ones beside them have become so since."""
    if own.recorded is None:
        return None
    places = own.places - start[0]
    inside = np.flatnonzero((places >= 0) & (places <= shape[0] - 1))  # never so of NaN
    if inside.size < MINIMUM:
        return None
    since = own.counts.mask & ~counts.mask
    nearest = np.clip(np.round(own.places[inside]).astype(int), 0, len(since) - 1)
    recorded = own.recorded
    kept = replace(recorded, values=recorded.values[inside], mask=recorded.mask[inside] & ~since[nearest])
    kept = crop(kept, (0, *start[1:]), (inside.size, *shape[1:]))
    return OwnFrames(intensities=kept.values, mask=kept.mask, places=places[inside])


def clean_counts(scan: BraggScan, options: PrepareOptions = DEFAULTS, *, observer: Observer = silent) -> Counts:
    """Return the whole scan's counts after every correction that concerns single pixels and frames."""
    # A dark is in the raw values' unit, so nothing is made photons before it is off.
    if scan.dark is None:
        counts = photons_from(scan.frames, scan.mask, name=scan.name, observer=observer)
    else:
        counts = counts_from(scan.frames, scan.mask, name=scan.name, dark=scan.dark, observer=observer)
    counts = mask_saturated(counts, options.saturation, observer=observer)
    if scan.dark is not None:
        counts = judged_unit(subtract_dark(counts, scan.dark, observer=observer), name=scan.name, observer=observer)
    if options.counting:
        counts = without_overflow(counts, name=scan.name, observer=observer)
    if options.lost_frames:
        counts = repaired_frames(counts, name=scan.name, observer=observer)
    # Dead and hot are judged on raw counts, whose noise is known, before the flat field scales it.
    if options.dead_pixels:
        counts = mask_dead_pixels(counts, observer=observer)
        counts = without_filled_lines(counts, name=scan.name, observer=observer)
    if options.hot_pixels:
        counts = mask_hot_pixels(counts, observer=observer)
    if options.flat_field:
        counts = apply_flat(counts, scan.flat, floor=options.flat_floor, observer=observer)
    if options.counting:
        counts = without_wide_pixels(counts, name=scan.name, observer=observer)
        counts = without_dead_time(counts, name=scan.name, observer=observer)
    if options.monitor:
        counts = normalise_monitor(counts, scan.monitor, observer=observer)
    require_signal(counts, scan.name)
    return counts


def _grid(scan: BraggScan, start: Triple, shape: Triple, factors: Triple) -> ReciprocalGrid | None:
    if scan.beam is None or scan.detector is None or scan.diffractometer is None:
        return None
    middle = [first + b * (n // 2) + (b - 1) / 2 for first, n, b in zip(start, shape, factors, strict=True)]
    grid = reciprocal_grid(
        beam=scan.beam,
        detector=scan.detector,
        diffractometer=scan.diffractometer,
        motors_deg=scan.motors_deg,
        energies_ev=scan.energies_ev,
        centre=(middle[0], middle[1], middle[2]),
    )
    return grid.binned(factors)
