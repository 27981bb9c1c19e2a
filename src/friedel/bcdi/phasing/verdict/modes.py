"""What independent solutions have in common: an orthogonal decomposition over aligned objects."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Object = NDArray[np.complex64]


def modes(objects: Sequence[Object]) -> tuple[list[Object], tuple[float, ...]]:
    """Decompose aligned objects into orthogonal modes.

    Parameters
    ----------
    objects : sequence of (z, y, x) complex64
        Solutions, aligned to one of them.

    Returns
    -------
    modes : list of (z, y, x) complex64
        Orthogonal, largest first, each with the norm of its share; the first is what the solutions have in common
        (Favre-Nicolin et al., Eur. Phys. J. Appl. Phys. 90, 2020).
    fractions : tuple of float
        Their shares of the total power; the first is near 1 where the solutions agree.
    """
    matrix = np.stack([obj.ravel() for obj in objects])
    # The Gram matrix has one row a solution; an SVD of all voxels would give the same modes at far greater cost.
    power, vectors = np.linalg.eigh(matrix @ matrix.conj().T)
    order = np.argsort(power)[::-1]
    fractions = tuple(float(max(power[k], 0.0) / max(power.sum(), 1e-30)) for k in order)
    found = [(vectors[:, k].conj() @ matrix / np.sqrt(len(objects))).reshape(objects[0].shape) for k in order]
    return [_like(mode, objects[0]).astype(np.complex64) for mode in found], fractions


def _like(mode: Object, reference: Object) -> Object:
    """Return the mode with the global phase of the reference."""
    turned: Object = mode * np.exp(-1j * np.angle(np.vdot(reference, mode)))
    return turned
