"""The error bars of one reconstruction: deviations from photons and from other solutions, and the maps made of them.

What alignment can't tell from the object (global phase, shift) is taken out of every deviation: error bars hold for an
object that is compared after it has been moved and turned to agree best.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.measured import measured_from, with_coherence
from friedel.bcdi.phasing.refine import is_low_dose
from friedel.bcdi.records import Diffraction, Uncertainty
from friedel.bcdi.uncertainty.alternatives import Alternative, judged, nearby, own_share, without_even_phase
from friedel.bcdi.uncertainty.photons import LinearFit, photon_draws
from friedel.core.fourier import fourier, frequencies, inverse_fourier
from friedel.core.machine.device import generator, resolve_device
from friedel.core.machine.threads import threads_for

Object = NDArray[np.complex64]
Mask = NDArray[np.bool_]
Kind = Literal["photons", "full"]

# A standard deviation from twelve draws scatters by a fifth; its square is averaged over this width, RMS voxels, which
# leaves 4 % and follows what changes over the crystal.
N_DRAWS = 12
_SMOOTHING = 1.5  # voxels, see above
# The most agreeing solutions of phasing that are compared.
_MOST_OTHERS = 4
# Voxels. Larger patterns get one alternative, as each takes minutes there.
_LARGE = 100**3
# Voxels with less than this fraction of the bulk's amplitude are haze rather than crystal, and no part of its size.
_HAZE = 0.1
_INSIDE = 0.5  # of the bulk's amplitude: the phase of weaker voxels is mostly noise
# Fits at the photon limit come to a misfit of 0.98–1.06, the most where many voxels are dim. Above it, objects of known
# truth were further off than photon noise makes them, in square by between 1 and 70 times the excess per parameter. At
# a misfit of 2 the model's own faults begin to rule, and what they do to the object isn't known from the fit.
_NO_MISFIT, _MODEL_LIMITED, _SOFTNESS = 1.06, 2.0, 4.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Solved:
    """What phasing came to, as far as error bars need it.

    Attributes
    ----------
    object : (z, y, x) complex64
        Σ|ψ|² in photons.
    support : (z, y, x) bool
        Where it may be non-zero.
    threshold : float
        At which the support was cut, as a fraction of the bulk's amplitude.
    others : sequence of (z, y, x) complex64
        Independent solutions that agree with it, best first, in any place, turn and scale.
    blur : (3,) float32 or None
        Widths along (z, y, x) of the blur that was taken into account, voxels; None: none was.
    density_spread : float, optional
        Spread of the density that phasing expected because photons are few.
    """

    object: Object
    support: Mask
    threshold: float
    others: Sequence[Object] = ()
    blur: NDArray[np.float32] | None = None
    density_spread: float | None = None


def estimate_uncertainty(
    diffraction: Diffraction,
    solved: Solved,
    *,
    kind: Kind = "full",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Uncertainty:
    """Estimate the standard errors of a solution.

    Parameters
    ----------
    diffraction : Diffraction
        The measurement it was fitted to.
    solved : Solved
        The solution.
    kind : "photons" or "full"
        Photons takes photon noise and ``solved.others`` alone. Full also goes on from the solution on three supports,
        unless photon noise explains the fit and there are others, and asks what a symmetric body's even phase rests on.
    seed : int
        Seed of the redrawn counts.
    device : str or torch.device, optional
        None takes a GPU if there is one.
    """
    with torch.no_grad(), threads_for(diffraction.intensities.size):
        return _estimated(diffraction, solved, kind, seed, resolve_device(device))


def _estimated(diffraction: Diffraction, solved: Solved, kind: Kind, seed: int, where: torch.device) -> Uncertainty:
    measured = measured_from(diffraction, device=where)
    obj, support = torch.from_numpy(solved.object).to(where), torch.from_numpy(solved.support).to(where)
    low_dose = is_low_dose(measured)
    if solved.blur is not None:
        measured = with_coherence(measured, torch.from_numpy(solved.blur).to(where))
    fit = LinearFit(
        obj, support, measured, poisson=low_dose, density_spread=solved.density_spread if low_dose else None
    )
    draws, deviances = photon_draws(fit, N_DRAWS, generator(seed))
    expected = float(deviances.mean())
    others = [judged(other, measured) for other in solved.others[:_MOST_OTHERS]]
    own = judged(solved.object, measured).deviance
    # Where photon noise explains the fit and independent starts came to the same, they say what else would have fitted:
    # iterations that leave the solution end in minima that phasing has left behind (0.80 to 0.93 of voxels within one
    # standard error; 0.68 to 0.81 without them, nine crystals, 32³ and 64³).
    settled = bool(others) and own <= _NO_MISFIT * expected and not low_dose
    turned = None
    if kind == "full" and not settled:
        turned = None if low_dose else without_even_phase(obj, support, measured)
        most = 1 if measured.intensity.numel() > _LARGE else 3
        others += nearby(obj, support, measured, threshold=solved.threshold, low_dose=low_dose, n_most=most)
    unit = 2.0 * float(support.sum()) / max(float(measured.fitted.sum()), 1.0)
    misfit = min([own, *(other.deviance for other in others)]) / max(expected, 1e-3)
    limit, scatter = _NO_MISFIT * expected, float(deviances.std())
    shares = own_share(own, [other.deviance for other in others], limit=limit, scatter=scatter)
    even = own_share(own, [] if turned is None else [turned.deviance], limit=limit, scatter=scatter)
    photons = draws * np.float32(np.sqrt(_inflation(misfit, expected / unit) / len(draws)))
    solutions = _differences(others, shares, solved.object, solved.support)
    if turned is not None:
        # Not one more of the same kind, over which a mean is taken, but an error of its own.
        solutions = np.concatenate([solutions, _differences([turned], even, solved.object, solved.support)])
    found = _summarised(solved, photons, solutions, misfit)
    return replace(found, diameter_error_voxels=_size_error(found, solved, others, shares))


def _size_error(
    found: Uncertainty, solved: Solved, others: Sequence[Alternative], shares: NDArray[np.float64]
) -> float:
    """Return the diameter's standard error; other solutions enter with their own supports, so their size may differ."""
    deep = deep_inside(solved.object, solved.support)[solved.support]
    values, own = solved.object[solved.support], found.diameter_voxels
    n_photons = found.origins.count("photons")
    variance = sum((diameter_of(np.abs(values + one), deep) - own) ** 2 for one in found.deviations[:n_photons])
    for other, share in zip(others, shares, strict=True):
        size = diameter_of(np.abs(other.object), deep_inside(other.object, other.object != 0))
        variance += share / len(others) * (size - own) ** 2
    return float(np.sqrt(variance))


def _inflation(misfit: float, per_parameter: float) -> float:
    """Return by what the photons' variance grows where a fit leaves more unexplained than photon noise.

    The remaining misfit lies along directions that change the counts little and the object much.

    Parameters
    ----------
    misfit : float
        Mean deviance over that of photon noise.
    per_parameter : float
        The latter, in units of what the fit's own freedom takes off it.
    """
    excess = min(misfit, _MODEL_LIMITED) - _NO_MISFIT
    return max(misfit, 1.0) + _SOFTNESS * max(excess, 0.0) * per_parameter


def _differences(others: Sequence[Alternative], shares: NDArray[np.float64], obj: Object, support: Mask) -> Object:
    """Return the solution's own part of the difference to each other one, ``(n_others, n_support)``."""
    found = np.empty((len(others), int(support.sum())), dtype=np.complex64)
    size = np.linalg.norm(obj)
    for row, other, share in zip(found, others, shares, strict=True):
        aligned, _ = align_to(other.object, obj)
        aligned *= size / max(float(np.linalg.norm(aligned)), 1e-30)
        row[:] = (aligned - obj)[support] * np.sqrt(share / len(others))
    return found


def _summarised(solved: Solved, photons: Object, solutions: Object, misfit: float) -> Uncertainty:
    obj, support = solved.object, solved.support
    deviations = without_ambiguities(np.concatenate([photons, solutions]), obj, support)
    n = len(photons)
    bulk = bulk_of(obj, support)
    inside = support & (np.abs(obj) >= _INSIDE * bulk)
    phase = phase_changes(deviations, obj, support, inside)
    amplitude = (np.abs(obj[support] + deviations) - np.abs(obj[support])) / bulk
    maps = [averaged((part**2).sum(axis=0), obj, support) for part in (phase, amplitude, phase[:n], phase[n:])]
    rms = [float(np.sqrt(np.mean(variance[inside]))) if inside.any() else float("nan") for variance in maps]
    deep = deep_inside(obj, support)[support]
    diameter = diameter_of(np.abs(obj[support]), deep)
    return Uncertainty(
        deviations=deviations,
        origins=("photons",) * n + ("solutions",) * len(solutions),
        phase_rad=_map(maps[0], support),
        amplitude=_map(maps[1], support),
        phase_rms_rad=rms[0],
        photons_rad=rms[2],
        solutions_rad=rms[3],
        misfit=misfit,
        diameter_voxels=diameter,
        diameter_error_voxels=float("nan"),
        n_solutions=len(solutions),
    )


def _map(variance: NDArray[np.float64], support: Mask) -> NDArray[np.float32]:
    return np.where(support, np.sqrt(variance), np.nan).astype(np.float32)


def bulk_of(obj: Object, support: Mask | None = None) -> float:
    """Return √(Σa⁴/Σa²) of an object's amplitudes, what is typical of its bright part."""
    squared = np.abs(obj if support is None else obj[support]).astype(np.float64) ** 2
    return float(np.sqrt((squared**2).sum() / max(squared.sum(), 1e-30)))


def deep_inside(obj: Object, support: Mask) -> Mask:
    """Return the voxels ``(z, y, x)`` inside whose six neighbours are inside, too; all inside, if there are none."""
    inside = support & (np.abs(obj) >= _INSIDE * bulk_of(obj, support))
    deep = ndimage.binary_erosion(inside)
    return np.asarray(deep if deep.any() else inside)


def diameter_of(amplitude: NDArray[np.floating], deep: Mask) -> float:
    """Return the diameter of the sphere with a crystal's volume, in edges of a voxel of equal volume.

    Each voxel counts by its filled share: its amplitude over the median of the voxels ``deep`` inside, which noise
    doesn't raise as it raises a mean of squares.
    """
    full = float(np.median(amplitude[deep])) if deep.any() else 1.0
    share = amplitude / max(full, 1e-30)
    volume = float(share[share >= _HAZE].sum())
    return (6.0 * volume / np.pi) ** (1.0 / 3.0)


def without_ambiguities(deviations: Object, obj: Object, support: Mask) -> Object:
    """Return deviations ``(n, n_support)`` less what a global phase and a shift of the object would make of them.

    To first order these are iψ and the three ∂ψ, taken out by least squares over real coefficients: what aligning an
    object to another one does.
    """
    made = [1j * obj[support], *(along[support] for along in _derivatives(obj))]
    basis, _ = np.linalg.qr(np.stack([_real(vector) for vector in made], axis=1))
    flat = _real(deviations)
    flat = flat - (flat @ basis) @ basis.T
    n = int(support.sum())
    return np.asarray(flat[:, :n] + 1j * flat[:, n:], dtype=np.complex64)


def _real(vectors: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    return np.concatenate([vectors.real, vectors.imag], axis=-1, dtype=np.float64)


def _derivatives(obj: Object) -> list[Object]:
    """Return ∂ψ along ``(z, y, x)``, per voxel, by the Fourier transform."""
    diffraction = fourier(torch.from_numpy(np.ascontiguousarray(obj)))
    found = []
    for axis, n in enumerate(obj.shape):
        wave = 2j * torch.pi * torch.roll(frequencies(n), n // 2)
        shape = [n if k == axis else 1 for k in range(3)]
        found.append(inverse_fourier(diffraction * wave.reshape(shape)).numpy())
    return found


def phase_changes(deviations: Object, obj: Object, support: Mask, inside: Mask) -> NDArray[np.float64]:
    """Return the phase change ``(n, n_support)``, radians, that each deviation makes, its mean over ``inside`` zero.

    Parameters
    ----------
    deviations : (n, n_support) complex64
        Deviations of ψ on the support's voxels.
    obj : (z, y, x) complex64
        ψ.
    support, inside : (z, y, x) bool
        Where ψ may be non-zero, and where the mean is taken.
    """
    values = obj[support].astype(np.complex128)
    change = np.angle((values + deviations) * np.conj(values))
    return np.asarray(change - change[:, inside[support]].mean(axis=1, keepdims=True))


def averaged(variance: NDArray[np.float64], obj: Object, support: Mask) -> NDArray[np.float64]:
    """Return a variance ``(n_support,)`` averaged over neighbours, weighted by |ψ|², as ``(z, y, x)``."""
    weight = np.where(support, np.abs(obj).astype(np.float64) ** 2, 0.0)
    weight = np.maximum(weight, np.where(support, 1e-6 * weight.max(), 0.0))
    whole = np.zeros(obj.shape)
    whole[support] = variance
    total = ndimage.gaussian_filter(whole * weight, _SMOOTHING, mode="constant")
    return np.asarray(total / np.maximum(ndimage.gaussian_filter(weight, _SMOOTHING, mode="constant"), 1e-30))
