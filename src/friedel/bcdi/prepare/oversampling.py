"""How finely the pattern is sampled, from the extent of its autocorrelation."""

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.prepare.counts import Counts
from friedel.core.fourier import fourier
from friedel.core.observer import Note, Observer, Warned, silent

LEVEL = 0.03


def oversampling(counts: Counts) -> tuple[float, float, float]:
    """Estimate the oversampling along ``(z, y, x)``: the box's side over the object's extent.

    The Fourier transform of the intensities is the object's autocorrelation, twice as wide as the object. Its extent is
    taken where its projection falls to 3 % of the maximum: an estimate, good to some 20 %, and unknown voxels blur it.
    """
    autocorrelation = fourier(torch.from_numpy(counts.values).to(torch.complex64)).abs().numpy()
    z, y, x = (_ratio(autocorrelation, axis) for axis in range(3))
    return z, y, x


def note_oversampling(counts: Counts, *, observer: Observer = silent) -> None:
    """Tell the observer the oversampling, and warn where it is too low to phase."""
    ratios = oversampling(counts)
    z, y, x = ratios
    text = f"oversampling about {z:.1f}, {y:.1f}, {x:.1f} along z, y, x (2 is the least that phasing can rely on)"
    observer(Note("oversampling", text, {"z": z, "y": y, "x": x}))
    if min(ratios) < 1.7:
        observer(
            Warned("oversampling", "the object seems to fill its box along an axis: bin less, or rock in finer steps")
        )


def _ratio(autocorrelation: NDArray[np.float32], axis: int) -> float:
    others = tuple(other for other in range(3) if other != axis)
    line = autocorrelation.max(axis=others)
    n, middle = line.size, line.size // 2
    # The origin itself holds the shot noise too: its neighbours give the level.
    top = max(line[middle - 1], line[(middle + 1) % n])
    above = np.flatnonzero(line > LEVEL * top)
    half_extent = max(middle - above.min(), above.max() - middle, 1)
    return float(n / half_extent)
