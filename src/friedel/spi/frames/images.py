"""One image, or a few on pages, in a TIFF, CBF or EDF file, as frames."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable
from friedel.spi.frames.source import Beside, plain_numbers

_MOST_BYTES = 4 << 30  # of a file that is held in memory whole


class ImageFrames:
    """A `friedel.spi.frames.source.FrameSource` over the images of one file, held in memory."""

    mask: NDArray[np.bool_] | None = None
    centre: tuple[float, float] | None = None
    dataset, block, linkable = "", 1, False
    notes: tuple[str, ...] = ()
    beside = Beside()

    def __init__(self, path: Path, images: NDArray[Any]) -> None:
        self.path, self._images = path, images
        self.shape = (int(images.shape[0]), int(images.shape[1]), int(images.shape[2]))
        self.dtype: np.dtype[Any] = images.dtype
        self.expected = self.shape[0]

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames ``start`` to ``stop``."""
        return self._images[start:stop].copy()

    def close(self) -> None:
        """Let go of the images."""


def open_image_frames(path: Path) -> ImageFrames:
    """Open a file of images.

    Raises
    ------
    InputError
        If it is damaged, very large, or no image of numbers.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); nothing was written to it yet, or the copy failed")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: too large to be read whole; save its frames as HDF5")
    from friedel.core.files.arrays import read_array  # it loads readers of many formats, which most runs don't need

    with readable(path):
        values = read_array(path, ndim=(2, 3))
    if not plain_numbers(values.dtype):
        raise InputError(f"{path}: the image is {values.dtype}; frames of numbers were expected")
    native = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    return ImageFrames(path, native if native.ndim == 3 else native[None])
