"""What intensities can't tell (shift, global phase, twin), brought to one convention or to a reference."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from friedel.core.fourier import fourier, fourier_corner, frequencies, inverse_fourier

Object = NDArray[np.complex64]
Support = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)
_UPSAMPLING = 50  # steps a voxel: at the highest frequency, half a cycle a voxel, the phase is off by π/100 at most


def inverted(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return the array ``(z, y, x)`` inverted through index ``n // 2``."""
    flipped = array[::-1, ::-1, ::-1]
    return np.roll(flipped, [1 - n % 2 for n in array.shape], axis=(0, 1, 2))


def twin(obj: Object) -> Object:
    """Return ψ*(−r): the other object with the same intensities."""
    return np.conj(inverted(obj))


def shifted(obj: Object, voxels: tuple[float, float, float]) -> Object:
    """Return the object moved by a fraction of voxels along ``(z, y, x)``, by a phase ramp in reciprocal space."""
    diffraction = fourier(torch.from_numpy(np.ascontiguousarray(obj)))
    for axis, (n, shift) in enumerate(zip(obj.shape, voxels, strict=True)):
        ramp = torch.polar(torch.ones(n), -2 * torch.pi * shift * _centred_frequencies(n))
        diffraction = diffraction * ramp.reshape([n if k == axis else 1 for k in range(3)])
    moved: Object = inverse_fourier(diffraction).numpy()
    return moved


def _centred_frequencies(n: int) -> torch.Tensor:
    return torch.roll(frequencies(n), n // 2)


def correlation(obj: Object, reference: Object) -> complex:
    """Return ⟨reference, obj⟩ / (‖reference‖ ‖obj‖)."""
    norm = float(np.linalg.norm(obj)) * float(np.linalg.norm(reference))
    return complex(np.vdot(reference, obj)) / max(norm, 1e-30)


def align_to(obj: Object, reference: Object) -> tuple[Object, float]:
    """Bring an object to a reference: shift (to 1/50 voxel), twin and global phase.

    Parameters
    ----------
    obj, reference : (z, y, x) complex64
        Objects in one array frame.

    Returns
    -------
    aligned : (z, y, x) complex64
        The object, or its twin, moved and turned to agree best; its scale is left alone.
    correlation : float
        Magnitude of the normalised correlation with the reference, 0 to 1.
    """
    candidates = [_moved(candidate, reference) for candidate in (obj, twin(obj))]
    agreements = [correlation(candidate, reference) for candidate in candidates]
    best = int(np.argmax(np.abs(agreements)))
    phase = np.exp(-1j * np.angle(agreements[best])).astype(np.complex64)
    return candidates[best] * phase, float(abs(agreements[best]))


def even_phase(obj: Object) -> tuple[NDArray[np.float32], float]:
    """Return the part of the phase that has one sign at a point and at its inversion, and how symmetric the body is.

    Parameters
    ----------
    obj : (z, y, x) complex64
        ψ, in any place.

    Returns
    -------
    even : (z, y, x) float32, radians
        Half the phase between the object and its twin in the same place; of a real, symmetric body 0.
    symmetry : float
        Correlation of the amplitudes of both; 1 for a centro-symmetric body.
    """
    other = _moved(twin(obj), obj)
    turn = np.angle(correlation(other, obj)).astype(np.float32)
    even = np.angle(obj * np.conj(other) * np.exp(1j * turn)) / 2
    symmetry = abs(correlation(np.abs(other).astype(np.complex64), np.abs(obj).astype(np.complex64)))
    return even.astype(np.float32), float(symmetry)


def _moved(obj: Object, reference: Object) -> Object:
    # It wants the zero frequency at the corner; the ramp that centred objects leave there is common to both.
    spectra = [fourier_corner(torch.from_numpy(np.ascontiguousarray(array))).numpy() for array in (reference, obj)]
    shift, _, _ = phase_cross_correlation(
        *spectra,
        space="fourier",
        upsample_factor=_UPSAMPLING,
        normalization=None,
    )
    return shifted(obj, (float(shift[0]), float(shift[1]), float(shift[2])))


def phase_difference_rad(obj: Object, reference: Object, inside: Support) -> float:
    """Return the RMS phase difference between aligned objects inside a region, its mean taken out, radians."""
    difference = obj[inside] * np.conj(reference[inside])
    difference = difference * np.exp(-1j * np.angle(difference.sum()))
    return float(np.sqrt(np.mean(np.angle(difference) ** 2))) if difference.size else 0.0


def canonical(obj: Object, support: Support) -> tuple[Object, Support]:
    """Bring an object to the convention of docs/conventions.md: twin, whole-voxel shift and global phase.

    Parameters
    ----------
    obj : (z, y, x) complex64
        Object.
    support : (z, y, x) bool
        Its support.

    Returns
    -------
    obj, support
        Density's centre of mass at index ``n // 2``; of the twins, the one whose density has its largest third
        moment positive; mean of |ψ|ψ real and positive.
    """
    centred, support = _centred(obj, support)
    if _third_moment(np.abs(centred) ** 2) < 0:
        centred, support = _centred(twin(centred), inverted(support))
    phase = np.angle((np.abs(centred) * centred).sum())
    return (centred * np.exp(-1j * phase)).astype(np.complex64), support


def _centred(obj: Object, support: Support) -> tuple[Object, Support]:
    density = np.abs(obj) ** 2
    # The circular mean along each axis: right also for an object that reaches across the array's edge.
    shifts = []
    for axis, n in enumerate(obj.shape):
        profile = density.sum(axis=tuple(k for k in range(3) if k != axis))
        angle = np.angle((profile * np.exp(2j * np.pi * np.arange(n) / n)).sum())
        shifts.append(n // 2 - round(float(angle) * n / (2 * np.pi)))
    return np.roll(obj, shifts, axis=(0, 1, 2)), np.roll(support, shifts, axis=(0, 1, 2))


def _third_moment(density: NDArray[np.floating]) -> float:
    """Return the third central moment, in units of the spread cubed, along the axis where it is largest."""
    moments = []
    for axis, n in enumerate(density.shape):
        profile = density.sum(axis=tuple(k for k in range(3) if k != axis), dtype=np.float64)
        offset = np.arange(n) - (profile * np.arange(n)).sum() / profile.sum()
        spread = (profile * offset**2).sum() / profile.sum()
        moments.append(float((profile * offset**3).sum() / profile.sum() / max(spread, 1e-12) ** 1.5))
    return max(moments, key=abs)
