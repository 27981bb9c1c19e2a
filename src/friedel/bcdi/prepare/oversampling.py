"""What a prepared pattern's sampling allows: told, and warned of where phases aren't determined."""

import math

import numpy as np

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.prepare.counts import Counts
from friedel.core.observer import Note, Observer, Warned, silent

LEAST_IN_ALL = 2.0
"""Box over object, in voxels: below it there are fewer measured numbers than unknown ones (Miao, Sayre & Chapman,
J. Opt. Soc. Am. A 15, 1662 (1998)). In 3D the product over the axes counts: 2^(1/3) = 1.26 on each would do."""
_LEAST_ON_AN_AXIS = 1.2  # a little below 1.26, because the estimate of one axis is good to some 15 %


# The scanned axis' extent over the mean of the detector's two axes'. Crystals are that long or flat at the most,
# needles and plates among them up to a third of it; radians taken for degrees, or a full turn, make it 57 and more.
MOST_DRAWN_OUT = 30.0


def note_oversampling(counts: Counts, grid: ReciprocalGrid | None = None, *, observer: Observer = silent) -> None:
    """Tell the observer the oversampling, and warn where it is too low to phase, or the object can't be a crystal.

    Parameters
    ----------
    counts : Counts
        The pattern ``(z, y, x)`` in its box.
    grid : ReciprocalGrid or None
        Its steps in q; None: not known.
    observer : Observer
        Told.
    """
    ratios = estimate_oversampling(counts.values, counts.mask)
    z, y, x = ratios
    text = f"oversampling about {z:.1f}, {y:.1f}, {x:.1f} along z, y, x; {math.prod(ratios):.1f} in all (least: 2)"
    observer(Note("oversampling", text, {"z": z, "y": y, "x": x}))
    if math.prod(ratios) < LEAST_IN_ALL or min(ratios) < _LEAST_ON_AN_AXIS:
        observer(
            Warned("oversampling", "the object seems to fill its box along an axis: bin less, or rock in finer steps")
        )
    if grid is not None:
        _watch_the_extent(grid, ratios, observer)


def _watch_the_extent(grid: ReciprocalGrid, ratios: tuple[float, float, float], observer: Observer) -> None:
    """Warn where the crystal comes out drawn out, or flattened, along the scan by more than crystals are."""
    steps = np.linalg.norm(grid.basis, axis=1)
    along, *across = (2 * math.pi / (step * ratio) for step, ratio in zip(steps, ratios, strict=True))
    times = along / math.sqrt(across[0] * across[1])
    if not 1 / MOST_DRAWN_OUT < times < MOST_DRAWN_OUT:
        text = f"the crystal comes out {along / 10:.3g} nm long along the scan and {across[0] / 10:.3g} × "
        text += f"{across[1] / 10:.3g} nm across: are the scanned motor's readings in another unit than degrees, or "
        observer(Warned("angles", text + "another motor's?", bends=True))
