"""The one FFT pair; no other module touches an FFT.

Conventions (see docs/conventions.md): an object ψ diffracts to F(q) = Σ ψ(r) exp(-i q·r), with norm "ortho",
so that Σ|ψ|² = Σ|F|² = the number of photons. Records keep the origin of both spaces at index ``n // 2`` of
every axis ("centred"); a hot loop may keep it at index 0 ("corner") and uses the ``*_corner`` functions.
All functions work on the last three axes, whatever stands before them, on any device.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.optional import load_optional

AXES = (-3, -2, -1)


def to_corner(centred: Tensor) -> Tensor:
    """Move the origin of ``(..., z, y, x)`` from index ``n // 2`` to index 0."""
    return torch.fft.ifftshift(centred, dim=AXES)


def to_centre(corner: Tensor) -> Tensor:
    """Move the origin of ``(..., z, y, x)`` from index 0 to index ``n // 2``."""
    return torch.fft.fftshift(corner, dim=AXES)


def fourier_corner(obj: Tensor) -> Tensor:
    """Transform an object ``(..., z, y, x)`` to its diffraction, both with the origin at index 0."""
    return torch.fft.fftn(obj, dim=AXES, norm="ortho")


def fourier_of_part(part: Tensor, shape: Sequence[int]) -> Tensor:
    """Transform an object of which only a part ``(..., z, y, x)`` isn't zero; ``shape`` is the whole array's.

    The part's first voxel is taken for the origin, which turns phases but no modulus. Lines of zeros are left out: for
    an object of a third of the box along each axis, half the work of `fourier_corner`.
    """
    for axis, n in zip(AXES, shape, strict=True):
        part = torch.fft.fft(part, n=n, dim=axis, norm="ortho")
    return part


def fourier_of_frames(part: Tensor, along: Tensor, shape: Sequence[int]) -> Tensor:
    """Transform a part ``(z, y, x)`` of an object to frames ``(n, y, x)`` at any places along the first axis.

    Parameters
    ----------
    part : (z, y, x) complex Tensor
        All of the object that isn't zero.
    along : (n, z) complex Tensor
        What each of its layers gives to each frame (`layers_in_frames`).
    shape : (int, int)
        Of a frame.
    """
    for axis, n in zip(AXES[1:], shape, strict=True):
        part = torch.fft.fft(part, n=n, dim=axis, norm="ortho")
    return torch.tensordot(along.to(part.dtype), part, dims=1)


def layers_in_frames(places: Tensor, n: int) -> Tensor:
    """Return the rows of the transform of n layers for frames at fractional places ``(frames,)`` of a centred grid.

    At whole places they are the rows of `fourier`, but for a phase.
    """
    turns = torch.outer(places.double() - n // 2, torch.arange(n, dtype=torch.float64, device=places.device)) / n
    return torch.polar(torch.full_like(turns, n**-0.5), -2 * torch.pi * turns)


def part_of_inverse_fourier(diffraction: Tensor, shape: Sequence[int]) -> Tensor:
    """Transform ``(..., z, y, x)`` back to the first ``shape`` voxels: the adjoint of `fourier_of_part`."""
    for axis, n in zip(reversed(AXES), reversed(shape), strict=True):
        diffraction = torch.fft.ifft(diffraction, dim=axis, norm="ortho").narrow(axis, 0, n)
    return diffraction


def inverse_fourier_corner(diffraction: Tensor) -> Tensor:
    """Transform a complex diffraction ``(..., z, y, x)`` to its object, both with the origin at index 0."""
    return torch.fft.ifftn(diffraction, dim=AXES, norm="ortho")


def fourier(obj: Tensor) -> Tensor:
    """Transform a centred object ``(..., z, y, x)`` to its centred complex diffraction."""
    return to_centre(fourier_corner(to_corner(obj)))


def inverse_fourier(diffraction: Tensor) -> Tensor:
    """Transform a centred complex diffraction ``(..., z, y, x)`` to its centred object."""
    return to_centre(inverse_fourier_corner(to_corner(diffraction)))


def real_fourier_corner(values: Tensor) -> Tensor:
    """Transform real ``(..., z, y, x)`` to its half spectrum ``(..., z, y, x // 2 + 1)``, unnormalised."""
    return torch.fft.rfftn(values, dim=AXES)


def inverse_real_fourier_corner(spectrum: Tensor, shape: Sequence[int]) -> Tensor:
    """Undo `real_fourier_corner`; ``shape`` is the real array's ``(z, y, x)``."""
    return torch.fft.irfftn(spectrum, s=tuple(shape), dim=AXES)


def frequencies(n: int, *, device: torch.device | str | None = None) -> Tensor:
    """Return the corner-ordered frequencies of an axis of ``n`` samples, ``(n,)``, cycles per sample."""
    return torch.fft.fftfreq(n, device=device)


def half_frequencies(n: int, *, device: torch.device | str | None = None) -> Tensor:
    """Return the non-negative frequencies that `real_fourier_corner` keeps on its last axis, ``(n // 2 + 1,)``."""
    return torch.fft.rfftfreq(n, device=device)


def frame_power(frames: Tensor) -> Tensor:
    """Return |FFT|² of real 2D frames ``(..., y, x)``, norm "ortho".

    Returns
    -------
    (..., y, x // 2 + 1) tensor
        Frequencies in the transform's own order: from zero up, the vertical ones below zero behind.
    """
    squares = torch.view_as_real(torch.fft.rfft2(frames, norm="ortho")).square_()
    return squares[..., 0] + squares[..., 1]


def fourier_at(
    density: NDArray[np.complex64], points: Sequence[NDArray[np.float32]], *, tolerance: float
) -> NDArray[np.complex64]:
    """Return Σ ρ(r) exp(−i q·r) at any points q.

    Parameters
    ----------
    density : (z, y, x) complex64
        The origin at index ``n // 2``.
    points : three (n_points,) float32 arrays
        q along z, y and x, rad per voxel.
    tolerance : float
        Accuracy relative to the sum of |ρ|.

    Returns
    -------
    (n_points,) complex64
        Zero outside the first Brillouin zone, where a density on voxels says nothing.
    """
    finufft = load_optional("finufft", package="finufft", extra="spi", purpose="simulate frames of particles")

    # Points of a slice lie in order already: sorting them takes longer than it saves.
    plan = finufft.Plan(
        2, density.shape, eps=tolerance, isign=-1, dtype="complex64", upsampfac=1.25, nthreads=1, spread_sort=0
    )
    plan.setpts(*points)
    values: NDArray[np.complex64] = plan.execute(density)
    if max(max(axis.max(), -axis.min()) for axis in points if axis.size) > np.pi:
        values[np.any([np.abs(axis) > np.pi for axis in points], axis=0)] = 0
    return values


def convolved(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the convolution of two images ``(y, x)`` of one shape, ``(2 y, 2 x)``; the last row and column are 0."""
    shape = [2 * n for n in first.shape]
    spectra = [torch.fft.rfft2(torch.from_numpy(values), s=shape) for values in (first, second)]
    return np.asarray(torch.fft.irfft2(spectra[0] * spectra[1], s=shape).numpy())


def ring_fourier(values: Tensor) -> Tensor:
    """Return Σ_j v(φ_j) exp(−i m φ_j), m = 0 … n // 2, of real values on rings ``(..., n)`` of equal angles."""
    return torch.fft.rfft(values, dim=-1)


def ring_values(harmonics: Tensor, n: int, *, dim: int = -1) -> Tensor:
    """Return Re Σ_m h_m exp(i m φ_j) at ``n`` equal angles, with −m the conjugate of m; missing harmonics are zero.

    Undoes `ring_fourier` up to the factor n.
    """
    return torch.fft.irfft(harmonics, n=n, dim=dim, norm="forward")


def fast_length(n: int) -> int:
    """Return the smallest multiple of four from ``n`` on at which real transforms are quick.

    Odd lengths take half as long again: 4.7 ns a value at 135, 3.1 at 144 (MKL, one core).
    """
    from scipy.fft import next_fast_len

    return 4 * int(next_fast_len(-(-n // 4), real=True))
