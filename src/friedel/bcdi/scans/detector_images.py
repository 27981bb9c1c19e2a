"""Dark, flat and mask images of a detector, cut to the region that the frames show; masks beside the data, too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.angles import Geometry
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.arrays import HDF5_SUFFIXES, masks_in, read_array, suffix_of
from friedel.core.files.masks import marks_good, measured_from
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, Warned, listed, silent

BESIDE = " beside the data"
# Names of counters of the incident beam, in small letters.
MONITORS = (
    "mon", "monitor", "mon0", "mon1", "mon2", "imonitor", "i0", "izero", "ic0", "ic1", "ionchamber", "srcur",
    "curpetra",
)  # fmt: skip
# Share by which the beam's counter must change along a scan to be warned of: the rocking curve is scaled by as much,
# which exceeds the Poisson noise of any frame with more than 100 photons.
STEADY_CHANGE = 0.1
# Share of lost frames above which the result isn't trusted: phasing must then supply a quarter of the pattern.
MOST_LOST = 0.25


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectorImages:
    """What is known of the pixels beforehand, in the frames' region ``(y, x)``.

    ``mask`` is True where the pixel measures; ``unknown`` is a whole-volume mask, True where a voxel is not measured.
    """

    mask: NDArray[np.bool_]
    unknown: NDArray[np.bool_] | None = None
    dark: NDArray[np.float32] | None = None
    flat: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Recorded:
    """Frames as they were read, and what their file says of them.

    Attributes
    ----------
    frames : (n, y, x), any real dtype
        The window that was read.
    lost : (n, y, x) bool or None
        Voxels that were never written.
    masks : mapping of str to array
        Masks beside the data, by name, of the frames as recorded, ``(y, x)`` or ``(n, y, x)``.
    bits : bool
        Whether whole numbers in these are CXI's bits.
    """

    frames: NDArray[Any]
    lost: NDArray[np.bool_] | None = None
    masks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    bits: bool = False


def read_detector_images(
    source: ScanSource,
    recorded: Recorded,
    placement: Placement,
    *,
    dark_is: Literal["bad_pixels", "offset"] = "offset",
    observer: Observer = silent,
) -> DetectorImages:
    """Read the dark, flat and masks of a source and cut them to the frames.

    Parameters
    ----------
    source : ScanSource
        Paths, and options that go before the other arguments.
    recorded : Recorded
        The frames, by which a mask's sense is checked, and the masks beside them.
    placement : Placement
        Which pixels the frames are.
    dark_is : {"bad_pixels", "offset"}
        The beamline's meaning of a dark image.

    Raises
    ------
    InputError
        If an image can't be read, doesn't cover the region, or leaves doubt about its sense.
    """
    images = {name: _image(getattr(source, name)) for name in ("dark", "flat") if getattr(source, name) is not None}
    cut = {
        name: _cut(image, placement, getattr(source, name), name, observer).astype(np.float32)
        for name, image in images.items()
    }
    good, unknown = _masks(source, recorded, placement, observer)
    dark = cut.get("dark")
    if dark is not None and (source.dark_is or dark_is) == "bad_pixels":
        good = good & (dark == 0)
        text = f"{int((dark != 0).sum())} pixels that the dark image marks as hot are unknown; nothing is subtracted"
        observer(Note("dark", text, {"pixels": float((dark != 0).sum())}))
        dark = None
    if recorded.lost is not None and recorded.lost.any():
        unknown = recorded.lost if unknown is None else unknown | recorded.lost
    return DetectorImages(mask=good, unknown=unknown, dark=dark, flat=cut.get("flat"))


def _masks(
    source: ScanSource, recorded: Recorded, placement: Placement, observer: Observer
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return where the pixels measure, and which voxels don't (None: all those do)."""
    good, unknown = np.ones(placement.shape, bool), None
    given: list[tuple[str, NDArray[Any], bool]] = []
    if source.mask is not None:
        name = f"{source.mask.name}" + (f" {source.mask_dataset}" if source.mask_dataset else "")
        given.append((name, _mask_file(source), suffix_of(source.mask) == ".cxi"))
    elif source.mask_dataset is not None and source.mask_dataset not in recorded.masks:
        raise InputError(f"{source.path}: 'mask_dataset' names {source.mask_dataset!r}, which isn't in the data's file")
    if source.mask_beside or source.mask_dataset is not None:
        given += [(f"{name}{BESIDE}", values, recorded.bits) for name, values in recorded.masks.items()]
    if not given:
        observer(Note("mask", "none given, and none lies beside the data"))
    for name, values, bits in given:
        measured = measured_from(
            _window(values, recorded, placement, source, observer),
            recorded.frames,
            marks=source.mask_marks or ("good" if marks_good(name.removesuffix(BESIDE)) else None),
            bits=bits,
            name=name,
            observer=observer,
        )
        if measured.ndim == 2:
            good = good & measured
        else:
            unknown = ~measured if unknown is None else unknown | ~measured
    return good, unknown


def _mask_file(source: ScanSource) -> NDArray[Any]:
    assert source.mask is not None
    if source.mask_dataset is None and suffix_of(source.mask) in (*HDF5_SUFFIXES, ".npz", ".mat"):
        named = masks_in(source.mask)
        if len(named) == 1:
            return next(iter(named.values()))
    return read_array(source.mask, dataset=source.mask_dataset, ndim=(2, 3))


def _window(
    values: NDArray[Any], recorded: Recorded, placement: Placement, source: ScanSource, observer: Observer
) -> NDArray[Any]:
    """Return a mask cut to the frames that were read."""
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 2:
        return _cut(values, placement, source.mask or source.path, "mask", observer)
    volume = (len(recorded.frames), *placement.recorded_yx)
    if values.shape != volume:
        raise InputError(f"{source.mask or source.path}: 3D mask of shape {values.shape}, but the volume is {volume}")
    y0, y1, x0, x1 = placement.window_in_frames
    return values[:, y0:y1, x0:x1]


def scan_of(
    recorded: Recorded, images: DetectorImages, geometry: Geometry, *, monitor: NDArray[Any] | None, name: str
) -> BraggScan:
    """Return the scan that a reader has put together.

    Parameters
    ----------
    recorded : Recorded
        Its frames.
    images : DetectorImages
        What is known of the pixels.
    geometry : Geometry
        The instrument and its angles.
    monitor : (n,) array or None
        Incident intensity per frame, from `fitting_monitor`.
    name : str
        Where it comes from.
    """
    return BraggScan(
        frames=with_unknown(recorded.frames, images.unknown),
        mask=images.mask,
        beam=geometry.beam,
        detector=geometry.detector,
        diffractometer=geometry.diffractometer,
        motors_deg=geometry.motors_deg,
        energies_ev=geometry.energies_ev,
        readings=geometry.readings,
        dark=images.dark,
        flat=images.flat,
        monitor=monitor,
        name=name,
    )


def with_unknown(frames: NDArray[Any], unknown: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the frames with NaN at unknown voxels (then float32); the same array if there are none."""
    if unknown is None or not unknown.any():
        return frames
    marked = frames.astype(np.float32)
    marked[unknown] = np.nan
    return marked


def say_frames(
    n_expected: int,
    lost: NDArray[np.bool_] | None,
    observer: Observer,
    *,
    name: str,
    missing: tuple[str, ...] = (),
    dtype: str = "",
) -> None:
    """Say how many frames there are, and which were never written, whole or in part.

    Parameters
    ----------
    n_expected : int
        Frames that there should be.
    lost : (n, y, x) bool or None
        True where nothing was ever written; None: all was.
    observer : Observer
        Told.
    name : str
        Origin of the data, for messages.
    missing : tuple of str
        Files that aren't there.
    dtype : str
        Of the frames, for the message.

    Raises
    ------
    InputError
        If none was.
    """
    empty = np.zeros(n_expected, bool) if lost is None else lost.all(axis=(1, 2))
    parts = np.zeros(n_expected, bool) if lost is None else lost.any(axis=(1, 2)) & ~empty
    there = n_expected - int(empty.sum())
    observer(Note("frames", f"{name}: {n_expected} expected, {there} there, {dtype}", {"frames": float(there)}))
    if there == 0:
        raise InputError(f"{name}: none of its {n_expected} frames was ever written")
    gone = f"; missing: {', '.join(missing[:5])}" if missing else ""
    if missing and not empty.any():
        text = f"{name}: files that its data link to aren't there{gone}: the frames in them, after the last of these"
        observer(Warned("lost frames", text + f" {n_expected}, are lost", bends=True))
    if empty.any():
        text = f"{name}: frames {listed(np.flatnonzero(empty))} were never written: unknown, not dark{gone}"
        observer(Warned("lost frames", text, bends=bool(empty.sum() > MOST_LOST * n_expected)))
    if parts.any():
        text = f"{name}: parts of frames {listed(np.flatnonzero(parts))} were never written: unknown, not dark{gone}"
        observer(Warned("lost frames", text))


def fitting_monitor(
    name: str | None, values: Any, n_frames: int, observer: Observer, *, n_recorded: int = 0
) -> NDArray[np.float64] | None:
    """Return the monitor that the beamline's description names, a reading a frame; None, and a warning, without one.

    Parameters
    ----------
    name : str or None
        As the description has it; None: it names none, and nothing is said.
    values : float, (n,) array or None
        What the files hold under that name; longer ones than the scan are cut.
    n_frames : int
        Frames of the scan.
    observer : Observer
        Told if there is no such counter, or too short a one.
    n_recorded : int
        Readings of a counter that isn't used for their number.
    """
    if name is None:
        return None
    readings = None if values is None else np.asarray(values, np.float64)
    if readings is not None and readings.ndim == 0:
        readings = np.full(n_frames, float(readings))
    if readings is not None and readings.size >= n_frames:
        return readings[:n_frames]
    n = n_recorded if readings is None else readings.size
    what = f"has {n} readings for {n_frames} frames" if n else "isn't in the files"
    observer(Warned("beam", f"the monitor {name!r} {what}: the frames are not brought to one beam by it"))
    return None


def is_monitor(name: str) -> bool:
    """Tell whether a counter's name is one of the incident beam's; NanoMAX's electrometers have several channels."""
    word = name.partition("/")[0].lower()
    return word in MONITORS or word.startswith("alba")


def watch_monitors(columns: Mapping[str, Any], observer: Observer) -> None:
    """Warn where a counter of the incident beam, which the beamline's description doesn't use, changes steadily.

    Parameters
    ----------
    columns : mapping of str to (n,) float64
        The scan's counters.
    """
    for name, values in columns.items():
        known = np.asarray(values, dtype=np.float64)
        known = known[np.isfinite(known) & (known > 0)] if known.ndim == 1 else known[:0]
        if not is_monitor(name) or known.size < 8:
            continue
        numbers = np.arange(known.size)
        slope, start = np.polyfit(numbers, known, 1)
        change = abs(slope) * (known.size - 1) / max(start, start + slope * (known.size - 1))
        scatter = float(np.std(known - start - slope * numbers))
        if change > STEADY_CHANGE and scatter < 0.5 * abs(slope) * known.size:
            text = f"counter {name!r} changes by {change:.0%} over the scan, and the beamline's description uses no "
            text += f"monitor: if it sees the incident beam, set 'monitor' to {name!r}"
            observer(Warned("beam", text, bends=True))


def _image(path: Path) -> NDArray[Any]:
    image = read_array(path, ndim=2)
    if not np.isfinite(image).all():
        raise InputError(f"{path}: holds NaN or inf; a dark or flat image must be finite everywhere")
    return image


def _cut(image: NDArray[Any], placement: Placement, path: Path | None, kind: str, observer: Observer) -> NDArray[Any]:
    cut = placement.cut(image)
    y0, y1, x0, x1 = placement.on_chip
    if cut is None:
        raise InputError(
            f"{path}: the {kind} image {image.shape} has no region rows {y0}:{y1}, columns {x0}:{x1} of the frames' "
            f"shape {placement.shape}; state the option 'region' as (y0, y1, x0, x1) of the full chip"
        )
    if image.shape not in (placement.shape, placement.recorded_yx):
        origin = "as recorded or stated" if placement.region else "assumed: the files don't say"
        text = f"{kind}: the frames are rows {y0}:{y1}, columns {x0}:{x1} of {image.shape} ({origin})"
        observer(Note("region", text))
    return cut
