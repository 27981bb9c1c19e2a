"""Bring one crystal onto another's grid: shift, small rotation, twin. For comparing results and for series.

What intensities can't tell (place, twin, global phase) differs from result to result, and a crystal drifts and turns
between scans. Found from the amplitudes; the twin is told by the whole complex field. Turns of more than some 10° are
not looked for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from friedel.core.errors import InputError

Floats = NDArray[np.float64]

_COARSE = 28
"""Voxels along the longest side at which place and turn are looked for: the pose is far finer than a voxel all the
same, because every surface voxel votes (measured: 0.1° and 0.05 fine voxels on noisy 36³ crystals)."""
_OUTSIDE = 0.15
"""Fraction of the largest amplitude below which voxels take no part: they hold ripples and noise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Alignment:
    """How to move a crystal so that it lies on another one.

    Attributes
    ----------
    rotation : (3, 3) float64
        Of vectors ``(z, y, x)``, about the middle of the arrays.
    shift : (3,) float64
        ``(z, y, x)``, in voxels of the grid moved to.
    inverted : bool
        The twin is meant: ψ*(−r) in place of ψ(r).
    phase : float
        Added to the phase, radians.
    scale : float
        Edge of the voxels moved to over the edge of those moved from.
    correlation : float
        |⟨a, b⟩| / (‖a‖ ‖b‖) of the complex fields once aligned, 0 to 1.
    """

    rotation: Floats
    shift: Floats
    inverted: bool
    phase: float
    scale: float
    correlation: float

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation."""
        return float(np.rad2deg(Rotation.from_matrix(self.rotation).magnitude()))

    def field(self, values: NDArray[np.complexfloating], shape: tuple[int, ...]) -> NDArray[np.complex64]:
        """Return a complex field ``(z, y, x)`` on the grid moved to."""
        moved = self._sampled(np.asarray(values, dtype=np.complex128), shape)
        moved = np.conj(moved) if self.inverted else moved
        return np.asarray(moved * np.exp(1j * self.phase), dtype=np.complex64)

    def scalar(self, values: NDArray[np.floating], shape: tuple[int, ...], *, odd: bool = False) -> NDArray[np.float32]:
        """Return a real field on the grid moved to; NaN where any neighbour it would come from is NaN.

        Parameters
        ----------
        values : (z, y, x) float
            The field.
        shape : (int, int, int)
            Of the grid moved to.
        odd : bool
            Changes sign with the twin, as a displacement does and a strain doesn't.
        """
        known = np.isfinite(values)
        moved = self._sampled(np.where(known, values, 0.0).astype(np.float64), shape)
        weight = self._sampled(known.astype(np.float64), shape)
        moved = np.where(weight > 0.5, moved / np.maximum(weight, 0.5), np.nan)
        return np.asarray(-moved if odd and self.inverted else moved, dtype=np.float32)

    def _sampled(self, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        index = _index(self.rotation, self.shift, self.scale, self.inverted, shape, values.shape)
        return np.asarray(ndimage.map_coordinates(values, index, order=1, mode="constant", cval=0.0))


def align(
    moving: NDArray[np.complexfloating],
    fixed: NDArray[np.complexfloating],
    *,
    scale: float = 1.0,
    rotate: bool = True,
) -> Alignment:
    """Find how ``moving`` has to be moved to lie on ``fixed``.

    Parameters
    ----------
    moving, fixed : (z, y, x) complex
        Objects on cubic voxels in one frame, 0 or weak outside the crystal.
    scale : float
        Edge of ``fixed``'s voxels over the edge of ``moving``'s.
    rotate : bool
        Look for a rotation too.

    Returns
    -------
    Alignment
        The better of the object and its twin.

    Raises
    ------
    InputError
        If either is empty.
    """
    if not (np.any(moving) and np.any(fixed)):
        raise InputError("alignment: an object is zero everywhere; check the reconstruction")
    found = [_pose(moving, fixed, scale, inverted, rotate) for inverted in (False, True)]
    return max(found, key=lambda one: one.correlation)


def _pose(
    moving: NDArray[np.complexfloating], fixed: NDArray[np.complexfloating], scale: float, inverted: bool, rotate: bool
) -> Alignment:
    bins = max(1.0, max(fixed.shape) / _COARSE)
    shape = tuple(int(np.ceil(n / bins)) for n in fixed.shape)
    target = _smooth(np.abs(fixed), bins)
    target = ndimage.map_coordinates(target, _index(np.eye(3), np.zeros(3), bins, False, shape, fixed.shape), order=1)
    source = _smooth(np.abs(moving), bins * scale)

    def apart(pose: Floats) -> float:
        turn = Rotation.from_rotvec(pose[3:]).as_matrix() if rotate else np.eye(3)
        index = _index(turn, pose[:3] / bins, scale * bins, inverted, shape, moving.shape)
        moved = ndimage.map_coordinates(source, index, order=1, mode="constant")
        return -float((moved * target).sum() / max(np.linalg.norm(moved) * np.linalg.norm(target), 1e-30))

    offset = _centre(target) * bins - (-1 if inverted else 1) * _centre(source) / scale
    start = np.concatenate([offset, np.zeros(3)]) if rotate else offset
    steps = np.array([1.5 * bins] * 3 + [0.06] * 3)[: start.size]
    simplex = np.vstack([start, start + np.diag(steps)])
    best = optimize.minimize(
        apart, start, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 5e-4, "fatol": 1e-7}
    ).x
    rotation = Rotation.from_rotvec(best[3:]).as_matrix() if rotate else np.eye(3)
    bare = Alignment(rotation=rotation, shift=best[:3], inverted=inverted, phase=0.0, scale=scale, correlation=0.0)
    moved = bare.field(moving, fixed.shape)
    overlap = complex(np.vdot(moved, fixed))
    size = float(np.linalg.norm(moved) * np.linalg.norm(fixed))
    return Alignment(
        rotation=rotation,
        shift=best[:3],
        inverted=inverted,
        phase=float(np.angle(overlap)),
        scale=scale,
        correlation=abs(overlap) / max(size, 1e-30),
    )


def _smooth(amplitude: NDArray[np.floating], bins: float) -> Floats:
    strong = np.where(amplitude > _OUTSIDE * float(amplitude.max()), amplitude, 0.0)
    return np.asarray(ndimage.gaussian_filter(strong.astype(np.float64), max(0.6, bins / 2.5)))


def _centre(amplitude: Floats) -> Floats:
    return np.asarray(ndimage.center_of_mass(amplitude)) - np.array(amplitude.shape) // 2


def _index(
    rotation: Floats, shift: Floats, scale: float, inverted: bool, shape: tuple[int, ...], source: tuple[int, ...]
) -> Floats:
    """Return where in the source array each voxel of the grid moved to comes from, ``(3, z, y, x)``."""
    # No BLAS here: on a busy machine its threads wait for one another far longer than this product takes.
    axes = [np.arange(n, dtype=np.float64) - n // 2 - s for n, s in zip(shape, shift, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    back = np.einsum("ab,bzyx->azyx", rotation.T, places) * (-scale if inverted else scale)
    return np.asarray(back + (np.array(source) // 2)[:, None, None, None])
