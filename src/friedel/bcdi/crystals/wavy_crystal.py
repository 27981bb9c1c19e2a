"""A second family of crystals, that networks are judged on and never trained with.

It shares no code with `friedel.bcdi.crystals.random_crystal`: random planes cut a polyhedron out of an ellipsoid,
and low-order trigonometric fields are its phase. So what a network scores on it shows how it does on crystals unlike
those it learnt from.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError

Floats = NDArray[np.float64]
Shape = tuple[int, int, int]

_STREAM = 20_071  # joined to the seed, so that these crystals share no random numbers with the other family's
_TRIES_PER_EDGE = 3  # points a voxel edge for its filled share: steps of 1/27
_RADII = (0.18, 0.25)  # of the enclosing sphere, shares of the box: an oversampling of 2.8 to 2


def wavy_crystal(
    shape: Shape, *, seed: int, phase_range_rad: float = 2 * np.pi, over_sphere: float | None = None
) -> NDArray[np.complex64]:
    """Make a polyhedron of random planes with a trigonometric phase field, its ramp taken out.

    Parameters
    ----------
    shape : (int, int, int)
        ``(z, y, x)`` of the array.
    seed : int
        The same seed gives the same crystal.
    phase_range_rad : float
        Peak-to-peak phase inside.
    over_sphere : float or None
        Box over the diameter of the sphere (in a box with unequal sides, the ellipsoid) that encloses the crystal; None
        draws 2 to 2.8.

    Returns
    -------
    (z, y, x) complex64
        About 1 inside, the filled share of the voxel on the surface.

    Raises
    ------
    InputError
        If the sphere doesn't fit the box.
    """
    if over_sphere is not None and over_sphere < 1:
        raise InputError(f"over_sphere is {over_sphere!r}: the enclosing sphere must fit its box; give at least 1")
    rng = np.random.default_rng([seed, _STREAM])
    share_of_axis = rng.uniform(*_RADII)  # drawn even when given, so that giving it changes nothing else
    radii = np.asarray(shape) * (share_of_axis if over_sphere is None else 0.5 / over_sphere)
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


def _share(shape: Shape, radii: Floats, place: Floats, normals: Floats, distances: Floats) -> Floats:
    """Return how much of each voxel lies below every plane and within the unit sphere of scaled coordinates."""
    centred = np.moveaxis(np.indices(shape), 0, -1) - np.asarray(shape) // 2 - place
    ticks = (np.arange(_TRIES_PER_EDGE) + 0.5) / _TRIES_PER_EDGE - 0.5
    share = np.zeros(shape)
    for offset in product(ticks, repeat=3):
        r = (centred + np.asarray(offset)) / radii
        share += ((r @ normals.T) <= distances).all(axis=-1) & ((r * r).sum(axis=-1) <= 1)
    return share / _TRIES_PER_EDGE**3


def _bent(r: Floats, rng: np.random.Generator) -> Floats:
    waves = rng.integers(-2, 3, size=(5, 3)) * np.pi / 2
    offsets, strengths = rng.uniform(0, 2 * np.pi, 5), rng.normal(size=5)
    # A wave of zero frequency is no wave: one along z takes its place, so that some bend is left in any draw.
    waves[~waves.any(axis=1)] = (np.pi / 2, 0.0, 0.0)
    return np.asarray(np.cos(r @ waves.T + offsets) @ strengths)


def _plane(r: Floats, phase: Floats, weight: Floats) -> Floats:
    design = np.column_stack([np.ones(len(r)), r])
    root = np.sqrt(weight)[:, None]
    return np.asarray(design @ np.linalg.lstsq(design * root, phase * root[:, 0], rcond=None)[0])
