"""A rocking scan that grows: raw frames with their motor readings, and the pattern that those so far make.

A frame not yet measured is unknown, never dark. The counts are cleaned and cut out by the functions of
`friedel.bcdi.prepare`, as for a finished scan; once every frame has come, `GrowingScan.scan` is that finished scan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import around_peak, clean_counts
from friedel.bcdi.records import BraggScan, Diffraction
from friedel.bcdi.scans.angles import Geometry, Look, Reading, scan_geometry
from friedel.bcdi.scans.beamline import Beamline, SpecTiffLayout, load_beamline
from friedel.bcdi.scans.detector_images import Recorded, read_detector_images
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.placement import Placement
from friedel.stream.sources.events import Begun

# Frames; the array then doubles when it is full. Not at once what is planned: detectors are armed for 100,000 triggers.
_FIRST_ROOM = 64
FARTHEST = 10_000
"""Frames beyond the room there is, where nobody said how long the scan is: further on no number is a frame of it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ScanSetting:
    """What is known of a rocking scan before its first frame.

    Attributes
    ----------
    mask : (y, x) bool
        True where the detector measures; its shape is the frames'.
    n_frames : int or None
        Frames that the scan is planned to have; None if unknown.
    readings : mapping of str to float
        Motors as they stood at the start; a frame's own reading goes before.
    geometry : callable or None
        Makes instrument and angles of the readings, as `friedel.bcdi.scans.angles.scan_geometry` does; None: unknown.
    monitor : str or None
        Reading that counts the incident intensity.
    dark, flat : (y, x) float32 or None
        As in `BraggScan`.
    name : str
        The scan's name.
    """

    mask: NDArray[np.bool_]
    n_frames: int | None = None
    readings: Mapping[str, float] = field(default_factory=dict)
    geometry: Callable[[Look], Geometry] | None = None
    monitor: str | None = None
    dark: NDArray[np.float32] | None = None
    flat: NDArray[np.float32] | None = None
    name: str = "live scan"

    def __post_init__(self) -> None:
        if self.n_frames is not None and self.n_frames < 1:
            raise InputError(f"{self.name}: a scan of {self.n_frames} frames can't grow; give None if it isn't known")


class GrowingScan:
    """The frames of one rocking scan as they come, in any order.

    Parameters
    ----------
    setting : ScanSetting
        What is known beforehand.
    """

    def __init__(self, setting: ScanSetting) -> None:
        self.setting = setting
        self._frames: NDArray[Any] = np.zeros((0, *setting.mask.shape), np.uint8)
        self._readings: dict[int, Mapping[str, float]] = {}

    @property
    def n_measured(self) -> int:
        """Frames that have come."""
        return len(self._readings)

    @property
    def n_frames(self) -> int:
        """Frames planned, or up to the last that has come if that isn't known."""
        return max(max(list(self._readings), default=-1) + 1, self.setting.n_frames or 0)

    @property
    def complete(self) -> bool:
        """Whether every planned frame has come; never true if their number isn't known."""
        return self.setting.n_frames is not None and self.n_measured >= self.n_frames

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which of the frames have come, ``(n_frames,)``."""
        known = np.zeros(self.n_frames, bool)
        known[list(self._readings)] = True
        return known

    def add(self, index: int, frame: NDArray[Any], *, readings: Mapping[str, float] | None = None) -> bool:
        """Take a frame; return whether it is new (one that comes again is left as it was first).

        Parameters
        ----------
        index : int
            Its place in the scan, from 0.
        frame : (y, x), any real dtype
            As the detector gave it.
        readings : mapping of str to float, optional
            Motors and counters of this frame, by name.

        Raises
        ------
        InputError
            If the frame isn't of the detector's shape, or its index is negative or beyond the planned scan.
        """
        self._check(index, frame)
        if index in self._readings:
            return False
        self._make_room(index, frame.dtype)
        self._frames[index] = frame
        self._readings[index] = dict(readings or {})
        return True

    def frame(self, index: int) -> tuple[NDArray[Any], Mapping[str, float]]:
        """Return a frame that has come, and its readings."""
        return self._frames[index], self._readings[index]

    def scan(self) -> BraggScan:
        """Return the scan as one record; frames that never came are NaN, in float32.

        A complete scan keeps the frames' own dtype: it is what a reader of its files would give.
        """
        known = self.measured
        frames = self._stored(known.size)
        return self._record(frames if known.all() else _with_unknown(frames, known), self._monitors(known))

    def counts(self, options: PrepareOptions) -> Counts:
        """Return the clean counts of the frames so far, ``(n_frames, y, x)``; those not yet measured are unknown.

        Raises
        ------
        InputError
            If nothing usable has been measured.
        """
        known, monitor = self.measured, self._monitors(self.measured)
        frames = self._stored(known.size)
        some = self._record(frames[known], None if monitor is None else monitor[known], with_geometry=False)
        clean = clean_counts(some, options)
        values, mask = np.zeros(frames.shape, np.float32), np.zeros(frames.shape, bool)
        values[known], mask[known] = clean.values, clean.mask
        return Counts(values, mask)

    def pattern(self, options: PrepareOptions, *, counts: Counts | None = None) -> Diffraction:
        """Return the clean pattern of the frames so far; those not yet measured are unknown.

        Parameters
        ----------
        options : PrepareOptions
            As for `friedel.bcdi.prepare.prepare.prepare`. Other crystals are not looked for: a peak's missing mirror
            image may only not have been measured yet.
        counts : Counts, optional
            From `counts`, if they have been made already.

        Raises
        ------
        InputError
            If nothing usable has been measured.
        """
        clean = self.counts(options) if counts is None else counts
        without = options.model_copy(update={"aliens": False})
        return around_peak(clean, self._record(clean.values, None), without)

    def _check(self, index: int, frame: NDArray[Any]) -> None:
        name, planned = self.setting.name, self.setting.n_frames
        if frame.shape != self.setting.mask.shape:
            raise InputError(f"{name}: frame {index} has shape {frame.shape}, the scan's are {self.setting.mask.shape}")
        if planned is None and index > self._frames.shape[0] + FARTHEST:
            raise InputError(f"{name}: frame {index} lies too far beyond the others; is it another scan?")
        if index < 0 or (planned is not None and index >= planned):
            raise InputError(f"{name}: frame {index} doesn't belong to a scan of {planned} frames; is it another scan?")

    def _make_room(self, index: int, dtype: np.dtype[Any]) -> None:
        held = self._frames.shape[0]
        kind = np.promote_types(self._frames.dtype, dtype) if held else dtype
        if index < held and kind == self._frames.dtype:
            return
        wanted = max(2 * held, _FIRST_ROOM)
        room = held if index < held else max(min(wanted, self.setting.n_frames or wanted), index + 1)
        grown = np.zeros((room, *self.setting.mask.shape), kind)
        grown[:held] = self._frames
        self._frames = grown

    def _stored(self, n: int) -> NDArray[Any]:
        if n > self._frames.shape[0]:
            self._make_room(n - 1, self._frames.dtype)
        return self._frames[:n]

    def _record(
        self, frames: NDArray[Any], monitor: NDArray[np.float64] | None, *, with_geometry: bool = True
    ) -> BraggScan:
        setting = self.setting
        found = setting.geometry(self._look) if setting.geometry is not None and with_geometry else None
        return BraggScan(
            frames=frames,
            mask=setting.mask,
            beam=None if found is None else found.beam,
            detector=None if found is None else found.detector,
            diffractometer=None if found is None else found.diffractometer,
            motors_deg={} if found is None else found.motors_deg,
            energies_ev=None if found is None else found.energies_ev,
            dark=setting.dark,
            flat=setting.flat,
            monitor=monitor,
            name=setting.name,
        )

    def _look(self, name: str, _unit: str) -> Reading | None:
        """Return a motor's reading: one a frame if it moves, continued evenly to the frames that haven't come."""
        column = self._column(name)
        if column is None:
            return self.setting.readings.get(name)
        filled = _continued(column)
        return filled if np.ptp(filled) > 0 else float(filled[0])

    def _monitors(self, known: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        column = None if self.setting.monitor is None else self._column(self.setting.monitor)
        return column if column is not None and np.isfinite(column[known]).all() else None

    def _column(self, name: str) -> NDArray[np.float64] | None:
        having = [index for index, readings in self._readings.items() if name in readings]
        if not having:
            return None
        column = np.full(self.n_frames, np.nan)
        column[having] = [self._readings[index][name] for index in having]
        return column


def _continued(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill the gaps of a motor's positions: in between by interpolation, beyond the ends by the mean step."""
    known = np.flatnonzero(np.isfinite(column))
    if known.size == 1:
        return np.full(column.size, column[known[0]])
    places, first, last = np.arange(column.size), known[0], known[-1]
    filled = np.interp(places, known, column[known])
    step = (column[last] - column[first]) / (last - first)
    filled[:first] += step * (places[:first] - first)
    filled[last + 1 :] += step * (places[last + 1 :] - last)
    return filled


def _with_unknown(frames: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    marked = frames.astype(np.float32)
    if frames.dtype.kind == "u":  # in whole numbers the type's maximum marks an unknown pixel; in fractions NaN does
        marked[frames == np.iinfo(frames.dtype).max] = np.nan
    marked[~known] = np.nan
    return marked


@dataclass(frozen=True)
class BeamlineGeometry:
    """Makes instrument and angles of readings; a record rather than a function, so that processes can exchange it."""

    beamline: Beamline
    source: ScanSource
    placement: Placement

    def __call__(self, look: Look) -> Geometry:
        """Return the geometry for the readings that ``look`` finds by name."""
        return scan_geometry(self.beamline, self.source, look, self.placement)


def numbers_in(meta: Mapping[str, Any]) -> dict[str, float]:
    """Return the plain numbers in what a source sends, by name; those in mappings inside it go by their own names."""
    found: dict[str, float] = {}
    for name, value in meta.items():
        if isinstance(value, Mapping):
            found |= numbers_in(value)
        elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
            found[str(name)] = float(value)
    return found


def setting_for(begun: Begun, shape: tuple[int, int], described: ScanSource | None) -> ScanSetting:
    """Return the setting of a scan.

    Parameters
    ----------
    begun : Begun
        The series.
    shape : (int, int)
        ``(y, x)`` of its frames.
    described : ScanSource or None
        The plan's ``scan`` section; without one, or without a beamline in it, the geometry is unknown.

    Raises
    ------
    InputError
        If the beamline, the dark or the flat can't be read, or they don't fit the frames.
    """
    mask = np.ones(shape, bool) if begun.mask is None else begun.mask
    name = Path(begun.series).name or begun.series
    plain = ScanSetting(mask=mask, n_frames=begun.expected, readings=numbers_in(begun.meta), name=name)
    if described is None or described.beamline is None:
        return plain
    beamline = load_beamline(described.beamline)
    placement = Placement(recorded_yx=shape, region=described.region)
    # No frame has come by which a mask's sense could be checked.
    nothing = Recorded(frames=np.broadcast_to(np.uint8(0), (begun.expected or 1, *shape)))
    images = read_detector_images(described, nothing, placement, dark_is=beamline.dark_is)
    layout = beamline.layout
    return ScanSetting(
        mask=mask & images.mask,
        n_frames=plain.n_frames,
        readings=plain.readings,
        geometry=BeamlineGeometry(beamline, described, placement),
        monitor=layout.monitor if isinstance(layout, SpecTiffLayout) else None,
        dark=images.dark,
        flat=images.flat,
        name=plain.name,
    )
