"""CXI's version number, the bits of its pixel mask, and which of them make a pixel useless. Reads no file.

From "The CXI File Format for Coherent X-ray Imaging", version 1.6, A.8 "Image" and A.5 "Detector": 0 is a good pixel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

CXI_VERSION = 160  # "cxi_version" of a file in format version 1.60
# Names and bits as in these sections; bits of good pixels (0x20, 0x100, 0x800) have no name here.
INVALID = 0x1
SATURATED = 0x2
HOT = 0x4
DEAD = 0x8
SHADOWED = 0x10
TO_BE_IGNORED = 0x40
BAD = 0x80
MISSING = 0x200
NOISY = 0x400
FAILED_CORRECTION = 0x1000
USELESS = INVALID | SATURATED | HOT | DEAD | SHADOWED | TO_BE_IGNORED | BAD | MISSING | NOISY | FAILED_CORRECTION


def good_pixels(bits: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True where a pixel measures, from CXI mask bits (or booleans that mark bad pixels) of any shape.

    A peak's pixels (0x20), those beyond a resolution (0x100) and those whose artefact was corrected (0x800) stay good.
    """
    values = np.asarray(bits)
    if values.dtype.kind == "b":
        return ~values
    wide = values.astype(np.uint32) if values.dtype.kind == "i" else values
    return (wide & wide.dtype.type(USELESS & np.iinfo(wide.dtype).max)) == 0
