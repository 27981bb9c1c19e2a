"""What a file records of beam and detector beside its frames, where it isn't what the scan is read with.

Detectors write settings of their own (an EIGER's master file does); a beamline's description is right only while nobody
moves the detector. Neither is preferred silently.
"""

import h5py
import numpy as np

from friedel.bcdi.scans.angles import FARTHEST_M, Geometry
from friedel.bcdi.scans.source import ScanSource
from friedel.core.files.frame_stack import FrameStack
from friedel.core.files.hdf5 import unit_of
from friedel.core.observer import Observer, Warned
from friedel.core.units import CHARGE_C, in_unit, photon_energy_ev

# Relative. An EIGER's energy is set for its threshold, often to a round number; a distance is measured to millimetres.
SAME_ENERGY, SAME_DISTANCE = 0.01, 0.02
_ENERGIES = (
    "detectorSpecific/photon_energy", "photon_energy", "beam/incident_energy", "beam_1/incident_energy",
    "monochromator/energy", "source_1/energy",
)  # fmt: skip
_WAVELENGTHS = ("beam/incident_wavelength", "beam_1/incident_wavelength", "monochromator/wavelength")
_DISTANCES = ("detector_distance", "distance", "detectorSpecific/detector_distance")
_SIZES = (("y_pixels_in_detector", "x_pixels_in_detector"), ("y_pixels", "x_pixels"), ("image_size_y", "image_size_x"))
_LOWEST_EV, _HIGHEST_EV = 1e3, 2e5
# Rows and columns of whole detectors that aren't square.
CHIPS = {
    (514, 1030): "EIGER 500K", (1065, 1030): "EIGER 1M", (2167, 2070): "EIGER 4M", (3269, 3110): "EIGER 9M",
    (4371, 4150): "EIGER 16M", (512, 1028): "EIGER2 500K", (1062, 1028): "EIGER2 1M", (2162, 2068): "EIGER2 4M",
    (3262, 3108): "EIGER2 9M", (4362, 4148): "EIGER2 16M", (195, 487): "PILATUS 100K", (407, 487): "PILATUS 200K",
    (619, 487): "PILATUS 300K", (195, 1475): "PILATUS 300K-W", (1043, 981): "PILATUS 1M", (1679, 1475): "PILATUS 2M",
    (2527, 2463): "PILATUS 6M", (516, 1556): "LAMBDA 750K", (516, 772): "LAMBDA 350K", (512, 1024): "JUNGFRAU 500K",
}  # fmt: skip


def watch_contradictions(
    entry: h5py.Group, stack: FrameStack, geometry: Geometry, source: ScanSource, observer: Observer
) -> None:
    """Warn where energy, distance or shape of the frames differ from what the file says of their detector.

    Parameters
    ----------
    entry : h5py.Group
        The scan's group of an open file.
    stack : FrameStack
        Its frames.
    geometry : Geometry
        What the scan is read with.
    source : ScanSource
        What was stated; a stated value is used with a word, any other contradiction counts against the result.
    observer : Observer
        Warned with both values.
    """
    groups = _groups(entry, stack)
    energy = geometry.beam.photon_energy_ev
    recorded = next((value for group in groups if (value := _energy(group)) is not None), None)
    if recorded is not None and geometry.energies_ev is None and abs(recorded - energy) > SAME_ENERGY * energy:
        _say("photon energy", f"{recorded:.6g} eV", f"{energy:.6g} eV", "energy_ev", source.energy_ev, observer)
    distance = geometry.detector.distance_m
    recorded = next((value for group in groups if (value := _distance(group)) is not None), None)
    if recorded is not None and abs(recorded - distance) > SAME_DISTANCE * distance:
        _say("detector distance", f"{recorded:.5g} m", f"{distance:.5g} m", "distance_m", source.distance_m, observer)
    _watch_shape(groups, stack, observer)


def _say(what: str, recorded: str, used: str, option: str, stated: float | None, observer: Observer) -> None:
    origin = f"stated with {option!r}" if stated is not None else f"used; state {option!r} to decide"
    text = f"the {what} is {recorded} by the file beside its frames, but {used} is {origin}"
    observer(Warned(what, text, bends=stated is None))


def _watch_shape(groups: list[h5py.Group], stack: FrameStack, observer: Observer) -> None:
    """Warn where frames have as many rows as their detector has columns, and the reverse."""
    shape = stack.shape[1:]
    if shape[0] == shape[1]:
        return
    sizes = [[_number(group.get(name)) for name in names] for group in _with_specific(groups) for names in _SIZES]
    chip = next(((int(y), int(x)) for y, x in sizes if y and x), None)
    turned = shape[::-1]
    if chip == turned:
        whose = "the file says that it has"
    elif chip is None and shape not in CHIPS and turned in CHIPS:
        whose = f"an {CHIPS[turned]} has"
    else:
        return
    text = (
        f"the frames are {shape[0]} rows × {shape[1]} columns, but of their detector {whose} {turned[0]} × {turned[1]}"
    )
    observer(Warned("shape", text + ": are rows and columns exchanged? Angles would be, too", bends=True))


def _groups(entry: h5py.Group, stack: FrameStack) -> list[h5py.Group]:
    """Return where a file may speak of the frames' beam and detector, nearest to the frames first."""
    name = stack.name.rstrip("/*").split("/")
    place = stack.parts[0].parent
    roots = [place, place.parent, *(entry.get(f"instrument/{word}") for word in (*reversed(name), "detector"))]
    for root in (entry, entry.file):
        roots += [root.get(path) for path in ("instrument", "entry/instrument/detector", "entry/instrument", "sample")]
    found: dict[str, h5py.Group] = {}
    for root in roots:
        if isinstance(root, h5py.Group):
            found.setdefault(f"{root.file.filename}{root.name}", root)
    return list(found.values())


def _with_specific(groups: list[h5py.Group]) -> list[h5py.Group]:
    inner = [group.get("detectorSpecific") for group in groups]
    return [*(group for group in inner if isinstance(group, h5py.Group)), *groups]


def _energy(group: h5py.Group) -> float | None:
    for name in _ENERGIES:
        item = group.get(name)
        value = _number(item)
        if value is None:
            continue
        value = _in(item, value, "eV")
        value = value / CHARGE_C if value < 1e-10 else value * 1e3 if 1 < value < _HIGHEST_EV / 1e3 else value
        if _LOWEST_EV < value < _HIGHEST_EV:
            return value
    for name in _WAVELENGTHS:
        item = group.get(name)
        value = _number(item)
        if value is not None:
            angstrom = value * 1e10 if value < 1e-8 else _in(item, value, "angstrom")
            if _LOWEST_EV < (found := float(photon_energy_ev(angstrom))) < _HIGHEST_EV:
                return found
    return None


def _distance(group: h5py.Group) -> float | None:
    for name in _DISTANCES:
        item = group.get(name)
        value = _number(item)
        if value is not None:
            value = _in(item, value, "m")
            value = value / 1e3 if value > FARTHEST_M else value  # millimetres, without a word of it
            if 0.01 < value < FARTHEST_M:
                return value
    return None


def _in(item: h5py.Dataset, value: float, unit: str) -> float:
    converted = in_unit(value, unit_of(item), unit)
    return value if converted is None else float(converted)


def _number(item: object) -> float | None:
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or item.size != 1:
        return None
    value = float(np.ravel(item[()])[0])
    return value if np.isfinite(value) and value > 0 else None
