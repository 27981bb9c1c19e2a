"""Put every frame on the same incident intensity."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.base.observer import Note, Observer, Warned, silent
from friedel.scans.counts import Counts

FLAT = 1e-3


def normalise_monitor(counts: Counts, monitor: NDArray[np.float64] | None, *, observer: Observer = silent) -> Counts:
    """Return the counts times mean over each frame's monitor ``(n_rocking,)``; unchanged without a usable one.

    Frames whose monitor is not positive are unknown; if they are more than half, the monitor is not believed.
    """
    if monitor is None:
        return counts
    good = np.isfinite(monitor) & (monitor > 0)
    if good.sum() <= 0.5 * good.size:
        observer(Warned("monitor", f"only {int(good.sum())} of {good.size} monitor readings are positive: not used"))
        return counts
    factor = np.where(good, monitor[good].mean() / np.where(good, monitor, 1.0), 1.0)
    scaled = f"frames scaled by {factor.min():.3f} to {factor.max():.3f} to one monitor"
    text = f"{scaled}; {int((~good).sum())} without are unknown"
    observer(Note("monitor", text, {"lowest": float(factor.min()), "highest": float(factor.max())}))
    if np.ptp(factor) < FLAT and good.all():
        return counts
    kept = counts.without(~good[:, None, None])
    return replace(kept, values=kept.values * factor[:, None, None].astype(np.float32))
