"""Dark, flat and mask images of a detector, cut to the region that the frames show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.base.observer import Note, Observer, silent
from friedel.io.arrays import read_array
from friedel.io.source import ScanSource
from friedel.io.spec import Region


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectorImages:
    """What is known of the pixels beforehand, in the frames' region ``(y, x)``.

    ``mask`` is True where the pixel measures; ``unknown`` is a whole-volume mask, True where a voxel is not measured.
    """

    mask: NDArray[np.bool_]
    unknown: NDArray[np.bool_] | None = None
    dark: NDArray[np.float32] | None = None
    flat: NDArray[np.float32] | None = None


def read_detector_images(
    source: ScanSource,
    shape: tuple[int, int, int],
    *,
    region: Region | None = None,
    dark_is: Literal["bad_pixels", "offset"] = "offset",
    observer: Observer = silent,
) -> DetectorImages:
    """Read the dark, flat and mask of a source and cut them to the frames.

    Parameters
    ----------
    source : ScanSource
        Paths, and options that go before the other arguments.
    shape : (int, int, int)
        ``(n_rocking, y, x)`` of the frames.
    region : (int, int, int, int) or None
        Recorded ``(y0, y1, x0, x1)`` of the full chip.
    dark_is : {"bad_pixels", "offset"}
        The beamline's meaning of a dark image.

    Raises
    ------
    InputError
        If an image can't be read, or doesn't cover the region.
    """
    images = {name: _image(getattr(source, name)) for name in ("dark", "flat") if getattr(source, name) is not None}
    mask, unknown = _mask(source, shape)
    where = source.region or region
    cut = {
        name: _cut(image, shape[1:], where, getattr(source, name), name, observer).astype(np.float32)
        for name, image in images.items()
    }
    good = np.ones(shape[1:], bool) if mask is None else _cut(mask, shape[1:], where, source.mask, "mask", observer)
    dark = cut.get("dark")
    if dark is not None and (source.dark_is or dark_is) == "bad_pixels":
        good = good & (dark == 0)
        text = f"{int((dark != 0).sum())} pixels that the dark image marks as hot are unknown; nothing is subtracted"
        observer(Note("dark", text, {"pixels": float((dark != 0).sum())}))
        dark = None
    return DetectorImages(mask=good, unknown=unknown, dark=dark, flat=cut.get("flat"))


def with_unknown(frames: NDArray[Any], unknown: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the frames with NaN at unknown voxels (then float32); the same array if there are none."""
    if unknown is None or not unknown.any():
        return frames
    marked = frames.astype(np.float32)
    marked[unknown] = np.nan
    return marked


def _image(path: Path) -> NDArray[Any]:
    image = read_array(path, ndim=2)
    if not np.isfinite(image).all():
        raise InputError(f"{path}: holds NaN or inf; a dark or flat image must be finite everywhere")
    return image


def _mask(source: ScanSource, shape: tuple[int, int, int]) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    if source.mask is None:
        return None, None
    values = read_array(source.mask, ndim=(2, 3))
    good = (values == 0) if source.mask_marks == "bad" else (values != 0)
    if not good.any():
        raise InputError(f"{source.mask}: masks every pixel; does non-zero mean good there? Then set mask_marks: good")
    if good.ndim == 2:
        return good, None
    if good.shape != shape:
        raise InputError(f"{source.mask}: 3D mask of shape {good.shape}, but the volume is {shape}")
    return None, ~good


def _cut(
    image: NDArray[Any], shape: tuple[int, ...], region: Region | None, path: Path | None, kind: str, observer: Observer
) -> NDArray[Any]:
    if image.shape == shape:
        return image
    y0, y1, x0, x1 = region or (0, shape[0], 0, shape[1])
    cut = image[y0:y1, x0:x1]
    if cut.shape != shape:
        raise InputError(
            f"{path}: the {kind} image {image.shape} has no region rows {y0}:{y1}, columns {x0}:{x1} of the frames' "
            f"shape {shape}; state the option 'region' as (y0, y1, x0, x1) of the full chip"
        )
    origin = "as recorded or stated" if region else "assumed: the files don't say"
    observer(Note("region", f"{kind}: the frames are rows {y0}:{y1}, columns {x0}:{x1} of {image.shape} ({origin})"))
    return cut
