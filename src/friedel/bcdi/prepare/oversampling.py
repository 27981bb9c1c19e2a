"""What a prepared pattern's sampling allows: told, and warned of where phases aren't determined."""

import math

from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Note, Observer, Warned, silent

LEAST_IN_ALL = 2.0
"""Box over object, in voxels: below it there are fewer measured numbers than unknown ones (Miao, Sayre & Chapman,
J. Opt. Soc. Am. A 15, 1662 (1998)). In 3D the product over the axes counts: 2^(1/3) = 1.26 on each would do."""
_LEAST_ON_AN_AXIS = 1.2  # a little below 1.26, because the estimate of one axis is good to some 15 %


def note_oversampling(counts: Counts, *, observer: Observer = silent) -> None:
    """Tell the observer the oversampling, and warn where it is too low to phase."""
    ratios = estimate_oversampling(counts.values, counts.mask)
    z, y, x = ratios
    text = f"oversampling about {z:.1f}, {y:.1f}, {x:.1f} along z, y, x; {math.prod(ratios):.1f} in all (least: 2)"
    observer(Note("oversampling", text, {"z": z, "y": y, "x": x}))
    if math.prod(ratios) < LEAST_IN_ALL or min(ratios) < _LEAST_ON_AN_AXIS:
        observer(
            Warned("oversampling", "the object seems to fill its box along an axis: bin less, or rock in finer steps")
        )
