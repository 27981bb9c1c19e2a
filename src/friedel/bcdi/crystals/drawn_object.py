"""Many training objects from one crystal: a reflection, an orientation and an oversampling drawn each time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.bcdi.crystals.fcc import Reflection, equivalent_reflections
from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.random_crystal import OVERSAMPLING

Floats = NDArray[np.float64]

REFLECTIONS: tuple[Reflection, ...] = ((1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1), (2, 2, 2))
"""Families that beamlines measure."""
SUPPORT_LEVEL = 0.1
"""|ψ|, relative to a full voxel, from which a voxel belongs to the support."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DrawnObject:
    """A crystal in one orientation, seen in one reflection.

    Attributes
    ----------
    object : (z, y, x) complex64
        ψ = ρ exp(−i h·u), about 1 inside.
    support : (z, y, x) bool
        Where |ψ| is at least a tenth.
    hkl : (int, int, int)
        The reflection.
    rotation : (3, 3) float64
        From crystal to laboratory axes ``(x, y, z)``.
    oversampling : (float, float, float)
        Box over crystal along ``(z, y, x)``.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    hkl: Reflection
    rotation: Floats
    oversampling: tuple[float, float, float]


def drawn_object(
    crystal: CrystalField,
    shape: tuple[int, int, int],
    *,
    rng: np.random.Generator,
    reflections: Sequence[Reflection] = REFLECTIONS,
    oversampling: tuple[float, float] = OVERSAMPLING,
    phase_range_rad: tuple[float, float] | None = None,
) -> DrawnObject:
    """Draw a reflection, an orientation and each axis' oversampling, and put the crystal on a grid.

    Parameters
    ----------
    crystal : CrystalField
        From a store, or just made.
    shape : (int, int, int)
        ``(z, y, x)`` of the array.
    rng : numpy Generator
        Source of chance.
    reflections : sequence of (int, int, int)
        Families to draw from; any reflection of one, and its opposite, may come.
    oversampling : (float, float)
        Range of box over crystal, drawn for each axis.
    phase_range_rad : (float, float) or None
        The crystal is magnified until its phase range, which is drawn from here, is met; one with a dislocation or
        a stacking fault keeps its size, and so its own phase. None keeps every crystal's own.

    Raises
    ------
    InputError
        If the lattice forbids a reflection, or the oversampling is below 1.
    """
    equals = equivalent_reflections(reflections[int(rng.integers(len(reflections)))])
    h, k, l = equals[int(rng.integers(len(equals)))]  # noqa: E741
    sign = 1 if rng.random() < 0.5 else -1
    hkl = (sign * h, sign * k, sign * l)
    rotation = np.asarray(Rotation.random(random_state=rng).as_matrix())
    z, y, x = rng.uniform(*oversampling, size=3)
    if phase_range_rad is not None and crystal.continuous and crystal.phase_range_rad(hkl) > 0:
        crystal = crystal.magnified(float(rng.uniform(*phase_range_rad)) / crystal.phase_range_rad(hkl))
    psi = crystal.oversampled(hkl, rotation=rotation, oversampling=(z, y, x), shape=shape)
    return DrawnObject(
        object=psi,
        support=np.asarray(np.abs(psi) >= SUPPORT_LEVEL),
        hkl=hkl,
        rotation=rotation,
        oversampling=(float(z), float(y), float(x)),
    )
