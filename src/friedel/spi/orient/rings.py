"""Sparse frames as angular Fourier coefficients on rings around the beam.

An in-plane rotation of the particle turns a frame around the beam, exactly, where the Ewald cap is symmetric: every
ring's coefficients get a phase. Two rings share each photon in proportion to its distance from them. The detector's
weights (mask, solid angle, polarisation) are expanded in the same way, so that gaps are treated exactly up to the
highest harmonic.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from friedel.core.errors import InputError
from friedel.core.machine.team import ALONE, Team

Floats = NDArray[np.float64]

RING_STEP = 1.5
"""Distance of rings, voxels. With speckles of six voxels, 1.0 costs half as much again and gains 0.002."""
_SLACK_HARMONICS = 4  # kept beyond a ring's highest frequency: a band limit on a small circle is not sharp
_LEAST_PIXELS = 50
SYMMETRIC = 0.3
"""Voxels by which pixels may lie off the symmetric cap through their neighbours before rings mean nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pixels:
    """Where a detector's pixels lie in the merged volume, and what they count.

    Attributes
    ----------
    q : (n_pixels, 3) float64
        (x, y, z) in voxels of the volume, z along the beam.
    weight : (n_pixels,) float64
        Solid angle times polarisation; 0 where nothing is measured or the pixel takes no part.
    good : (n_masks, n_pixels) bool, optional
        Which pixels were measured under each of the masks that frames have; None: all frames have all.
    """

    q: Floats
    weight: Floats
    good: NDArray[np.bool_] | None = None

    @property
    def used(self) -> NDArray[np.bool_]:
        """Pixels that take part."""
        return self.weight > 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Rings:
    """Circles around the beam on which the cap is sampled.

    Attributes
    ----------
    radius, height : (n_rings,) float64
        Distance from the beam's axis and place along the beam, voxels.
    orders : (n_rings,) int
        Highest harmonic kept on each ring.
    off : float
        How far pixels lie off the cap that the circles make, voxels.
    plain : bool
        Whether frames are compared at their own pixels (`plain`); circles then only tell speckles and radial means.
    """

    radius: Floats
    height: Floats
    orders: NDArray[np.int64]
    off: float = 0.0
    plain: bool = False

    @property
    def q(self) -> Floats:
        """Distance from the origin, voxels ``(n_rings,)``."""
        return np.hypot(self.radius, self.height)

    def within(self, q_max: float) -> int:
        """Return how many rings, three at least, lie within a resolution."""
        return min(max(int(np.searchsorted(self.q, q_max + 1e-6)), 3), len(self.radius))

    def points(self, n_rings: int, n_angles: int) -> Tensor:
        """Return the first rings' points, ``(n_rings, n_angles, 3)`` float32, (x, y, z) in voxels."""
        angle = 2 * np.pi * np.arange(n_angles) / n_angles
        radius, height = self.radius[:n_rings, None], self.height[:n_rings, None]
        places = np.broadcast_arrays(radius * np.cos(angle), radius * np.sin(angle), height)
        return torch.from_numpy(np.stack(places, axis=-1).astype(np.float32))


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelFrames:
    """The same frames at the detector's own pixels, those that take part, by distance from the beam's axis.

    Attributes
    ----------
    photons : (n_frames, n_pixels) csr_matrix of float32
        Photons.
    q : (n_pixels, 3) float32
        (x, y, z), voxels.
    weight : (n_masks, n_pixels) float32
        Solid angle times polarisation; 0 where a mask has no pixel.
    place : (n_pixels,) float64
        Number of the ring, with the share of the way to the next; increasing.
    number : (n_pixels,) int
        Which of the detector's pixels they are.
    """

    photons: sp.csr_matrix
    q: NDArray[np.float32]
    weight: NDArray[np.float32]
    place: Floats
    number: NDArray[np.int64]

    def within(self, n_rings: int) -> int:
        """Return how many pixels, the first ones, belong to the first rings."""
        return int(np.searchsorted(self.place, n_rings - 0.5))

    def on_pixels(self, by_ring: Tensor, n_pixels: int) -> NDArray[np.float32]:
        """Return a figure by ring at the first pixels, ``(n_pixels,)``."""
        values = by_ring.double().numpy()
        return np.interp(self.place[:n_pixels], np.arange(len(values)), values).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class RingFrames:
    """Frames on rings.

    Attributes
    ----------
    rings : Rings
        The circles.
    photons : (n_harmonics, n_frames, n_rings) complex64
        Σ over a ring's photons of exp(−i m φ).
    weights : (n_harmonics, n_rings) complex64
        The same of the detector's weights; where frames have masks, in the mean over all frames.
    weight_power : (n_harmonics, n_rings) float64
        Mean over all frames of |weights|².
    counts : (n_frames, n_rings) float32
        Photons by ring.
    mean : (n_rings,) float32
        Photons by ring in the mean over all frames, those of other processes, too.
    shot : (n_rings,) float32
        Mean over all frames of |photons|² that chance alone gives.
    background : (n_rings,) float32, optional
        Photons per frame and unit weight that don't come from the particle, the same all around the beam.
    share : (n_frames,) float32, optional
        Each frame's background over its fluence, both 1 in the mean.
    team : Team
        The processes that have the other frames.
    numbers : (n_frames,) int64
        Which of all frames these are, increasing.
    masks : (n_masks, n_harmonics, n_rings) complex64, optional
        The weights under each of the masks that frames have.
    mask : (n_frames,) int64, optional
        Which one each frame has.
    by_pixel : PixelFrames
        The frames as they were measured.
    """

    rings: Rings
    by_pixel: PixelFrames
    photons: Tensor
    weights: Tensor
    weight_power: Tensor
    counts: Tensor
    mean: Tensor
    shot: Tensor
    numbers: Tensor
    background: Tensor | None = None
    share: Tensor | None = None
    team: Team = ALONE
    masks: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return self.photons.shape[1]

    def select(self, frames: NDArray[np.int64] | Tensor) -> "RingFrames":
        """Return some of the frames."""
        index = torch.as_tensor(frames)
        return replace(
            self,
            by_pixel=replace(self.by_pixel, photons=self.by_pixel.photons[index.numpy()]),
            photons=self.photons[:, index],
            counts=self.counts[index],
            numbers=self.numbers[index],
            share=None if self.share is None else self.share[index],
            mask=None if self.mask is None else self.mask[index],
        )

    def everyones(self, values: Tensor) -> Tensor:
        """Return a figure by frame, ``(n_frames, ...)``, of all processes' frames, in the frames' order."""
        return self.team.joined(values)[self.team.joined(self.numbers).argsort()]

    def ours(self, values: Tensor) -> Tensor:
        """Return of a figure of all processes' frames what belongs to this one's: the inverse of `everyones`."""
        return values[torch.searchsorted(self.team.joined(self.numbers).sort().values, self.numbers)]


def upright(pixels: Pixels) -> tuple[Pixels, Floats]:
    """Return pixels whose beam runs along z, and the rotation ``(3, 3)`` that took them there: q_upright = T q.

    Pixels lie on the Ewald sphere, which goes through the origin: |q|² = 2 q · c, c its centre. Where c isn't
    on the z axis, the file's axes aren't the beam's. Pixels that lie on no sphere are returned as they are.
    """
    q = pixels.q[pixels.used]
    if len(q) < _LEAST_PIXELS or _asymmetry(q) <= SYMMETRIC:
        return pixels, np.eye(3)
    centre = np.linalg.lstsq(q, (q**2).sum(1) / 2, rcond=None)[0]
    radius = float(np.linalg.norm(centre))
    if not np.abs(np.linalg.norm(q - centre, axis=1) - radius).max() <= SYMMETRIC:
        return pixels, np.eye(3)
    turn = Rotation.align_vectors([[0, 0, -1]], [centre / radius])[0].as_matrix()
    return replace(pixels, q=pixels.q @ turn.T), turn


def _asymmetry(q: Floats) -> float:
    """Return how far pixels lie, voxels, off the symmetric cap through their neighbours in distance from the z axis."""
    radius = np.hypot(q[:, 0], q[:, 1])
    order = np.argsort(radius)
    knots = np.linspace(radius[order[0]], radius[order[-1]], max(round(np.ptp(radius) / RING_STEP), 2))
    height = np.interp(knots, radius[order], q[order, 2])
    return float(np.abs(np.interp(radius, knots, height) - q[:, 2]).max())


def lay_rings(pixels: Pixels, *, band: float, step: float = RING_STEP) -> Rings:
    """Choose rings for a detector.

    Parameters
    ----------
    pixels : Pixels
        The detector.
    band : float
        Highest frequency along a ring that intensities have, cycles per voxel.
    step : float
        Distance of rings, voxels.

    Raises
    ------
    InputError
        If too few pixels are used.
    """
    q = pixels.q[pixels.used]
    radius = np.hypot(q[:, 0], q[:, 1])
    if len(radius) < _LEAST_PIXELS or np.ptp(radius) < 3 * step:
        raise InputError(
            f"{len(radius)} pixels take part, over {np.ptp(radius) if len(radius) else 0:.1f} voxels of |q|"
        )
    order = np.argsort(radius)
    low, high = radius[order[0]], radius[order[-1]]
    rings = np.linspace(low, high, round((high - low) / step) + 1)
    height = np.interp(rings, radius[order], q[order, 2])
    orders = np.ceil(2 * np.pi * band * rings).astype(np.int64) + _SLACK_HARMONICS
    return Rings(radius=rings, height=height, orders=orders, off=_asymmetry(q))


def ring_frames(
    photons: sp.csr_matrix,
    pixels: Pixels,
    rings: Rings,
    *,
    team: Team = ALONE,
    numbers: NDArray[np.int64] | None = None,
    mask: NDArray[np.int64] | None = None,
) -> RingFrames:
    """Expand sparse frames of photons in the rings' harmonics.

    Parameters
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        All frames.
    pixels : Pixels
        The detector.
    rings : Rings
        The circles.
    team : Team
        The processes that share the frames.
    numbers : (n_ours,) int, optional
        This process's frames, increasing; None: all.
    mask : (n_frames,) int, optional
        Which of the pixels' masks each of all frames has; needed where they have any.
    """
    used = np.flatnonzero(pixels.used)
    photons = sp.csr_matrix(photons, dtype=np.float32)[:, used]
    mean = np.asarray(photons.mean(axis=0)).ravel()
    numbers = np.arange(photons.shape[0]) if numbers is None else numbers
    photons = photons[numbers]
    q, weight = pixels.q[used], pixels.weight[used]
    place = np.interp(np.hypot(q[:, 0], q[:, 1]), rings.radius, np.arange(len(rings.radius)))
    angle = np.arctan2(q[:, 1], q[:, 0])
    n_harmonics = int(rings.orders.max()) + 1
    measured, part = np.ones((1, len(used))), np.ones(1)
    if pixels.good is not None and mask is not None:
        measured, part = pixels.good[:, used].astype(float), np.bincount(mask, minlength=len(pixels.good)) / len(mask)
    frames = np.zeros((n_harmonics, photons.shape[0], len(rings.radius)), np.complex64)
    weights = np.zeros((len(measured), n_harmonics, len(rings.radius)), np.complex64)
    shot, ring_mean = (np.zeros(len(rings.radius), np.float32) for _ in range(2))
    for ring, order in enumerate(rings.orders):
        share = np.maximum(0.0, 1.0 - np.abs(place - ring))
        near = np.flatnonzero(share)
        waves = (share[near, None] * np.exp(-1j * np.outer(angle[near], np.arange(order + 1)))).astype(np.complex64)
        frames[: order + 1, :, ring] = (photons[:, near] @ waves).T
        weights[:, : order + 1, ring] = (measured[:, near] * weight[near]) @ waves
        shot[ring], ring_mean[ring] = mean @ share**2, mean @ share
    counts = torch.from_numpy(np.ascontiguousarray(frames[0].real))
    outward = np.argsort(place, kind="stable")
    by_pixel = PixelFrames(
        photons=sp.csr_matrix(photons[:, outward]),
        q=q[outward].astype(np.float32),
        weight=(measured * weight)[:, outward].astype(np.float32),
        place=place[outward],
        number=used[outward],
    )
    own = len(measured) > 1 and mask is not None
    return RingFrames(
        rings=rings,
        by_pixel=by_pixel,
        photons=torch.from_numpy(frames),
        weights=torch.from_numpy(np.tensordot(part, weights, 1).astype(np.complex64)),
        weight_power=torch.from_numpy(np.tensordot(part, np.abs(weights.astype(np.complex128)) ** 2, 1)),
        counts=counts,
        mean=torch.from_numpy(ring_mean),
        shot=torch.from_numpy(shot),
        numbers=torch.from_numpy(numbers),
        team=team,
        masks=torch.from_numpy(weights) if own else None,
        mask=torch.from_numpy(np.asarray(mask)[numbers]) if own and mask is not None else None,
    )
