"""From phase to displacement, unwrapped; and its gradient from the complex field itself, safe round dislocations."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import unwrap_phase

Floats = NDArray[np.float64]
Complexes = NDArray[np.complexfloating]
Mask = NDArray[np.bool_]


def smoothed(factor: Complexes, width: float) -> NDArray[np.complex128]:
    """Return exp(iφ) averaged over a Gaussian of RMS ``width`` voxels, as complex numbers, and of length one again.

    Parameters
    ----------
    factor : (z, y, x) complex
        exp(iφ), 0 where unknown; what is 0 stays 0.
    width : float
        Voxels; 0 changes nothing.
    """
    if width == 0:
        return np.asarray(factor, dtype=np.complex128)
    mean = ndimage.gaussian_filter(factor.real, width) + 1j * ndimage.gaussian_filter(factor.imag, width)
    size = np.abs(mean)
    return np.asarray(np.divide(mean, size, out=np.zeros_like(mean), where=(size > 1e-6) & (factor != 0)))


def phase_gradient(field: Complexes, inside: Mask) -> Floats:
    """Return the phase gradient at every voxel, from links to neighbours inside.

    Along each axis the links ψ(r+e)ψ*(r) and ψ(r)ψ*(r−e) whose ends both lie inside are added, and the angle of the
    sum is the gradient: the finite form of Im(ψ*∂ψ)/|ψ|², exact for a phase linear over three voxels, one-sided on
    the surface, and blind to multiples of 2π as long as neighbours differ by less than π.

    Parameters
    ----------
    field : (z, y, x) complex
        ψ.
    inside : (z, y, x) bool
        Voxels whose phase means something.

    Returns
    -------
    (3, z, y, x) float64, radians per voxel
        Components along ``(z, y, x)``; NaN where no link is inside.
    """
    return np.stack([_along(field, inside, axis) for axis in range(3)])


def mean_gradient(field: Complexes, inside: Mask) -> Floats:
    """Return the mean phase gradient over the inside, weighted by |ψ|²: radians per voxel along ``(z, y, x)``."""
    weights = np.abs(field[inside]).astype(np.float64) ** 2
    components = phase_gradient(field, inside)[:, inside]
    known = np.isfinite(components)
    values = np.where(known, components, 0.0)
    return np.asarray((values * weights).sum(axis=1) / np.maximum((known * weights).sum(axis=1), 1e-300))


def _along(field: Complexes, inside: Mask, axis: int) -> Floats:
    ahead, behind = _part(axis, slice(1, None)), _part(axis, slice(None, -1))
    both = inside[ahead] & inside[behind]
    links = np.where(both, field[ahead] * np.conj(field[behind]), 0)
    # Links enter as pure phases: weighted by amplitude, the brighter of the two would dominate where the density falls.
    size = np.abs(links)
    links = np.divide(links, size, out=np.zeros_like(links), where=size > 0)
    total = np.zeros(field.shape, dtype=np.complex128)
    total[behind] += links
    total[ahead] += links
    return np.where(np.abs(total) > 0, np.angle(total), np.nan)


def _part(axis: int, cut: slice) -> tuple[slice, slice, slice]:
    whole = [slice(None)] * 3
    whole[axis] = cut
    return whole[0], whole[1], whole[2]


def phase_turns(field: Complexes, inside: Mask) -> Mask:
    """Return the voxels around which the phase turns: corners of squares with a winding of ±2π.

    Parameters
    ----------
    field : (z, y, x) complex
        ψ.
    inside : (z, y, x) bool
        Where to look; include the weak core of a dislocation.

    References
    ----------
    Residues of two-dimensional phase unwrapping: Goldstein, Zebker & Werner, Radio Sci. 23, 713 (1988).
    """
    found = np.zeros(field.shape, dtype=bool)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        corners = [_corner(first, second, i, j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
        whole = np.logical_and.reduce([inside[corner] & (np.abs(field[corner]) > 0) for corner in corners])
        turn = sum(
            np.angle(field[b] * np.conj(field[a])) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
        )
        residue = whole & (np.abs(turn) > np.pi)
        for corner in corners:
            found[corner] |= residue
    return found


def _corner(first: int, second: int, i: int, j: int) -> tuple[slice, slice, slice]:
    cut = {0: slice(None, -1), 1: slice(1, None)}
    whole = [slice(None)] * 3
    whole[first], whole[second] = cut[i], cut[j]
    return whole[0], whole[1], whole[2]


def displacement_along_h(
    field: NDArray[np.complexfloating], inside: NDArray[np.bool_], h_length: float, *, unwrap: bool
) -> NDArray[np.float32]:
    """Return the displacement along h.

    Parameters
    ----------
    field : (z, y, x) complex
        ψ = ρ exp(−i h·u).
    inside : (z, y, x) bool
        The crystal, in one piece.
    h_length : float
        |h|, Å⁻¹.
    unwrap : bool
        Join jumps of 2π; the mean over the crystal is then zero.

    Returns
    -------
    (z, y, x) float32, Å
        NaN outside.

    References
    ----------
    Unwrapping: Abdul-Rahman et al., Appl. Opt. 46, 6623 (2007), as scikit-image has it.
    """
    phase = np.angle(field).astype(np.float64)
    if unwrap:
        joined = unwrap_phase(np.ma.masked_array(phase, ~inside), rng=0)
        phase = np.ma.filled(joined, np.nan)
        phase = phase - np.nanmean(phase)
    return np.where(inside, -phase / h_length, np.nan).astype(np.float32)
