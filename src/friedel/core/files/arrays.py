"""Single arrays from files of any common kind, whole or not at all. What they mean is the caller's business."""

import logging
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the bitshuffle, LZ4 and other filters that detectors write with)
import numpy as np
import tifffile
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file
from friedel.core.optional import load_optional

TIFF_SUFFIXES = (".tif", ".tiff")
HDF5_SUFFIXES = (".h5", ".hdf5", ".nxs", ".cxi")
# tifffile logs what it finds odd in a header; the errors below say it better.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_array(path: Path, *, dataset: str | None = None, ndim: int | tuple[int, ...] | None = None) -> NDArray[Any]:
    """Read one numeric array, in its own dtype.

    Parameters
    ----------
    path : Path
        ``.npy .npz .tif .tiff .h5 .hdf5 .nxs .cxi`` or ``.edf``.
    dataset : str or None
        Array's name in ``.npz``, or dataset's path in HDF5; None: the only candidate.
    ndim : int or tuple of int, or None
        Numbers of dimensions that make an array a candidate, and that the answer must have.

    Raises
    ------
    InputError
        If the file is missing, damaged, of unknown kind, holds no or several candidates, or isn't real numbers.
    """
    wanted = (ndim,) if isinstance(ndim, int) else ndim
    require_file(path)
    suffix = path.suffix.lower()
    with readable(path):
        if suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif suffix == ".npz":
            values = _from_npz(path, dataset, wanted)
        elif suffix in TIFF_SUFFIXES:
            values = tifffile.imread(path)
        elif suffix in HDF5_SUFFIXES:
            values = _from_hdf5(path, dataset, wanted)
        elif suffix == ".edf":
            fabio = load_optional("fabio", package="fabio", extra="bcdi", purpose="read .edf images")
            values = fabio.open(str(path)).data
        else:
            raise InputError(
                f"{path}: unknown kind of file {suffix!r}; known are .npy .npz .tif .h5 .hdf5 .nxs .cxi .edf"
            )
    return _checked(path, np.asarray(values), wanted)


def dataset_at(file: h5py.File | h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return a dataset whose data are really there.

    Raises
    ------
    InputError
        If there is no such dataset, or it is virtual and files behind it are missing: HDF5 would read zeros.
    """
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: no dataset {name!r}; it holds {', '.join(_datasets(file, None)) or 'none'}")
    for source in found.virtual_sources() if found.is_virtual else ():
        behind = path.parent / source.file_name
        if source.file_name != "." and not behind.is_file():
            raise InputError(
                f"{path}: {name} refers to {behind}, which is missing; copy it beside (its frames would be zeros)"
            )
    return found


def _from_npz(path: Path, dataset: str | None, ndim: tuple[int, ...] | None) -> NDArray[Any]:
    # The file is opened here: numpy leaves it open when the archive turns out to be damaged.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if dataset is not None and dataset not in archive:
            raise InputError(f"{path}: no array {dataset!r}; it holds {', '.join(archive.files)}")
        names = (
            [name for name in archive.files if ndim is None or archive[name].ndim in ndim] if dataset is None else []
        )
        return np.asarray(archive[dataset or _only(path, names, ndim)])


def _from_hdf5(path: Path, dataset: str | None, ndim: tuple[int, ...] | None) -> NDArray[Any]:
    with h5py.File(path, "r") as file:
        name = dataset or _only(path, _datasets(file, ndim), ndim)
        return np.asarray(dataset_at(file, name, path)[()])


def _datasets(file: h5py.File | h5py.Group, ndim: tuple[int, ...] | None) -> list[str]:
    names: list[str] = []

    def visit(name: str, found: h5py.Dataset | h5py.Group) -> None:
        if isinstance(found, h5py.Dataset) and (ndim is None or found.ndim in ndim):
            names.append(name)

    file.visititems(visit)
    return names


def _only(path: Path, names: list[str], ndim: tuple[int, ...] | None) -> str:
    kind = " or ".join(f"{n}D" for n in ndim or ()) or "any"
    if not names:
        raise InputError(f"{path}: holds no {kind} array; name one with the option 'dataset'")
    if len(names) > 1:
        raise InputError(
            f"{path}: holds several {kind} arrays ({', '.join(names)}); choose one with the option 'dataset'"
        )
    return names[0]


def _checked(path: Path, values: NDArray[Any], ndim: tuple[int, ...] | None) -> NDArray[Any]:
    if values.dtype.kind == "c":
        raise InputError(f"{path}: the array is complex: a reconstruction, where measured intensities were expected")
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: the array is not numbers (dtype {values.dtype})")
    if ndim is not None and values.ndim not in ndim:
        expected = " or ".join(f"{n}D" for n in ndim)
        raise InputError(f"{path}: the array has shape {values.shape}; {expected} was expected")
    return values
