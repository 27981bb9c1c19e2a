"""A beamline's description and a scan's motor readings, made into beam, detector, circles and angles."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer
from friedel.bcdi.scans.beamline import Beamline, CircleOptions, Quantity
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.core.units import photon_energy_ev

TO_SI = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "eV": 1.0, "keV": 1e3}
# Share of the widest-moving motor's range below which another one stands still, its readings being encoder noise. A
# choice: larger, and a slow motor of a two-circle scan would be taken as fixed; smaller, and noise would be motion.
TREMBLE = 0.02
# Readings that differ by a full turn, to within a step of this size, are one place on the circle. A rocking scan spans
# a few degrees; a wrong reading (a 0 at 357°) isn't made a right one by more.
MOST_STEP_DEG = 1.0
# No hall is longer; centimetres taken for metres would be.
FARTHEST_M = 30.0
# Relative: a monochromator's readback varies by less than this at rest; an energy scan spans many times more.
ENERGY_TREMBLE = 1e-4
# Relative difference of a stated and a recorded value from which a word is said.
STATED_ALIKE = 0.01
# Of a hundred motors the first say what kind of names they have.
_MOST_NAMES = 40
Reading = float | NDArray[np.float64]
Look = Callable[[str, str], Reading | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Geometry:
    """The instrument and its angles in one scan, as `friedel.bcdi.records.BraggScan` wants them."""

    beam: Beam
    detector: Detector
    diffractometer: Diffractometer
    motors_deg: Mapping[str, Reading]
    energies_ev: NDArray[np.float64] | None = None
    readings: Mapping[str, float] = field(default_factory=dict)


def scan_geometry(
    beamline: Beamline,
    source: ScanSource,
    look: Look,
    placement: Placement,
    *,
    recorded: Collection[str] = (),
    pixel_size_m: tuple[float, float] | None = None,
    observer: Observer = silent,
) -> Geometry:
    """Combine a beamline with the readings of one scan.

    Parameters
    ----------
    beamline : Beamline
        The description.
    source : ScanSource
        Its ``energy_ev``, ``distance_m`` and ``direct_beam_yx`` go before what the files say.
    look : callable
        Returns a motor's reading (number, or one per frame) by name, in the unit asked for where the file says which it
        has; None if the file doesn't know it.
    placement : Placement
        Which pixels the frames are.
    pixel_size_m : (float, float), optional
        From `friedel.bcdi.scans.pixels.pixel_size`; None: what the source states, else the description's.
    recorded : collection of str
        Names of the readings there are, for the error that a missing one makes.

    Raises
    ------
    InputError
        If an angle, the energy or the distance is neither recorded nor stated, or can't be true; or if a reading that
        the source asks to keep isn't recorded.
    """
    circles = (*beamline.sample_circles, *beamline.detector_circles)
    motors = _still({circle.motor: _angle(circle, look, beamline.name, recorded) for circle in circles})
    energy, energies = _energy(beamline, source, look, observer)
    distance = source.distance_m or _mean(
        _quantity(beamline.detector.distance, look, "detector distance", "distance_m")
    )
    if not 0.01 < distance < FARTHEST_M:
        raise _untrue(f"detector distance {distance:g} m", beamline.name, "distance_m")
    origin = _where_from(source.distance_m, beamline.detector.distance, look, "distance_m")
    _watch_stated(distance, source.distance_m, beamline.detector.distance, look, "distance_m", observer)
    observer(Note("distance", f"{distance:.6g} m, {origin}", {"distance_m": distance}))
    shift = [_shift(quantity, look) for quantity in _shifts(beamline)]
    detector = Detector(
        pixel_size_m=pixel_size_m or source.pixel_size_m or beamline.detector.pixel_size_m,
        distance_m=distance,
        y_axis=beamline.detector.y_axis,
        x_axis=beamline.detector.x_axis,
        direct_beam_yx=_direct_beam(beamline, source, placement, observer),
        shift_m=(shift[0], shift[1], shift[2]),
    )
    observer(Note("geometry", f"{beamline.name}: {energy:.6g} eV, detector at {distance:.6g} m", _figures(motors)))
    return Geometry(
        beam=Beam(photon_energy_ev=energy),
        detector=detector,
        diffractometer=_diffractometer(beamline),
        motors_deg=motors,
        energies_ev=energies,
        readings={name: _kept(name, look, recorded) for name in source.record},
    )


def _kept(name: str, look: Look, recorded: Collection[str]) -> float:
    """Return a reading that was asked for; of one per frame the mean."""
    reading = look(name, "")
    if reading is None or not np.isfinite(reading).any():
        raise InputError(f"the scan doesn't record {name!r}; it records {_names(recorded)}. Change the option 'record'")
    return float(np.nanmean(reading))


def _energy(
    beamline: Beamline, source: ScanSource, look: Look, observer: Observer
) -> tuple[float, NDArray[np.float64] | None]:
    """Return the photon energy, eV, and that of every frame where it is scanned."""
    reading = source.energy_ev or _quantity(beamline.energy, look, "photon energy", "energy_ev")
    energies = np.atleast_1d(np.asarray(reading, dtype=np.float64))
    known = energies[np.isfinite(energies)]
    energy = float(np.median(known)) if known.size else float("nan")
    if not 1e3 < energy < 2e5:
        raise _untrue(f"photon energy {energy:g} eV", beamline.name, "energy_ev")
    origin = _where_from(source.energy_ev, beamline.energy, look, "energy_ev")
    _watch_stated(energy, source.energy_ev, beamline.energy, look, "energy_ev", observer)
    scanned = energies.size > 1 and _spread(energies) > ENERGY_TREMBLE * energy
    what = f"{known.min():.6g} to {known.max():.6g} eV, scanned" if scanned else f"{energy:.6g} eV"
    observer(Note("energy", f"{what}, {origin}", {"energy_ev": energy}))
    return energy, energies if scanned else None


def _where_from(stated: float | None, quantity: Quantity | None, look: Look, option: str) -> str:
    if stated is not None:
        return f"stated with {option!r}"
    if quantity is not None and quantity.motor is not None and look(quantity.motor, quantity.unit) is not None:
        return f"recorded as {quantity.motor!r}"
    return "from the beamline's description: the scan doesn't record it"


def _watch_stated(
    used: float, stated: float | None, quantity: Quantity | None, look: Look, option: str, observer: Observer
) -> None:
    """Warn where a stated value isn't the recorded one."""
    if stated is None or quantity is None or quantity.motor is None or look(quantity.motor, quantity.unit) is None:
        return
    recorded = _mean(_quantity(quantity, look, option, option))
    if np.isfinite(recorded) and abs(recorded - used) > STATED_ALIKE * used:
        text = f"{used:.6g} is stated with {option!r} and used, but {recorded:.6g} is recorded as {quantity.motor!r}"
        observer(Warned("geometry", text))


def _shifts(beamline: Beamline) -> tuple[Quantity | None, Quantity | None, Quantity | None]:
    return beamline.detector.shift_x, beamline.detector.shift_y, beamline.detector.shift_z


def _shift(quantity: Quantity | None, look: Look) -> float:
    return 0.0 if quantity is None else _mean(_quantity(quantity, look, "detector's shift", "beamline"))


def _untrue(what: str, beamline: str, option: str) -> InputError:
    return InputError(f"{what} can't be true; check its unit in beamline {beamline!r}, or state {option!r}")


def _diffractometer(beamline: Beamline) -> Diffractometer:
    return Diffractometer(
        sample_circles=tuple(Circle(circle.motor, circle.axis) for circle in beamline.sample_circles),
        detector_circles=tuple(Circle(circle.motor, circle.axis) for circle in beamline.detector_circles),
    )


def _angle(circle: CircleOptions, look: Look, beamline: str, recorded: Collection[str]) -> Reading:
    readings = [reading for name in (circle.motor, *circle.names) if (reading := look(name, "deg")) is not None]
    # The scanned motor is a column under one name, and its start position under another: the column counts.
    reading = next((r for r in readings if np.ndim(r) > 0), readings[0] if readings else circle.fixed_deg)
    if reading is None:
        raise InputError(
            f"the scan doesn't record motor {circle.motor!r} of beamline {beamline!r}; it records {_names(recorded)}. "
            "Give it 'fixed_deg' or other 'names' in the beamline's YAML"
        )
    return circle.sign * _unbroken(reading) + circle.offset_deg


def _names(recorded: Collection[str]) -> str:
    names = sorted(recorded, key=str.lower)
    return (", ".join(names[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")) or "none"


def _unbroken(reading: Reading) -> Reading:
    """Return a circle's readings without the jump that they make where the circle passes 0° or ±180°."""
    if np.ndim(reading) == 0:
        return reading
    values = np.array(reading, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    steps = np.diff(values[known])
    turns = np.where(np.abs(np.abs(steps) - 360.0) < MOST_STEP_DEG, -np.sign(steps), 0.0)
    values[known[1:]] += 360.0 * np.cumsum(turns)
    return values


def _still(motors: Mapping[str, Reading]) -> dict[str, Reading]:
    """Replace readings that vary only by encoder noise by their median: encoders of resting motors are recorded too."""
    widest = max((_spread(angle) for angle in motors.values()), default=0.0)
    return {
        name: _mean(angle) if np.ndim(angle) == 0 or _spread(angle) <= TREMBLE * widest else angle
        for name, angle in motors.items()
    }


def _spread(angle: Reading) -> float:
    """Return the range of a motor's positions, single wrong ones left out."""
    values = np.atleast_1d(np.asarray(angle, dtype=np.float64))
    known = values[np.isfinite(values)]
    return float(np.ptp(np.percentile(known, (3, 97)))) if known.size else 0.0


def _mean(reading: Reading) -> float:
    values = np.atleast_1d(np.asarray(reading, dtype=np.float64))
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _quantity(quantity: Quantity | None, look: Look, what: str, option: str) -> Reading:
    reading = look(quantity.motor, quantity.unit) if quantity is not None and quantity.motor is not None else None
    value = reading if reading is not None else (quantity.value if quantity is not None else None)
    if value is None or quantity is None:
        raise InputError(f"the {what} is not recorded with the scan; state it with the option {option!r}")
    if quantity.unit == "angstrom":
        return photon_energy_ev(1.0) / (np.asarray(value, dtype=np.float64) * quantity.scale)
    return value * quantity.scale * TO_SI[quantity.unit]


def _direct_beam(
    beamline: Beamline, source: ScanSource, placement: Placement, observer: Observer
) -> tuple[float, float]:
    stated = source.direct_beam_yx or beamline.detector.direct_beam_yx
    if stated is None and not beamline.detector_circles:
        raise InputError(
            f"beamline {beamline.name!r} has a detector without circles, so only the direct beam's pixel says where it "
            "looks; state 'direct_beam_yx' with the scan"
        )
    if stated is None:
        text = "direct-beam pixel not stated: the detector's angles are taken to point at the centre of the frames"
        observer(Note("direct beam", text))
        return placement.middle_of_recorded
    origin = "stated with 'direct_beam_yx'" if source.direct_beam_yx else "from the beamline's description"
    observer(Note("direct beam", f"pixel {stated[0]:.6g}, {stated[1]:.6g} of the full chip, {origin}"))
    y0, _, x0, _ = placement.on_chip
    return stated[0] - y0, stated[1] - x0


def _figures(motors: Mapping[str, Reading]) -> dict[str, float]:
    return {f"{name}_deg": _mean(angle) for name, angle in motors.items()}
