"""Dark, flat and mask images of a detector, cut to the region that the frames show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.arrays import read_array
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, silent


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
    n_frames: int,
    placement: Placement,
    *,
    dark_is: Literal["bad_pixels", "offset"] = "offset",
    observer: Observer = silent,
) -> DetectorImages:
    """Read the dark, flat and mask of a source and cut them to the frames.

    Parameters
    ----------
    source : ScanSource
        Paths, and options that go before the other arguments.
    n_frames : int
        Frames of the scan, for a 3D mask.
    placement : Placement
        Which pixels the frames are.
    dark_is : {"bad_pixels", "offset"}
        The beamline's meaning of a dark image.

    Raises
    ------
    InputError
        If an image can't be read, or doesn't cover the region.
    """
    images = {name: _image(getattr(source, name)) for name in ("dark", "flat") if getattr(source, name) is not None}
    mask, unknown = _mask(source, n_frames, placement)
    cut = {
        name: _cut(image, placement, getattr(source, name), name, observer).astype(np.float32)
        for name, image in images.items()
    }
    good = np.ones(placement.shape, bool) if mask is None else _cut(mask, placement, source.mask, "mask", observer)
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


def _mask(
    source: ScanSource, n_frames: int, placement: Placement
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    if source.mask is None:
        return None, None
    values = read_array(source.mask, ndim=(2, 3))
    good = (values == 0) if source.mask_marks == "bad" else (values != 0)
    if not good.any():
        raise InputError(f"{source.mask}: masks every pixel; does non-zero mean good there? Then set mask_marks: good")
    if good.ndim == 2:
        return good, None
    if good.shape != (n_frames, *placement.recorded_yx):
        volume = (n_frames, *placement.recorded_yx)
        raise InputError(f"{source.mask}: 3D mask of shape {good.shape}, but the volume is {volume}")
    y0, y1, x0, x1 = placement.window_in_frames
    return None, ~good[:, y0:y1, x0:x1]


def _cut(image: NDArray[Any], placement: Placement, path: Path | None, kind: str, observer: Observer) -> NDArray[Any]:
    cut = placement.cut(image)
    y0, y1, x0, x1 = placement.on_chip
    if cut is None:
        raise InputError(
            f"{path}: the {kind} image {image.shape} has no region rows {y0}:{y1}, columns {x0}:{x1} of the frames' "
            f"shape {placement.shape}; state the option 'region' as (y0, y1, x0, x1) of the full chip"
        )
    if image.shape not in (placement.shape, placement.recorded_yx):
        origin = "as recorded or stated" if placement.region else "assumed: the files don't say"
        text = f"{kind}: the frames are rows {y0}:{y1}, columns {x0}:{x1} of {image.shape} ({origin})"
        observer(Note("region", text))
    return cut
