"""Divide by the relative sensitivity of the pixels; those that hardly count are unknown."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.base.observer import Note, Observer, silent
from friedel.scans.counts import Counts


def apply_flat(
    counts: Counts, flat: NDArray[np.float32] | None, *, floor: float = 0.25, observer: Observer = silent
) -> Counts:
    """Return the counts over the flat field, whose median becomes 1 so that counts stay photons.

    Parameters
    ----------
    counts : Counts
        ``(rocking, y, x)``.
    flat : (y, x) float32 or None
        Flat field, any scale; None: nothing is done.
    floor : float
        Pixels below this fraction of the median are unknown: dividing by so little would amplify their noise.

    Raises
    ------
    InputError
        If the flat field's median is not positive.
    """
    if flat is None:
        return counts
    median = float(np.median(flat[counts.mask.any(axis=0)]))
    if not median > 0:
        raise InputError(
            "the flat field's median is not positive; is it a flat field? Leave it out, or check its region"
        )
    relative = flat / np.float32(median)
    weak = relative < floor
    kept = counts.without(weak)
    values = kept.values / np.where(weak, np.float32(1), relative)
    spread = float(relative[~weak].std())
    what = f"{int(weak.sum())} pixels below {floor:g} of its median are unknown"
    text = f"divided by the flat field (spread {spread:.1%}); {what}"
    observer(Note("flat field", text, {"pixels": float(weak.sum()), "spread": spread}))
    return replace(kept, values=values.astype(np.float32))
