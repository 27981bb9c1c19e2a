"""Read the volumes of a result's CXI file as plain arrays, whatever quantities it holds. For looking at them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.results.cxi import PIXEL_INSIDE_SUPPORT, RECORD
from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import INVALID
from friedel.core.units import ANGSTROM_PER_M

_NOT_QUANTITIES = ("data", "mask", "support")


@dataclass(frozen=True, eq=False, kw_only=True)
class Volumes:
    """What a result's file holds on one grid.

    Attributes
    ----------
    object : (z, y, x) complex64
        ψ.
    inside : (z, y, x) bool
        The crystal.
    quantities : dict of str to (z, y, x) float32
        Every real volume stored beside the object, by its name in the file ("strain", "displacement", …).
    units : dict of str to str
        Their units as the file says them; "" where it says none.
    step_m : float or None
        Edge of the cubic voxels; None where the geometry isn't known and lengths are in voxels.
    intensities : (z, y, x) float32 or None
        The measured pattern, photons, NaN where not measured.
    record : dict
        Quality, provenance and starts as plain values.
    """

    object: NDArray[np.complex64]
    inside: NDArray[np.bool_]
    quantities: dict[str, NDArray[np.float32]]
    units: dict[str, str]
    step_m: float | None
    intensities: NDArray[np.float32] | None
    record: dict[str, Any]


def read_volumes(path: str | Path, *, pattern: bool = True) -> Volumes:
    """Read the crystal's image of a CXI file with all its quantities; without one, the object on its own voxels.

    Parameters
    ----------
    path : str or Path
        A file that `save_reconstruction` wrote.
    pattern : bool
        Read the measured intensities too.

    Raises
    ------
    InputError
        If the file is missing, damaged, or another program's.
    """
    try:
        with h5py.File(path, "r") as file:
            images = [group for name, group in sorted(file["entry_1"].items()) if name.startswith("image_")]
            chosen = _crystal(images) or images[0]
            patterns = [group for group in images if _text(group, "data_space") == "diffraction"]
            quantities = {
                name: item[()].astype(np.float32)
                for name, item in chosen.items()
                if name not in _NOT_QUANTITIES and isinstance(item, h5py.Dataset) and item.shape == chosen["data"].shape
            }
            return Volumes(
                object=chosen["data"][()],
                inside=(chosen["mask"][()] & PIXEL_INSIDE_SUPPORT).astype(bool),
                quantities=quantities,
                units={name: str(chosen[name].attrs.get("units", "")) for name in quantities},
                step_m=_step(chosen),
                intensities=_pattern(patterns[0]) if pattern and patterns else None,
                record=json.loads(file[RECORD][()].decode()),
            )
    except (OSError, KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a result that friedel wrote ({error}); reconstruct it again") from error


def read_record(path: str | Path) -> dict[str, Any]:
    """Return quality, provenance and starts of a CXI file as plain values, and read nothing else.

    Raises
    ------
    InputError
        If the file is missing, damaged, or another program's.
    """
    try:
        with h5py.File(path, "r") as file:
            record: dict[str, Any] = json.loads(file[RECORD][()].decode())
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a result that friedel wrote ({error})") from error
    return record


def may_be_result(path: str | Path) -> bool:
    """Return whether a CXI file holds friedel's record of a result, or is too damaged to say: not a run's frames."""
    try:
        with h5py.File(path, "r") as file:
            return RECORD in file
    except (OSError, RuntimeError):
        return True


def _crystal(images: list[h5py.Group]) -> h5py.Group | None:
    real = [group for group in images[1:] if _text(group, "data_space") == "real"]
    return real[-1] if real else None


def _pattern(image: h5py.Group) -> NDArray[np.float32]:
    measured = (image["mask"][()] & INVALID) == 0
    return np.where(measured, image["data"][()], np.nan).astype(np.float32)


def _text(group: h5py.Group, name: str) -> str:
    value = group[name][()] if name in group else ""
    return value.decode() if isinstance(value, bytes) else str(value)


def _step(image: h5py.Group) -> float | None:
    if "voxel_basis" not in image:
        return None
    lengths = np.linalg.norm(image["voxel_basis"][()], axis=1)
    # Skewed or unequal steps have no one edge: such an object is shown in voxels.
    return float(lengths.mean()) if np.ptp(lengths) < 1e-6 * lengths.mean() else None


def step_angstrom(volumes: Volumes) -> float | None:
    """Return the edge of the voxels, Å; None without geometry."""
    return None if volumes.step_m is None else volumes.step_m * ANGSTROM_PER_M
