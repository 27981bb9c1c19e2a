"""Whether the crystal stayed the same from the first frame to the last, as far as a solution tells.

Frames before a jump are those of one object, frames after it those of another, and the solution lies between: what each
frame wants of it has one sign before and the other after. A steady trend can't be told from a sheared object, which
gives the same frames; it shows in no single scan.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.phasing.iterations.multiscale import limited_shape, lower
from friedel.bcdi.records import Diffraction
from friedel.core.fourier import fourier

Floats = NDArray[np.float64]

# Voxels an axis that are looked at: a change of size, place or strain shows where most of the photons are.
_MIDDLE = 32
# Share of the photons that each side of a jump must have.
_LEAST_SIDE = 0.08
# Evidence that noise alone has: a χ² of 18 degrees of freedom, the largest of some ten cuts.
_BY_CHANCE = 60.0
# Times the evidence along the scan exceeds that along either axis of the detector. Of simulated jumps 3.1 to 23; of
# 22 patterns with what real ones have at most 1.8, but for angles that jitter (3.5, 8) and fringes cut off (5.9), which
# the figures below tell apart; of a gold crystal's frames 0.4.
MOST_ALONG = 3.0
# Power of the sum of what frames want, with opposite signs before and after, over the sum of their powers: of jumps
# 0.96 to 3, of angles that jitter 0.6 and 0.8, as each frame then wants something else.
_TOGETHER = 0.9
# Cosine of what the frames beside a jump want: of jumps 0.62 to 0.94, of angles that jitter 0.28 and 0.66.
_OPPOSITE = 0.5
# Share of the evidence that these two have, each and together: of jumps 0.2 and 0.55 at least, at cut-off ends 0.07.
_BESIDE, _BOTH = 0.15, 0.5
_NOTHING = 1e-6  # of the largest change's power: an object one voxel thick can't change along that axis


@dataclass(frozen=True)
class Jump:
    """Where a pattern is most like that of two states, and how much.

    Attributes
    ----------
    after : int
        The last frame before it, by its place in the pattern.
    times : float
        Evidence over the most that a cut across the detector's axes has.
    found : bool
        Whether the crystal changed there.
    """

    after: int
    times: float
    found: bool


def find_jump(obj: NDArray[np.complex64], diffraction: Diffraction) -> Jump | None:
    """Look for a frame from which on the crystal was another.

    Changes looked for are smooth: amplitude and phase by a polynomial of second order, which holds a jump of the peak
    along each axis, another size and a strain that grew. Each frame's light is left out.

    Parameters
    ----------
    obj : (z, y, x) complex64
        The solution; frames along z.
    diffraction : Diffraction
        What it was fitted to.

    Returns
    -------
    Jump or None
        None where nothing was measured, or the object is a single voxel.
    """
    shape = limited_shape(obj.shape, _MIDDLE)
    centre = tuple(slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(obj.shape, shape, strict=True))
    known = diffraction.mask[centre]
    counts = np.where(known, diffraction.intensities[centre], 0).astype(np.float64)
    coarse = lower(torch.from_numpy(obj), shape)
    field = fourier(coarse).numpy()
    model = np.abs(field.astype(np.complex128)) ** 2
    if not (counts.any() and model[known].any()):
        return None
    scale = counts.sum() / model[known].sum()
    model = model * scale
    weight = known / np.maximum(model, 1.0)
    wanted = _without_light(counts - model, model, weight)
    made = [_without_light(scale * one, model, weight) for one in _changes(coarse, field)]
    power = [float((weight * one**2).sum()) for one in made]
    changes = [one for one, much in zip(made, power, strict=True) if much > _NOTHING * max(power)]
    if not changes:
        return None
    gram = np.array([[float((weight * one * other).sum()) for other in changes] for one in changes])
    whitened = np.linalg.cholesky(gram + 1e-3 * np.diag(np.diag(gram)))
    along = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        told = np.stack([(weight * one * wanted).sum(axis=others) for one in changes])
        along.append((np.linalg.solve(whitened, told), counts.sum(axis=others)))
    (told, light), *across = along
    cut, most = _best_cut(told, light)
    times = most / max(_BY_CHANCE, *(_best_cut(*one)[1] for one in across))
    return Jump(cut + centre[0].start, times, times > MOST_ALONG and _one_jump(told, cut))


def one_state(best: NDArray[np.complex64], diffraction: Diffraction) -> tuple[bool, str]:
    """Return the check that the crystal didn't change: whether it passed, and a sentence that begins with its name."""
    jump = find_jump(best, diffraction)
    if jump is None or not jump.found:
        times = 0.0 if jump is None else jump.times
        said = "nothing jumps between two frames; what frames want changed along the scan is"
        return True, f"one state: {said} {times:.1f} × that across it"
    said = (
        f"the crystal or its angle changed between frames {jump.after} and {jump.after + 1} of the pattern: what "
        f"frames want changed turns its sign there, {jump.times:.0f} × as much as across the scan (above "
        f"{MOST_ALONG:g} the object is a mixture of two states)"
    )
    return False, f"one state: {said}"


def _changes(obj: torch.Tensor, field: NDArray[np.complex64]) -> list[Floats]:
    """Return what smooth changes of an object, real and imaginary ones, do to its intensities ``(z, y, x)``."""
    amplitude = obj.abs().numpy().astype(np.float64)
    density = amplitude**2
    places = []
    for axis, n in enumerate(obj.shape):
        place = np.arange(n, dtype=np.float64).reshape([-1 if k == axis else 1 for k in range(3)])
        place = place - (place * density).sum() / density.sum()
        places.append(place / np.sqrt((place**2 * density).sum() / density.sum() + 1e-9))
    smooth = [*places, *(places[a] * places[b] for a in range(3) for b in range(a, 3))]
    changed = [fourier(obj * torch.from_numpy(one.astype(np.float32))).numpy() for one in smooth]
    crossed = [2.0 * (np.conj(field) * one).astype(np.complex128) for one in changed]
    return [part for one in crossed for part in (one.real, -one.imag)]


def _without_light(values: Floats, model: Floats, weight: Floats) -> Floats:
    """Return values ``(z, y, x)`` less what another light of each frame would make of the model."""
    frames = (1, 2)
    power = (weight * model**2).sum(axis=frames, keepdims=True)
    return np.asarray(values - model * (weight * values * model).sum(axis=frames, keepdims=True) / (power + 1e-30))


def _best_cut(told: Floats, light: Floats) -> tuple[int, float]:
    """Return the cut, by the index before it, at which evidence ``(n_changes, n)`` of opposite sign is most, and it."""
    before = np.cumsum(light) / light.sum()
    evidence = (_turned(told) ** 2).sum(axis=0)
    cuts = np.where((before > _LEAST_SIDE) & (before < 1.0 - _LEAST_SIDE), evidence, 0.0)
    return int(np.argmax(cuts)), float(cuts.max())


def _turned(told: Floats) -> Floats:
    """Return the sum of what frames want ``(n_changes, n)``, those up to each index with the other sign."""
    until = np.cumsum(told, axis=1)
    return np.asarray(until[:, -1:] - 2.0 * until)


def _one_jump(told: Floats, cut: int) -> bool:
    """Say whether the frames on either side of a cut want the same, and those beside it most."""
    wanted = _turned(told)[:, cut]
    before, after = told[:, cut], told[:, cut + 1]
    shares = np.array([-wanted @ before, wanted @ after]) / (wanted**2).sum()
    together = (wanted**2).sum() / (told**2).sum()
    opposite = -(before @ after) / np.sqrt((before**2).sum() * (after**2).sum() + 1e-30)
    beside = shares.min() > _BESIDE and shares.sum() > _BOTH
    return bool(beside and together > _TOGETHER and opposite > _OPPOSITE)
