"""Mask and dark of a detector from files of their own, and frames less the dark. Decides nothing about scores."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.core.files.marks import LARGEST
from friedel.core.files.masks import LEAST_LEFT
from friedel.spi.frames.source import HDF5_SUFFIXES, Beside, FrameSource

MaskMeaning = Literal["cxi", "bad", "good"]
_MARKS = np.array([float(np.float32(value)) for value in LARGEST], np.float32)


def read_mask(path: Path, *, dataset: str | None = None, marks: MaskMeaning | None = None) -> NDArray[np.bool_]:
    """Read a mask ``(y, x)``: True where the detector measures.

    Parameters
    ----------
    path : Path
        ``.npy .npz .tif .h5 .cxi`` or ``.edf``.
    dataset : str, optional
        The mask's name inside the file; None: the only 2D array.
    marks : {"cxi", "bad", "good"}, optional
        Meaning of the values: CXI's bits, of which only those of useless pixels count; anything but 0 is bad; anything
        but 0 is good. None: bad (of whole numbers in HDF5, CXI's bits), unless that leaves less than a third.

    Raises
    ------
    InputError
        If the file is missing, damaged, no 2D mask, or may be meant the other way round.
    """
    from friedel.core.files.arrays import read_array  # it loads readers of many formats, which most runs don't need

    values = read_array(path, dataset=dataset, ndim=2)
    if marks == "good":
        return np.asarray(values != 0)
    hdf5 = path.suffix.lower() in HDF5_SUFFIXES
    bits = values.dtype.kind in "iu" and (marks == "cxi" or (marks is None and hdf5))
    good = good_pixels(values) if bits else np.asarray(values == 0)
    if marks is None and good.mean() < LEAST_LEFT:
        raise InputError(
            f"{path}: the mask leaves {good.mean():.1%} of the pixels (anything but 0 is bad); does it mark good ones? "
            "Say --set frames.mask_marks=good, or --set frames.mask_marks=bad if it is right"
        )
    return good


def require_fit(mask: NDArray[np.bool_], shape: tuple[int, int, int], *, mask_path: Path, frames_path: Path) -> None:
    """Raise InputError unless the mask has the frames' rows and columns.

    Parameters
    ----------
    mask : (y, x) bool
        The mask.
    shape : (int, int, int)
        ``(n, y, x)`` of the frames.
    mask_path, frames_path : Path
        Both files, for the message.
    """
    if mask.shape != shape[1:]:
        raise InputError(
            f"{mask_path}: the mask is {mask.shape}, the frames of {frames_path} are {shape[1:]}; "
            "give the mask of these frames, or classify files of different sizes apart"
        )


class WithoutDark:
    """A `friedel.spi.frames.source.FrameSource` whose frames have a dark taken off.

    Parameters
    ----------
    source : FrameSource
        The frames as recorded.
    dark : (y, x) float32
        Detector units; where it isn't finite the pixel is unknown.
    """

    linkable = False

    def __init__(self, source: FrameSource, dark: NDArray[np.float32]) -> None:
        if dark.shape != source.shape[1:]:
            raise InputError(
                f"{source.path}: its frames are {source.shape[1:]}, the dark is {dark.shape}; give the dark of this "
                "detector, as its frames are read"
            )
        self._source, self._dark = source, dark
        self.path, self.dataset, self.shape = source.path, source.dataset, source.shape
        self.block, self.expected, self.centre = source.block, source.expected, source.centre
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        known = np.isfinite(dark)
        self.mask = source.mask if known.all() else known if source.mask is None else known & source.mask
        self.beside: Beside = source.beside
        self.notes = (*source.notes, f"a dark of {np.median(dark[known]):.4g} (median) is taken off every frame")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file the frames lie in."""
        return self._source.files

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames less the dark, float32; NaN where a value marks what wasn't measured."""
        return without_dark(self._source.read(start, stop), self._dark)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def without_dark(frames: NDArray[Any], dark: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return frames ``(n, y, x)`` less a dark ``(y, x)``, float32; NaN where a value marks what wasn't measured.

    Raises
    ------
    InputError
        If the dark has another shape.
    """
    if frames.shape[1:] != dark.shape:
        raise InputError(f"frames of shape {frames.shape[1:]}, but a dark of {dark.shape}")
    found = frames.astype(np.float32)
    unknown = np.isin(found, _MARKS)
    found -= dark
    found[unknown] = np.nan
    return found


def read_dark(path: Path) -> NDArray[np.float32]:
    """Return a dark image ``(y, x)``: one image, or the median of several frames ``(n, y, x)``.

    Parameters
    ----------
    path : Path
        ``.npy .npz .tif .edf .h5 .cxi`` and so on.

    Raises
    ------
    InputError
        If it can't be read, or isn't an image or frames of one.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such dark file; check the path")
    found = path.stat()
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)  # a run may have thousands of files
def _read(path: Path, _written_ns: int, _size: int) -> NDArray[np.float32]:
    from friedel.core.files.arrays import read_array  # it loads readers of many formats, which most runs don't need

    values = read_array(path, ndim=(2, 3))
    if values.dtype.kind not in "iuf":
        raise InputError(f"{path}: a dark is an image of numbers, got {values.dtype}")
    dark = values.astype(np.float32)
    dark[np.isin(dark, _MARKS)] = np.nan
    return dark if dark.ndim == 2 else np.asarray(np.median(dark, axis=0), np.float32)
