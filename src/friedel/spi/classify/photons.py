"""The selected frames as photons for Dragonfly, with the detector file that says which pixels count.

Photons and nothing else: detector units are converted by the measured gain and pedestal, or not written at all; marks,
masked and hot pixels hold none.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.machine.threads import in_threads
from friedel.core.observer import Note, Observer, Warned
from friedel.spi.frames.emc import SparseFrame, sparse, to_photons, write_emc
from friedel.spi.frames.files import FrameFiles
from friedel.spi.records import Beam
from friedel.spi.scores.frame_reader import read_chosen
from friedel.spi.scores.scored_run import FrameUnit, ScoredRun

Picked = list[tuple[int, NDArray[np.intp]]]
_SAMPLE = 64  # selected frames looked at, for hot pixels and for whether values are whole
_WHOLE = 1e-3  # distance from a whole number that rounding in float32 may leave
# A pixel is hot if the sum of all frames is so many times the median about it, and so many standard deviations more.
_HOTTER, _SIGMAS = 4.0, 8.0
# Pixels of a frame from which on SciPy is worth the 0.4 s that loading its filters takes; the medians are the same.
_LARGE = 1 << 20
_BAD = 2  # in Dragonfly's mask: 0 good, 1 good but not for orientations, 2 bad
_PHOTONS = FrameUnit()


def write_photon_files(
    folder: Path, run: ScoredRun, files: FrameFiles, *, adu_per_photon: float | None, observer: Observer
) -> dict[str, Path]:
    """Write ``selection.emc`` and its detector file; a pair for each shape of frame, as the format knows but one.

    Parameters
    ----------
    folder : Path
        Where.
    run : ScoredRun
        What was selected.
    files : FrameFiles
        How to read the frames.
    adu_per_photon : float or None
        Detector units a photon; None: what was measured.
    observer : Observer
        Hears how they were converted, or why they can't be.
    """
    shapes: dict[tuple[int, int], Picked] = {}
    for index, frames in run.chosen(run.selected):
        shapes.setdefault(run.files[index].shape[1:], []).append((index, frames))
    written: dict[str, Path] = {}
    for number, (shape, picked) in enumerate(shapes.items(), start=1):
        units = _units(run, files, picked, adu_per_photon, observer)
        if units is None:
            continue
        suffix = "" if number == 1 else f"_{number}"
        name = "photons" if number == 1 else f"photons {number}"
        written[name] = folder / f"selection{suffix}.emc"
        bad = _bad_pixels(run, files, picked, units)
        n_frames = sum(len(frames) for _, frames in picked)
        photons = _photons(run, files, picked, units, bad)
        write_emc(written[name], photons, n_frames=n_frames, n_pixels=shape[0] * shape[1])
        written[f"detector{name.removeprefix('photons')}"] = folder / f"selection{suffix}_detector.h5"
        write_detector_file(folder / f"selection{suffix}_detector.h5", bad, _centre(run, picked, shape), run.beam)
    return written


def _units(
    run: ScoredRun, files: FrameFiles, picked: Picked, given: float | None, observer: Observer
) -> dict[int, FrameUnit] | None:
    """Return the unit of each file's frames, or None if one can't be converted."""
    units: dict[int, FrameUnit] = {}
    for index, frames in picked:
        unit = run.files[index].unit
        if unit is None:
            unit = _PHOTONS if given or _holds_photons(run, files, index, frames) else None
        if given is not None:
            unit = FrameUnit(gain=given, pedestal=unit.pedestal if unit else 0.0, marks=unit.marks if unit else ())
        elif unit is not None and not unit.counted:
            if not unit.measured:
                unit = None
            else:
                text = f"detector units became photons by the measured {unit.gain:.4g} of them each"
                observer(Note("selection.emc", text + (f", above {unit.pedestal:.5g}" if unit.pedestal else "")))
        if unit is not None and unit.drifts:
            text = "not written: every frame has a pedestal of its own; take it off first"
            observer(Warned("selection.emc", text))
            return None
        if unit is None:
            text = "not written: the frames are not whole photons; say how many detector units a photon makes, with "
            observer(Warned("selection.emc", text + "--set emc.adu_per_photon=…"))
            return None
        units[index] = unit
    return units


def _converted(frame: NDArray[Any], good: NDArray[np.bool_] | None, unit: FrameUnit) -> NDArray[Any]:
    return to_photons(frame, good, adu_per_photon=unit.gain, pedestal=unit.pedestal, marks=unit.marks)


def _photons(
    run: ScoredRun, files: FrameFiles, picked: Picked, units: dict[int, FrameUnit], bad: NDArray[np.bool_]
) -> Iterator[SparseFrame]:
    good = None if not bad.any() else ~bad

    def photons(block: tuple[int, NDArray[np.intp], NDArray[Any]]) -> list[SparseFrame]:
        index, _, frames = block
        own = run.files[index].mask
        hiding = good if own is None or good is None else good & own
        return [sparse(_converted(frame, hiding, units[index])) for frame in frames]

    for block in in_threads(photons, read_chosen(run, files, picked)):
        yield from block


def _bad_pixels(run: ScoredRun, files: FrameFiles, picked: Picked, units: dict[int, FrameUnit]) -> NDArray[np.bool_]:
    """Return the pixels that no mask lets measure, or that are hot in the selected frames, ``(y, x)``."""
    shape = run.files[picked[0][0]].shape[1:]
    measured = np.zeros(shape, bool)
    for index, _ in picked:
        own = run.files[index].mask
        measured |= True if own is None else own
    first, frames = picked[0]
    total, n = np.zeros(shape, np.float64), 0
    for index, _, block in read_chosen(run, files, [(first, frames[:_SAMPLE])]):
        for frame in block:
            total += _converted(frame, run.files[index].mask, units[index])
            n += 1
    return ~measured | hot_pixels(total, measured) if n > 1 else ~measured


def hot_pixels(total: NDArray[np.float64], measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return pixels and lines that outshine what is around them in the sum of some frames, ``(y, x)``."""
    around = _median(total, (5, 5))
    lines = [np.median(np.where(measured, total, 0), axis=axis, keepdims=True) for axis in (0, 1)]
    near = np.maximum(around, 0)
    hot = total > _HOTTER * near + _SIGMAS * np.sqrt(near + 1) + _SIGMAS
    # A whole hot line is its own surroundings along itself: it must stand out from the lines beside it.
    for axis, line in ((1, lines[1]), (0, lines[0])):
        beside = _median(line, (13, 1) if axis == 1 else (1, 13))
        hot |= np.broadcast_to(line > _HOTTER * beside + _SIGMAS * np.sqrt(beside + 1) + 100, total.shape)
    return np.asarray(hot & measured)


def _median(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the medians of windows about each pixel, the image mirrored at its edges."""
    if values.size > _LARGE:
        from scipy.ndimage import median_filter

        return np.asarray(median_filter(values, size=size, mode="reflect"))
    padded = np.pad(values, [(length // 2, length // 2) for length in size], mode="symmetric")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, size), axis=(-2, -1)))


def _centre(run: ScoredRun, picked: Picked, shape: tuple[int, int]) -> tuple[float, float]:
    known = run.files[picked[0][0]].read.get("centre") or {}
    return float(known.get("y", shape[0] // 2)), float(known.get("x", shape[1] // 2))


def write_detector_file(
    path: Path, bad: NDArray[np.bool_], centre: tuple[float, float], beam: Beam | None = None
) -> None:
    """Write a detector for Dragonfly in its HDF5 format: q in pixels, on the Ewald sphere where that is known.

    A pixel (x, y) from the beam, of a detector D pixels away, measures q = D ((x, y, D)/√(x² + y² + D²) − (0, 0, 1)),
    and its solid angle is (D/√(x² + y² + D²))³ of one at the beam (Ayyer et al., J. Appl. Cryst. 49, 1320 (2016), eq. 3
    and its `corr`). The polarisation isn't known and not in it.

    Parameters
    ----------
    path : Path
        The file.
    bad : (y, x) bool
        Pixels that don't count: 2 in the file's mask. Beyond the largest whole circle they count, but don't orient.
    centre : (float, float)
        The beam's pixel (y, x).
    beam : Beam or None
        Distance and pixel size; None: far away, the sphere is flat.
    """
    y, x = np.indices(bad.shape, np.float64)
    y, x = y - centre[0], x - centre[1]
    reach = min(centre[0], centre[1], bad.shape[0] - 1 - centre[0], bad.shape[1] - 1 - centre[1])
    mask = np.where(bad, _BAD, np.where(np.hypot(y, x) > reach, 1, 0)).astype(np.uint8)
    far = 0.0 if beam is None else beam.distance_m / beam.pixel_size_m
    cosine = far / np.sqrt(y**2 + x**2 + far**2) if beam is not None else np.ones_like(x)
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        columns = {"qx": x * cosine, "qy": y * cosine, "qz": far * (cosine - 1), "corr": cosine**3}
        for name, values in columns.items():
            file[name] = values.ravel()
        file["mask"] = mask.ravel()
        file["detd"], file["ewald_rad"] = far, far
        file.attrs["frame_shape"] = bad.shape
        file.flush()
        image = file.id.get_file_image()
    path.write_bytes(image)  # assembled in memory: HDF5 can't bear a full disk


def _holds_photons(run: ScoredRun, files: FrameFiles, index: int, frames: NDArray[np.intp]) -> bool:
    """Say whether the frames are counts already: integers, or floats of which a sample is whole and not negative."""
    if np.dtype(run.files[index].dtype).kind in "iu":
        return True
    _, _, sample = next(read_chosen(run, files, [(index, frames[:_SAMPLE])]))
    measured = sample[np.isfinite(sample)]
    return bool((np.abs(measured - np.rint(measured)) < _WHOLE).all() and (measured > -_WHOLE).all())
