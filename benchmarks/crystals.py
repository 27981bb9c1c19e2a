"""Simulated crystals with their truth, from two generators, and how a result is judged against the truth.

The second generator shares nothing with `friedel.samples`: random planes cut a polyhedron and low-order trigonometric
fields bend its phase. A figure on it isn't only a figure on the package's own family.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from friedel.forward import diffract
from friedel.phasing.ambiguities import align_to, phase_difference_rad
from friedel.records import Diffraction
from friedel.samples import random_crystal

Shape = tuple[int, int, int]
Object = NDArray[np.complex64]

GENERATORS = ("package", "other")
INSIDE = 0.5
"""Phases are compared where the truth's amplitude exceeds this fraction of its maximum: surface voxels are partly empty
and their phases mean little."""
_TRIES_PER_EDGE = 3


def crystal(generator: str, shape: Shape, *, seed: int, phase_range_rad: float = 2 * np.pi) -> Object:
    """Return a crystal ``(z, y, x)`` complex64 of one of the `GENERATORS`."""
    if generator == "package":
        return random_crystal(shape, seed=seed, phase_range_rad=phase_range_rad).object
    return other_crystal(shape, seed=seed, phase_range_rad=phase_range_rad)


def other_crystal(shape: Shape, *, seed: int, phase_range_rad: float) -> Object:
    """Return a polyhedron of random planes with a trigonometric phase field, ramp taken out.

    Its largest radius is 0.18 to 0.25 of each axis, so that the box is at least twice the crystal.
    """
    rng = np.random.default_rng([seed, 20_071])
    radii = np.asarray(shape) * rng.uniform(0.18, 0.25)
    normals = rng.normal(size=(int(rng.integers(9, 18)), 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distances = rng.uniform(0.6, 1.0, len(normals))
    place = rng.uniform(-0.4, 0.4, 3)
    share = _share(shape, radii, place, normals, distances)
    inside = share > 0
    r = (np.argwhere(inside) - np.asarray(shape) // 2 - place) / radii
    phase = _bent(r, rng)
    phase -= _plane(r, phase, share[inside])
    phase *= phase_range_rad / np.ptp(phase)
    obj = np.zeros(shape, dtype=np.complex64)
    obj[inside] = share[inside] * np.exp(1j * phase)
    return obj


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


def _share(
    shape: Shape, radii: NDArray[np.float64], place: NDArray[np.float64], normals: NDArray[np.float64],
    distances: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Return how much of each voxel lies below every plane and within the unit sphere of scaled coordinates."""
    centred = np.moveaxis(np.indices(shape), 0, -1) - np.asarray(shape) // 2 - place
    ticks = (np.arange(_TRIES_PER_EDGE) + 0.5) / _TRIES_PER_EDGE - 0.5
    share = np.zeros(shape)
    for offset in product(ticks, repeat=3):
        r = (centred + np.asarray(offset)) / radii
        share += ((r @ normals.T) <= distances).all(axis=-1) & ((r * r).sum(axis=-1) <= 1)
    return share / _TRIES_PER_EDGE**3


def _bent(r: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    waves = rng.integers(-2, 3, size=(5, 3)) * np.pi / 2
    offsets, strengths = rng.uniform(0, 2 * np.pi, 5), rng.normal(size=5)
    # A wave of zero frequency is no wave: one along z takes its place, so that some bend is left in any draw.
    waves[~waves.any(axis=1)] = (np.pi / 2, 0.0, 0.0)
    return np.asarray(np.cos(r @ waves.T + offsets) @ strengths)


def _plane(r: NDArray[np.float64], phase: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    design = np.column_stack([np.ones(len(r)), r])
    root = np.sqrt(weight)[:, None]
    return np.asarray(design @ np.linalg.lstsq(design * root, phase * root[:, 0], rcond=None)[0])
