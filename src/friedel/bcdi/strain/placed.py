"""A crystal on its cubic grid on the way to displacement and strain: what analysis and error bars both read from it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.strain.gradient import mean_gradient, phase_gradient
from friedel.bcdi.strain.regrid import CubicGrid

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Placed:
    """A field on its cubic grid, with the vectors in the grid's frame, components ``(x, y, z)``.

    ``factor`` is exp(iφ), continued beyond the surface so that derivatives there have neighbours; ψ is their product.
    ``basis`` and ``trusted`` are the steps and the bright voxels of the array that it was interpolated from.
    """

    amplitude: Floats
    factor: NDArray[np.complex128]
    inside: Mask
    grid: CubicGrid
    h: Floats
    k_in: Floats
    basis: Floats
    trusted: Mask

    @property
    def known(self) -> Mask:
        """Where the phase is known, ``(z, y, x)`` bool."""
        return np.asarray(np.abs(self.factor) > 0)

    @property
    def spacing(self) -> float:
        """2π/|h|, Å."""
        return float(2 * np.pi / np.linalg.norm(self.h))


def without_ramp(placed: Placed) -> Placed:
    """Move the mean phase gradient g from the object into h: the crystal's mean scattering vector is h + g."""
    ramp = mean_gradient(placed.amplitude * placed.factor, placed.inside)[::-1] / placed.grid.voxel_size
    factor = placed.factor * np.exp(-1j * (placed.grid.positions() @ ramp))
    factor *= np.exp(-1j * np.angle((placed.amplitude * factor)[placed.inside].sum()))
    return replace(placed, factor=factor, h=placed.h + ramp)


def strain_along_h(factor: NDArray[np.complex128], placed: Placed) -> Floats:
    """Return ∂u/∂n = −(n·∇φ)/|h| of a phase factor ``(z, y, x)`` on the grid; NaN outside."""
    length = float(np.linalg.norm(placed.h))
    gradient = phase_gradient(factor, np.abs(factor) > 0) / placed.grid.voxel_size
    along = np.tensordot(placed.h[::-1] / length, gradient, axes=1)
    return np.where(placed.inside, -along / length, np.nan)
