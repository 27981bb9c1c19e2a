"""Voxels that counted too much to count right."""

from friedel.base.observer import Note, Observer, Warned, silent
from friedel.scans.counts import Counts


def mask_saturated(counts: Counts, level: float | None, *, observer: Observer = silent) -> Counts:
    """Return the counts with voxels at or above ``level`` unknown; unchanged if it is None."""
    if level is None:
        return counts
    saturated = counts.mask & (counts.values >= level)
    n = int(saturated.sum())
    observer(Note("saturation", f"{n} voxels at or above {level:g} counts are unknown", {"voxels": float(n)}))
    if n > 0.001 * counts.mask.sum():
        observer(
            Warned("saturation", f"{n} voxels are saturated: the peak's centre is unknown, and sizes will be less sure")
        )
    return counts.without(saturated)
