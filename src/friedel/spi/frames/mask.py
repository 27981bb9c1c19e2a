"""A detector mask from a file of its own. What the mask means for a score is not decided here."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.core.files.masks import LEAST_LEFT
from friedel.spi.frames.source import HDF5_SUFFIXES

MaskMeaning = Literal["cxi", "bad", "good"]


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
