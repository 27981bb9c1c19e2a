"""A detector mask from a file of its own. What the mask means for a score is not decided here."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels

MaskMeaning = Literal["cxi", "bad", "good"]


def read_mask(path: Path, *, dataset: str | None = None, marks: MaskMeaning = "cxi") -> NDArray[np.bool_]:
    """Read a mask ``(y, x)``: True where the detector measures.

    Parameters
    ----------
    path : Path
        ``.npy .npz .tif .h5 .cxi`` or ``.edf``.
    dataset : str, optional
        The mask's name inside the file; None: ``entry_1/data_1/mask`` in CXI, else the only 2D array.
    marks : {"cxi", "bad", "good"}
        Meaning of the values: CXI's bits, of which only those of useless pixels count (for ordinary masks that is
        "1 is bad"); anything but 0 is bad; anything but 0 is good.

    Raises
    ------
    InputError
        If the file is missing, damaged, or no 2D mask.
    """
    from friedel.core.files.arrays import read_array  # it loads readers of many formats, which most runs don't need

    values = read_array(path, dataset=dataset, ndim=2)
    if marks == "good":
        return values != 0
    if marks == "bad" or values.dtype.kind == "f":
        return values == 0
    return good_pixels(values)


def require_fit(mask: NDArray[np.bool_], shape: tuple[int, int, int], *, mask_path: Path, frames_path: Path) -> None:
    """Raise InputError unless the mask has the frames' rows and columns."""
    if mask.shape != shape[1:]:
        raise InputError(
            f"{mask_path}: the mask is {mask.shape}, the frames of {frames_path} are {shape[1:]}; "
            "give the mask of these frames, or classify files of different sizes apart"
        )
