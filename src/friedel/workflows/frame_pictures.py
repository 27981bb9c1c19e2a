"""Small pictures of detector frames for a report, without a plotting library: they mustn't take longer than the scores.

Intensities are drawn as log(1 + (I - median) / noise), which shows photons, detector units and anything between alike.
"""

import base64
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LEVELS = 254
_UNKNOWN = 255
_UNKNOWN_COLOUR = (70, 84, 92)
# Black, violet, red, orange, pale yellow: equal steps in lightness, as in Matplotlib's "inferno".
_ANCHORS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)
_MAD_TO_SIGMA = 1.4826


def picture_uri(frame: NDArray[Any], mask: NDArray[np.bool_] | None, *, pixels: int = 112) -> str:
    """Return one frame as a PNG data URI.

    Parameters
    ----------
    frame : (y, x)
        Photons or detector units; what isn't finite is drawn as unknown.
    mask : (y, x) bool or None
        True where the detector measures; the rest is drawn as unknown.
    pixels : int
        Longest side of the picture; larger frames are binned.
    """
    image = Image.fromarray(_colour_numbers(_binned(frame, mask, pixels)))
    image.putpalette(_palette())
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _binned(frame: NDArray[Any], mask: NDArray[np.bool_] | None, pixels: int) -> NDArray[np.float32]:
    """Return the mean of the measured pixels of each square of pixels, NaN where there is none."""
    values = np.asarray(frame, dtype=np.float32)
    known = np.isfinite(values) if mask is None else np.isfinite(values) & mask
    step = -(-max(values.shape) // pixels)
    if step == 1:
        return np.where(known, values, np.float32(np.nan))
    rows, columns = (size // step * step for size in values.shape)
    inner = np.where(known, values, np.float32(0))[:rows, :columns].reshape(rows // step, step, columns // step, step)
    counts = known[:rows, :columns].reshape(inner.shape).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (inner.sum(axis=(1, 3)) / counts).astype(np.float32)


def _colour_numbers(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = np.isfinite(values)
    inside = values[known]
    if inside.size == 0:
        return np.full(values.shape, _UNKNOWN, np.uint8)
    base = float(np.median(inside))
    noise = _MAD_TO_SIGMA * float(np.median(np.abs(inside - base)))
    top = float(inside.max())
    # Photon counts have no noise floor: where most pixels are equal, the unit is a photon, or a hundredth of the top.
    unit = noise if noise > 0 else max(min(1.0, (top - base) / 100), 1e-30)
    levels = np.log1p(np.clip(np.where(known, values, base) - base, 0, None) / unit)
    highest = float(np.percentile(levels[known], 99.8)) or float(np.max(levels)) or 1.0
    numbers = np.minimum(levels / highest, 1.0) * _LEVELS
    return np.where(known, numbers, _UNKNOWN).astype(np.uint8)


def _palette() -> bytes:
    places = np.linspace(0, len(_ANCHORS) - 1, _LEVELS + 1)
    colours = [np.interp(places, np.arange(len(_ANCHORS)), _ANCHORS[:, channel]) for channel in range(3)]
    return np.vstack([np.column_stack(colours), _UNKNOWN_COLOUR]).round().astype(np.uint8).tobytes()
