"""One sense of masks: non-zero is bad, as in CXI, NeXus, numpy.ma and the field's programs.

A user whose mask marks good pixels says so (``mask_marks="good"``). A mask that, with non-zero as bad, would hide most
pixels and most of the light is taken in the other sense with a warning; where only one of the two holds, it is refused
and the user asked. Reads no file.
"""

import re
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.core.files.marks import find_marks
from friedel.core.observer import Note, Observer, Warned, silent

_GOOD_NAME = re.compile(
    r"(.*_)?(good|valid)_?(pix(el)?s?|mask|map)?|(.*_)?mask_?(good|valid)|(good|valid)_?pix(el)?_?mask", re.IGNORECASE
)
_NAME = re.compile(r"(.*_)?mask(_.*)?|pixel_?mask|(bad|hot|dead)_?pix.*", re.IGNORECASE)


def is_mask_name(name: str) -> bool:
    """Tell whether a dataset's or array's own name is one by which programs call what says which pixels are bad.

    CXI's, NeXus' and Cheetah's ``mask``, ``pixel_mask`` and ``mask_shared``, the likes of ``badpixelmap``, and names of
    masks that mark the good ones (`marks_good`).
    """
    return _NAME.fullmatch(name.rpartition("/")[2]) is not None or marks_good(name)


def marks_good(name: str) -> bool:
    """Tell whether a mask's own name says that it marks the good pixels: ``good_pixels``, ``valid``, ``goodmask``."""
    return _GOOD_NAME.fullmatch(name.rpartition("/")[2]) is not None


Marks: TypeAlias = Literal["bad", "good"]
# Least share of the pixels, and of the counts, that a mask must leave. Gaps, dead pixels and a beamstop hide a small
# part of a detector; a mask that leaves less is more likely meant the other way round, and so is asked about.
LEAST_LEFT = 1 / 3
LEAST_LIGHT = 0.5
# The brightest 20 voxels count as no brighter than the 21st, so that a few hot ones don't decide where the light is.
BRIGHTEST = 20


def measured_from(
    mask: NDArray[Any],
    frames: NDArray[Any],
    *,
    marks: Marks | None = None,
    bits: bool = False,
    name: str = "mask",
    observer: Observer = silent,
) -> NDArray[np.bool_]:
    """Return where a mask lets the detector measure: True is measured.

    Parameters
    ----------
    mask : (y, x) or (n, y, x), bool, whole numbers or floats
        Non-zero is bad, unless ``marks`` says otherwise.
    frames : (n, y, x)
        The data, by which the sense is checked.
    marks : {"bad", "good"} or None
        What non-zero means; None: bad, unless that hides the peak and most pixels while the opposite shows them.
    bits : bool
        Whether whole numbers are CXI's bits, some of which mark good pixels.
    name : str
        The mask's origin, for messages.
    observer : Observer
        Hears which sense was taken and what is left.

    Raises
    ------
    InputError
        If the mask isn't one, hides everything, or leaves doubt about its sense.
    """
    bad = _bad(mask, bits=bits, name=name)
    if marks is not None:
        measured = ~bad if marks == "bad" else bad
        sense = f"non-zero is {marks}, as stated"
    else:
        measured, sense = _in_doubt(bad, frames, name, observer)
    if not measured.any():
        raise InputError(f"{name}: masks every pixel; does non-zero mark good pixels? Then set mask_marks to 'good'")
    left = float(measured.mean())
    observer(Note("mask", f"{name}: {sense}; it leaves {left:.2%} of the pixels", {"left": left}))
    return measured


def _bad(mask: NDArray[Any], *, bits: bool, name: str) -> NDArray[np.bool_]:
    if mask.dtype.kind not in "buif":
        raise InputError(f"{name}: a mask holds True and False or numbers, this one is of dtype {mask.dtype}")
    if bits and mask.dtype.kind in "ui":
        return ~good_pixels(mask)
    if mask.dtype.kind == "f" and not (np.isfinite(mask).all() and (mask == np.round(mask)).all()):
        raise InputError(
            f"{name}: holds fractions or NaN, so it says neither good nor bad; give 0 (good) and non-zero (bad)"
        )
    bad: NDArray[np.bool_] = mask != 0
    return bad


def _in_doubt(
    bad: NDArray[np.bool_], frames: NDArray[Any], name: str, observer: Observer
) -> tuple[NDArray[np.bool_], str]:
    left, light = float(1 - bad.mean()), _light(~bad, frames)
    if left >= LEAST_LEFT and light >= LEAST_LIGHT:
        return ~bad, "non-zero is bad"
    if left < LEAST_LEFT and light < LEAST_LIGHT < 1 - light:
        text = f"{name}: non-zero as bad would leave {left:.1%} of the pixels and hide the peak: taken to mark the good"
        observer(Warned("mask", f"{text} ones; state mask_marks 'good' (or 'bad')"))
        return bad, "non-zero is good, as the data show"
    raise InputError(
        f"{name}: with non-zero as bad it leaves {left:.1%} of the pixels and {light:.1%} of the light; does it mark "
        "good pixels? State mask_marks: 'good' if so, 'bad' if this is meant"
    )


def _light(measured: NDArray[np.bool_], frames: NDArray[Any]) -> float:
    """Return the share of the counts that measured voxels hold."""
    counts = frames.astype(np.float32)
    unknown = find_marks(frames).unknown
    if unknown is not None:
        counts[unknown] = 0
    np.maximum(counts, 0, out=counts)
    if counts.size > BRIGHTEST:
        np.minimum(counts, np.partition(counts, -BRIGHTEST, axis=None)[-BRIGHTEST], out=counts)
    total = float(counts.sum(dtype=np.float64))
    shown = float((counts * measured).sum(dtype=np.float64))
    return shown / total if total > 0 else 1.0
