"""Undo the refraction and absorption that the beam suffers inside the crystal itself."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.core.errors import PlanError
from friedel.core.optional import load_optional

Floats = NDArray[np.float64]


def refractive_decrements(formula: str, photon_energy_ev: float) -> tuple[float, float]:
    """Return δ and β of the refractive index 1 − δ + iβ from xrayutilities' materials.

    Raises
    ------
    PlanError
        If the material is unknown there.
    """
    materials = load_optional(
        "xrayutilities.materials", package="xrayutilities", extra="bcdi", purpose="look up refractive indices"
    )

    material = getattr(materials, formula, None)
    if not isinstance(material, materials.Crystal):
        raise PlanError(
            f"refraction_material {formula!r} is no crystal of xrayutilities.materials; try 'Au', 'Pt' or 'Si'"
        )
    return float(material.delta(en=photon_energy_ev)), float(material.ibeta(en=photon_energy_ev))


def path_length(
    inside: NDArray[np.bool_], wanted: NDArray[np.bool_], voxel_size: float, k_in: Floats, k_out: Floats
) -> Floats:
    """Return how far the beam runs through the crystal to each voxel and from it to the detector.

    Parameters
    ----------
    inside : (z, y, x) bool
        The crystal on a cubic grid.
    wanted : (z, y, x) bool
        For which voxels; they may lie outside.
    voxel_size : float
        Å.
    k_in, k_out : (3,) float64
        Wave vectors, components ``(x, y, z)`` of the grid's frame; only their directions count.

    Returns
    -------
    (z, y, x) float64, Å
        Zero elsewhere.
    """
    back = -k_in[::-1] / np.linalg.norm(k_in)
    on = k_out[::-1] / np.linalg.norm(k_out)
    total = np.zeros(inside.shape)
    total[wanted] = voxel_size * (_ray(inside, wanted, back) + _ray(inside, wanted, on))
    return total


def _ray(inside: NDArray[np.bool_], wanted: NDArray[np.bool_], direction: Floats, step: float = 0.5) -> Floats:
    """Return the filled length, in voxels, from each wanted voxel along a ``(z, y, x)`` direction."""
    solid = inside.astype(np.float32)
    start = np.argwhere(wanted).astype(np.float64).T
    n_steps = int(np.ceil(np.linalg.norm(np.ptp(start, axis=1) + 2) / step))
    length = np.zeros(start.shape[1])
    for k in range(n_steps):
        ahead = start + (k + 0.5) * step * direction[:, None]
        length += step * ndimage.map_coordinates(solid, ahead, order=1, mode="constant")
    return length


def refraction_factor(path: Floats, *, delta: float, beta: float, wavelength: float) -> NDArray[np.complex128]:
    """Return what ψ must be multiplied by to undo the crystal's own refraction and absorption.

    With waves exp(i(k·r − ωt)) a path L in matter of index 1 − δ + iβ multiplies the field by exp(−iδkL − βkL),
    k = 2π/λ; this is its inverse.

    Parameters
    ----------
    path : (z, y, x) float64
        `path_length`, Å.
    delta, beta : float
        Of the refractive index.
    wavelength : float
        Å.

    References
    ----------
    Harder, Pfeifer, Williams, Vartanyants & Robinson, Phys. Rev. B 76, 115425 (2007).
    """
    k = 2 * np.pi / wavelength
    return np.asarray(np.exp((1j * delta + beta) * k * path))
