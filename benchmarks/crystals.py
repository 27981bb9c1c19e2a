"""Simulated crystals with their truth, from two generators, and how a result is judged against the truth.

The second generator, `friedel.bcdi.crystals.wavy_crystal`, shares nothing with the first and is never trained with:
a figure on it isn't only a figure on the package's own family.
"""

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.records import Diffraction

Shape = tuple[int, int, int]
Object = NDArray[np.complex64]

GENERATORS = ("package", "other")
INSIDE = 0.5
"""Phases are compared where the truth's amplitude exceeds this fraction of its maximum: surface voxels are partly empty
and their phases mean little."""


def crystal(generator: str, shape: Shape, *, seed: int, phase_range_rad: float = 2 * np.pi) -> Object:
    """Return a crystal ``(z, y, x)`` complex64 of one of the `GENERATORS`."""
    if generator == "package":
        return random_crystal(shape, seed=seed, phase_range_rad=phase_range_rad).object
    return wavy_crystal(shape, seed=seed, phase_range_rad=phase_range_rad)


def measure(obj: Object, *, n_photons: float, seed: int, mask: NDArray[np.bool_] | None = None) -> Diffraction:
    """Return the noisy pattern of a crystal, unknown where ``mask`` is False."""
    known = np.ones(obj.shape, dtype=bool) if mask is None else mask
    counts = diffract(obj, n_photons=n_photons, seed=seed)
    return Diffraction(intensities=np.where(known, counts, np.float32(0)), mask=known, name=f"simulated {seed}")


def against_truth(obj: Object, truth: Object) -> tuple[float, float]:
    """Return the correlation with the truth, and the RMS phase error inside, radians.

    Twin, shift to 1/50 voxel and global phase are set aside first.
    """
    aligned, correlation = align_to(obj, truth)
    inside = np.abs(truth) > INSIDE * np.abs(truth).max()
    return correlation, phase_difference_rad(aligned, truth, inside)
