"""Photon energy, distance and pixel size of a run, where its file says them: CXI and NeXus."""

from pathlib import Path

import h5py
import numpy as np

from friedel.core.files.hdf5 import unit_of
from friedel.core.units import CHARGE_C, in_unit
from friedel.spi.frames.source import HDF5_SUFFIXES
from friedel.spi.records import Beam

_ENERGIES = ("source_1/energy", "beam/incident_energy", "beam_1/incident_energy")
_DETECTORS = ("detector_1", "detector")
# Below this an energy is in joule, as CXI has it; above, in eV.
_JOULES = 1e-10
# Bounds within which values are believed: from soft to hard X-rays, a millimetre to a kilometre, 1 µm to 1 cm.
_ENERGY_EV, _DISTANCE_M, _PIXEL_M = (10.0, 1e6), (1e-3, 1e3), (1e-6, 1e-2)


def read_beam(path: Path) -> Beam | None:
    """Return what the first entry of an HDF5 file says; None where something is missing or can't be."""
    if path.suffix.lower() not in HDF5_SUFFIXES or not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            found = [_of_instrument(group) for group in _instruments(file)]
    except (OSError, RuntimeError, KeyError, ValueError):
        return None
    return next((beam for beam in found if beam is not None), None)


def _instruments(file: h5py.File) -> list[h5py.Group]:
    entries = [entry for name in file if isinstance(entry := file.get(name), h5py.Group)]
    inner = [group.get(name) for group in entries for name in ("instrument_1", "instrument")]
    return [group for group in inner if isinstance(group, h5py.Group)]


def _of_instrument(group: h5py.Group) -> Beam | None:
    energy = next((value for name in _ENERGIES if (value := _number(group, name, "eV")) is not None), None)
    detector = next((name for name in _DETECTORS if name in group), "")
    distance = _number(group, f"{detector}/distance", "m")
    pixel = next(
        (value for name in ("x_pixel_size", "x_pixel_size_1") if (value := _number(group, f"{detector}/{name}", "m"))),
        None,
    )
    if energy is None or distance is None or pixel is None:
        return None
    energy_ev = energy / CHARGE_C if energy < _JOULES else energy
    limits = ((energy_ev, _ENERGY_EV), (distance, _DISTANCE_M), (pixel, _PIXEL_M))
    if not all(low < value < high for value, (low, high) in limits):
        return None
    return Beam(photon_energy_ev=energy_ev, distance_m=distance, pixel_size_m=pixel)


def _number(group: h5py.Group, name: str, unit: str) -> float | None:
    """Return a positive number, in the unit asked for where the file says which it has."""
    item = group.get(name)
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or item.size < 1:
        return None
    value = float(np.ravel(item[()])[0])
    converted = in_unit(value, unit_of(item), unit)
    value = value if converted is None else float(converted)
    return value if np.isfinite(value) and value > 0 else None
