"""Subtract a detector's dark counts. A dark that only marks bad pixels is a mask, and is handled on reading."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.base.observer import Note, Observer, silent
from friedel.scans.counts import Counts


def subtract_dark(counts: Counts, dark: NDArray[np.float32] | None, *, observer: Observer = silent) -> Counts:
    """Return the counts less the dark ``(y, x)``, not below 0; unchanged without one."""
    if dark is None:
        return counts
    values = np.where(counts.mask, np.maximum(counts.values - dark, np.float32(0)), np.float32(0))
    text = f"subtracted the dark image: median {np.median(dark):.3g}, at most {dark.max():.3g} counts a pixel and frame"
    observer(Note("dark", text, {"median": float(np.median(dark)), "maximum": float(dark.max())}))
    return replace(counts, values=values)
