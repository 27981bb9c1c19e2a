"""From a crystal on a voxel grid to the photons a detector counts around one Bragg peak.

Small functions, each one effect, applied in the order the instrument does: diffraction, coherence, aliens, background,
photon noise, bad pixels. No geometry: arrays in, arrays out.
"""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.fourier import fourier, fourier_corner, inverse_fourier_corner

Floats: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]


def expected_intensities(object: NDArray[np.complexfloating], *, n_photons: float) -> Floats:  # noqa: A002
    """Return the mean photons per voxel that a crystal diffracts.

    Parameters
    ----------
    object : (z, y, x) complex
        ψ, any scale.
    n_photons : float
        Sum of the intensities.

    Returns
    -------
    (z, y, x) float32, photons
        |F|² with the peak's origin at index ``n // 2``.

    Raises
    ------
    InputError
        If the object is zero everywhere.
    """
    field = fourier(torch.from_numpy(np.ascontiguousarray(object, dtype=np.complex128)))
    intensities = field.abs().square().numpy()
    total = intensities.sum()
    if not total > 0:
        raise InputError("the object is zero everywhere and diffracts nothing; check the crystal's size and place")
    return np.asarray(intensities * (n_photons / total), dtype=np.float32)


def count_photons(expected: Floats, *, seed: int) -> Floats:
    """Return Poisson-distributed photon counts, float32, of the given means (same shape)."""
    return np.random.default_rng(seed).poisson(expected).astype(np.float32)


def diffract(
    object: NDArray[np.complexfloating],  # noqa: A002
    *,
    n_photons: float,
    seed: int | None,
    background: float = 0.0,
    coherence: tuple[float, float, float] | None = None,
) -> Floats:
    """Return the photons counted from a crystal.

    Parameters
    ----------
    object : (z, y, x) complex
        ψ, any scale.
    n_photons : float
        Expected photons from the crystal.
    seed : int or None
        Seed of the Poisson noise; None gives the expected intensities.
    background : float
        Expected photons per voxel beside the crystal's.
    coherence : (float, float, float) or None
        See `blur_by_coherence`; None is full coherence.

    Returns
    -------
    (z, y, x) float32, photons
    """
    expected = expected_intensities(object, n_photons=n_photons)
    if coherence is not None:
        expected = blur_by_coherence(expected, coherence)
    expected = expected + np.float32(background)
    return expected if seed is None else count_photons(expected, seed=seed)


def voxel_transfer(shape: tuple[int, int, int]) -> Floats:
    """Return the transform of one voxel, ``(z, y, x)``, 1 at index ``n // 2``.

    An object whose voxels hold mean values diffracts amplitudes that are this much too low; dividing by it gives the
    amplitudes of the body itself, up to aliasing.
    """
    along = [np.sinc((np.arange(n) - n // 2) / n) for n in shape]
    return np.asarray(along[0][:, None, None] * along[1][:, None] * along[2], dtype=np.float32)


def blur_by_coherence(intensities: Floats, lengths: tuple[float, float, float]) -> Floats:
    """Return the intensities of a partially coherent beam with a Gaussian mutual coherence function.

    The Fourier transform of the intensities, the object's autocorrelation, is multiplied by exp(−r²/2l²); so the
    intensities are convolved with a Gaussian, their sum unchanged.

    Parameters
    ----------
    intensities : (z, y, x) float32
        Fully coherent intensities.
    lengths : (float, float, float)
        Coherence length l along ``(z, y, x)``, in object voxels; infinite for full coherence.

    References
    ----------
    Clark, Huang, Harder & Robinson, Nat. Commun. 3, 993 (2012).
    """
    spectrum = fourier_corner(torch.from_numpy(intensities).to(torch.complex128))
    for axis, (n, length) in enumerate(zip(intensities.shape, lengths, strict=True)):
        offsets = (np.arange(n) + n // 2) % n - n // 2  # corner order
        along = torch.from_numpy(np.exp(-0.5 * (offsets / length) ** 2))
        spectrum = spectrum * along.reshape([-1 if k == axis else 1 for k in range(3)])
    blurred = inverse_fourier_corner(spectrum).real.clamp(min=0)
    return np.asarray(blurred.numpy(), dtype=np.float32)


def add_aliens(
    expected: Floats, *, n_aliens: int, n_photons: float, seed: int, away: float = 0.25, width: float = 0.03
) -> Floats:
    """Return the intensities with other crystals' peaks far from ours.

    Parameters
    ----------
    expected : (z, y, x) float32
        Mean photons.
    n_aliens : int
        How many peaks.
    n_photons : float
        Expected photons of each.
    seed : int
        Seed of their places and sizes.
    away : float
        Least distance from the array's centre, as a fraction of the array, along the two detector axes together.
    width : float
        Typical RMS width, as a fraction of the array; each peak is an ellipsoid of its own.
    """
    rng = np.random.default_rng(seed)
    aliens = np.zeros(expected.shape)
    for _ in range(n_aliens):
        place, angle = rng.uniform(-0.35, 0.35), rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(away, max(away, 0.45))
        centre = np.array([place, distance * np.sin(angle), distance * np.cos(angle)])
        widths = width * rng.uniform(0.4, 1.2, 3)
        aliens += n_photons * _gaussian(expected.shape, centre, widths)
    return np.asarray(expected + aliens, dtype=np.float32)


def _gaussian(shape: tuple[int, ...], centre: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    along = []
    for n, c, w in zip(shape, centre, widths, strict=True):
        profile = np.exp(-0.5 * (((np.arange(n) - n // 2) / n - c) / w) ** 2)
        along.append(profile / profile.sum())
    return np.asarray(along[0][:, None, None] * along[1][:, None] * along[2])


def bad_pixels(shape: tuple[int, int], *, n_dead: int, n_hot: int, seed: int) -> tuple[Mask, Mask]:
    """Draw dead and hot pixels of a detector: two ``(y, x)`` bool arrays that don't overlap.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    n_dead, n_hot : int
        How many of each.
    seed : int
        Decides which.
    """
    picks = np.random.default_rng(seed).choice(shape[0] * shape[1], size=n_dead + n_hot, replace=False)
    dead, hot = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    dead.flat[picks[:n_dead]] = True
    hot.flat[picks[n_dead:]] = True
    return dead, hot


def gap_mask(shape: tuple[int, int], *, rows: tuple[int, int] | None, columns: tuple[int, int] | None) -> Mask:
    """Return a detector mask ``(y, x)``: False in a gap of ``rows`` and one of ``columns``, each [start, stop)."""
    measured = np.ones(shape, dtype=bool)
    if rows is not None:
        measured[rows[0] : rows[1], :] = False
    if columns is not None:
        measured[:, columns[0] : columns[1]] = False
    return measured
