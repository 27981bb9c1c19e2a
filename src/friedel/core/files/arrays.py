"""Single arrays from files of any common kind, whole or not at all. The caller decides what they mean."""

import gzip
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the bitshuffle, LZ4 and other filters that detectors write with)
import numpy as np
import tifffile
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file
from friedel.core.files.frame_stack import find_stack, masks_beside, no_frames
from friedel.core.files.masks import is_mask_name
from friedel.core.files.written import unwritten
from friedel.core.optional import load_optional

TIFF_SUFFIXES = (".tif", ".tiff")
HDF5_SUFFIXES = (".h5", ".hdf5", ".nxs", ".cxi", ".hdf")
FABIO_SUFFIXES = (".edf", ".cbf", ".mccd", ".edf.gz", ".cbf.gz")
KNOWN = ".npy .npz .npy.gz .tif .h5 .hdf5 .nxs .cxi .mat .edf .edf.gz .cbf"
# tifffile logs what it finds odd in a header; the errors below say it better.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False, kw_only=True)
class Volume:
    """A 3D array of a file, with what lies beside it.

    Attributes
    ----------
    values : (n, y, x), the file's dtype
        As recorded; zeros where ``lost``.
    dataset : str
        Its name inside the file; "" where there are no names.
    lost : (n, y, x) bool or None
        True where nothing was ever written; None: all was.
    masks : mapping of str to array
        Masks that lie beside the data and fit them, by name; what their values mean isn't looked at.
    missing : tuple of str
        Parts whose file isn't there.
    """

    values: NDArray[Any]
    dataset: str = ""
    lost: NDArray[np.bool_] | None = None
    masks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def read_array(path: Path, *, dataset: str | None = None, ndim: int | tuple[int, ...] | None = None) -> NDArray[Any]:
    """Read one numeric array, in its own dtype.

    Parameters
    ----------
    path : Path
        ``.npy .npz .npy.gz .tif .tiff .h5 .hdf5 .nxs .cxi .mat .edf .edf.gz`` or ``.cbf``.
    dataset : str or None
        Array's name in ``.npz`` or ``.mat``, or dataset's path in HDF5; None: the only candidate.
    ndim : int or tuple of int, or None
        Numbers of dimensions that make an array a candidate, and that the answer must have.

    Raises
    ------
    InputError
        If the file is missing, damaged, of unknown kind, holds no or several candidates, or isn't real numbers.
    """
    wanted = (ndim,) if isinstance(ndim, int) else ndim
    require_file(path)
    suffix = suffix_of(path)
    with readable(path):
        if suffix in HDF5_SUFFIXES or (suffix == ".mat" and h5py.is_hdf5(path)):
            with h5py.File(path, "r") as file:
                name = dataset or only(path, _datasets(file, wanted), wanted)
                values = np.asarray(dataset_at(file, name, path)[()])
                values = values.T if suffix == ".mat" else values
        elif suffix in (".npz", ".mat"):
            arrays = _named_arrays(path, suffix)
            names = [name for name, array in arrays.items() if wanted is None or array.ndim in wanted]
            if dataset is not None and dataset not in arrays:
                raise InputError(f"{path}: no array {dataset!r}; it holds {', '.join(arrays)}")
            values = arrays[dataset or only(path, names, wanted)]
        else:
            values = _single(path, suffix)
    return _checked(path, np.asarray(values), wanted)


def read_volume(path: Path, *, dataset: str | None = None, mask_dataset: str | None = None) -> Volume:
    """Read the 3D array of a file, and the masks that lie beside it.

    Parameters
    ----------
    path : Path
        Any kind that `read_array` reads; an EIGER's master file with its data files beside it.
    dataset : str or None
        The array; None: the only one, masks and other known companions left out.
    mask_dataset : str or None
        The mask, in the same file; None: what has a mask's name and fits.

    Raises
    ------
    InputError
        As `read_array`.
    """
    require_file(path)
    suffix = suffix_of(path)
    with readable(path):
        if suffix in HDF5_SUFFIXES:
            volume = _hdf5_volume(path, dataset, mask_dataset)
        elif suffix == ".mat" and h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                arrays = {name: np.asarray(item[()]).T for name, item in file.items() if isinstance(item, h5py.Dataset)}
            volume = _of_several(path, arrays, dataset, mask_dataset)
        elif suffix in (".npz", ".mat"):
            volume = _of_several(path, _named_arrays(path, suffix), dataset, mask_dataset)
        else:
            volume = Volume(values=_single(path, suffix))
    values = volume.values
    if values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]
    return Volume(
        values=_checked(path, values, (3,)),
        dataset=volume.dataset,
        lost=volume.lost,
        masks=volume.masks,
        missing=volume.missing,
    )


def masks_in(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file with several that have a mask's name.

    Raises
    ------
    InputError
        As `read_array`.
    """
    require_file(path)
    suffix = suffix_of(path)
    with readable(path):
        if not h5py.is_hdf5(path):
            named = _named_arrays(path, suffix)
            return {name: array for name, array in named.items() if is_mask_name(name)}
        with h5py.File(path, "r") as file:
            names = [name for name in _datasets(file, (2, 3)) if is_mask_name(name)]
            arrays = {name: np.asarray(file[name][()]) for name in names}
            return {name: array.T for name, array in arrays.items()} if suffix == ".mat" else arrays


def suffix_of(path: Path) -> str:
    """Return the file's suffix in small letters, with the one before ``.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def dataset_at(file: h5py.File | h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return a dataset whose data are really there.

    Raises
    ------
    InputError
        If there is no such dataset, or parts of it were never written or are missing: HDF5 would read zeros.
    """
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: no dataset {name!r}; it holds {', '.join(_datasets(file, None)) or 'none'}")
    if unwritten(found, path):
        raise InputError(f"{path}: parts of {name} were never written, or the files behind them are missing")
    return found


def only(path: Path, names: list[str], ndim: tuple[int, ...] | None) -> str:
    """Return the only name.

    Raises
    ------
    InputError
        If there is none, or more.
    """
    kind = " or ".join(f"{n}D" for n in ndim or ()) or "any"
    if not names:
        raise InputError(f"{path}: holds no {kind} array; name one with the option 'dataset'")
    if len(names) > 1:
        raise InputError(
            f"{path}: holds several {kind} arrays ({', '.join(names)}); choose one with the option 'dataset'"
        )
    return names[0]


def _hdf5_volume(path: Path, dataset: str | None, mask_dataset: str | None) -> Volume:
    with h5py.File(path, "r") as file:
        stack = find_stack(file, path, dataset)
        values, lost = stack.read()
        if mask_dataset is None:
            masks = masks_beside(file, stack)
        else:
            masks = {mask_dataset: np.asarray(dataset_at(file, mask_dataset, path)[()])}
        return Volume(values=values, dataset=stack.name, lost=lost, masks=masks, missing=stack.missing)


def _of_several(path: Path, arrays: dict[str, NDArray[Any]], dataset: str | None, mask_dataset: str | None) -> Volume:
    for wanted in (dataset, mask_dataset):
        if wanted is not None and wanted not in arrays:
            raise InputError(f"{path}: no array {wanted!r}; it holds {', '.join(arrays)}")
    volumes = [name for name, array in arrays.items() if array.ndim in (3, 4) and array.dtype.kind in "biufc"]
    named = [name for name in volumes if not no_frames(name)]
    chosen = dataset or only(path, named or volumes, (3,))
    values = arrays[chosen]
    fitting = (values.shape, values.shape[-2:])
    names = [mask_dataset] if mask_dataset else [name for name in arrays if is_mask_name(name) and name != chosen]
    masks = {name: arrays[name] for name in names if arrays[name].shape in fitting}
    if mask_dataset is not None and not masks:
        raise InputError(f"{path}: mask {mask_dataset!r} is {arrays[mask_dataset].shape}, the data {values.shape}")
    return Volume(values=values, dataset=chosen, masks=masks)


def _named_arrays(path: Path, suffix: str) -> dict[str, NDArray[Any]]:
    if suffix == ".mat":
        from scipy.io import loadmat

        found = loadmat(path)
        return {name: np.asarray(value) for name, value in found.items() if not name.startswith("__")}
    # The file is opened here: numpy leaves it open when the archive turns out to be damaged.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: np.asarray(archive[name]) for name in archive.files}


def _single(path: Path, suffix: str) -> NDArray[Any]:
    if suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if suffix == ".npy.gz":
        with gzip.open(path, "rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    if suffix in TIFF_SUFFIXES:
        return read_tiff(path)
    if suffix in FABIO_SUFFIXES:
        return _fabio(path)
    raise InputError(f"{path}: unknown kind of file {suffix!r}; known are {KNOWN}")


def read_tiff(path: Path) -> NDArray[Any]:
    """Return the array of a TIFF file; ValueError on damaged bytes."""
    with tiff_damage():
        return np.asarray(tifffile.imread(path))


@contextmanager
def tiff_damage() -> Iterator[None]:
    """Make what tifffile raises on damaged bytes a ValueError, which before 2026 it isn't."""
    try:
        yield
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def _fabio(path: Path) -> NDArray[Any]:
    fabio = load_optional("fabio", package="fabio", extra="bcdi", purpose="read .edf images")
    image = fabio.open(str(path))
    try:
        if image.nframes <= 1:
            return np.asarray(image.data)
        return np.stack([np.asarray(image.get_frame(index).data) for index in range(image.nframes)])
    finally:
        image.close()


def _datasets(file: h5py.File | h5py.Group, ndim: tuple[int, ...] | None) -> list[str]:
    names: list[str] = []

    def visit(name: str, found: h5py.Dataset | h5py.Group) -> None:
        if isinstance(found, h5py.Dataset) and (ndim is None or found.ndim in ndim):
            names.append(name)

    file.visititems(visit)
    return names


def _checked(path: Path, values: NDArray[Any], ndim: tuple[int, ...] | None) -> NDArray[Any]:
    if values.dtype.kind == "c":
        raise InputError(f"{path}: the array is complex: a reconstruction, where measured intensities were expected")
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: the array is not numbers (dtype {values.dtype})")
    if ndim is not None and values.ndim not in ndim:
        expected = " or ".join(f"{n}D" for n in ndim)
        raise InputError(f"{path}: the array has shape {values.shape}; {expected} was expected")
    return values
