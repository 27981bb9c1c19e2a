"""The last refinement: each frame's most probable orientation, climbed to off the grid of views, and merged there.

Views of a march are as far apart as speckles at the edge allow, some 8°; frames of a few hundred photons tell their
orientation to 1°. Each step is one of Fisher scoring on the likelihood at the detector's own pixels, whatever engine
found the orientation: the step that the expected curvature calls for, halved where it leads down.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import grid_sample

from friedel.spi.orient.matching.expect import FLOOR, MOST
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.volume import Merge, collect, friedel_mean, radii, spherical_mean

Floats = NDArray[np.float32]

_STEPS = 2
"""Of the climb: they gain 11.9 nats a frame of set A, the third 0.2, the fourth 0.1."""
_CELL = 3.0
"""Edge, voxels, of the cells in which pixels are put together for ΣW and its curvature: half a speckle."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Climbed:
    """Orientations off the grid.

    Attributes
    ----------
    rotations : (n_frames, 3, 3) float32
        R takes the detector's q to the particle's.
    fluence : (n_frames,) float32
        N / ΣW there.
    uncertainty : (n_frames,) float32
        Standard deviation, rad, of a Gaussian in SO(3) of the likelihood's expected curvature.
    gain : (n_frames,) float32
        Nats beyond the grid's orientation.
    """

    rotations: Floats
    fluence: Floats
    uncertainty: Floats
    gain: Floats


class _Likelihood:
    """Σ K log W − N log ΣW of each frame at an orientation of its own, with slope and expected curvature."""

    def __init__(self, frames: RingFrames, volume: Tensor, n_rings: int) -> None:
        pixels = frames.by_pixel
        n_pixels = pixels.within(n_rings)
        self.photons = sp.csr_matrix(pixels.photons[:, :n_pixels])
        self.q, self.weight = pixels.q[:n_pixels], pixels.weight[:, :n_pixels]
        self.mask = np.zeros(len(frames), np.int64) if frames.mask is None else frames.mask.numpy()
        self.glow, self.share = np.zeros(n_pixels, np.float32), np.zeros(len(frames), np.float32)
        if frames.background is not None and frames.share is not None:
            self.glow, self.share = pixels.on_pixels(frames.background, n_pixels), frames.share.numpy()
        _, cell = np.unique(np.round(self.q / _CELL), axis=0, return_inverse=True)
        into = sp.csr_matrix((np.ones(n_pixels, np.float32), (cell.ravel(), np.arange(n_pixels))))
        size = np.asarray(into.sum(1), np.float32)
        self.cells, self.cell_glow = (into @ self.q) / size, (into @ self.glow) / size.ravel()
        self.cell_weight = np.ascontiguousarray((into @ self.weight.T).T)
        volume = volume.cpu()
        slope = torch.stack(torch.gradient(volume))  # along z, y, x
        self.field = torch.cat([volume[None], slope.flip(0)])[None].to(memory_format=torch.channels_last_3d)
        self.half = volume.shape[0] // 2
        mean = (
            spherical_mean(volume, torch.ones_like(volume), radii(volume.shape[0]).round().long()).nan_to_num().numpy()
        )
        radial, cell_radial = (
            np.interp(np.linalg.norm(q, axis=1), np.arange(len(mean)), mean).astype(np.float32)
            for q in (self.q, self.cells)
        )
        self.floor, self.cell_floor = FLOOR * radial, FLOOR * cell_radial
        # Where the radial mean is curved, a cell's middle has less than its pixels: a per cent.
        self.scale = (self.weight @ (radial + self.glow)) / (self.cell_weight @ (cell_radial + self.cell_glow))

    def _sampled(self, places: Floats) -> Floats:
        """Return W and its slope along x, y, z at places ``(..., 3)``, ``(4, ...)``."""
        grid = torch.from_numpy(places / self.half).reshape(1, 1, 1, -1, 3)
        found = grid_sample(self.field, grid, padding_mode="border", align_corners=True)
        return found.numpy().reshape(4, *places.shape[:-1])

    def _with_torque(self, places: Floats, floor: Floats) -> tuple[Floats, Floats]:
        """Return W ``(...)`` and how it changes with turns around x, y, z, ``(..., 3)``: q × slope."""
        value, *slope = self._sampled(places)
        torque = np.cross(places, np.stack(slope, axis=-1))
        torque[value < floor] = 0
        return np.maximum(value, floor), torque

    def blocks(self) -> Iterator[slice]:
        """Yield which frames are taken at once."""
        for start in range(0, self.photons.shape[0], MOST):
            yield slice(start, start + MOST)

    def at(self, rotations: Floats, block: slice) -> tuple[Floats, Floats, Floats, Floats]:
        """Return log-likelihoods ``(n,)``, N / ΣW ``(n,)``, slopes ``(n, 3)`` and curvatures ``(n, 3, 3)``."""
        photons, share = self.photons[block], self.share[block]
        counts = np.asarray(photons.sum(1), np.float32).ravel()
        frame, pixel = np.repeat(np.arange(len(counts)), np.diff(photons.indptr)), photons.indices
        rows = sp.csr_matrix((photons.data, np.arange(len(pixel)), photons.indptr), shape=(len(counts), len(pixel)))
        value, torque = self._with_torque(np.einsum("pij,pj->pi", rotations[frame], self.q[pixel]), self.floor[pixel])
        value += share[frame] * self.glow[pixel]
        around, turning = self._with_torque(np.einsum("fij,cj->fci", rotations, self.cells), self.cell_floor)
        around += share[:, None] * self.cell_glow
        weight = self.cell_weight[self.mask[block]]
        total = (weight * around).sum(1)
        mean = np.einsum("fc,fci->fi", weight, turning) / total[:, None]
        likelihood = rows @ np.log(value) - counts * np.log(total)
        slope = rows @ (torque / value[:, None]) - counts[:, None] * mean
        scaled = turning * np.sqrt(weight / around)[:, :, None]
        bend = scaled.swapaxes(1, 2) @ scaled / total[:, None, None] - mean[:, :, None] * mean[:, None]
        return likelihood, counts / (self.scale[self.mask[block]] * total), slope, counts[:, None, None] * bend


def climb(frames: RingFrames, volume: Tensor, rotations: Floats, *, n_rings: int, reach: float) -> Climbed:
    """Climb from orientations to the likeliest ones near them.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    rotations : (n_frames, 3, 3)
        Where to begin.
    n_rings : int
        Rings within which pixels are compared.
    reach : float
        Longest step, rad: the distance of the views that orientations come from.
    """
    likelihood = _Likelihood(frames, volume, n_rings)
    found = []
    for block in likelihood.blocks():
        best = rotations[block].astype(np.float32)
        top, fluence, slope, bend = likelihood.at(best, block)
        first, step = top.copy(), _step(slope, bend, reach)
        for _ in range(_STEPS):
            tried = _turned(best, step)
            now = likelihood.at(tried, block)
            up = now[0] > top
            for kept, new in zip((best, top, fluence, slope, bend), (tried, *now), strict=True):
                kept[up] = new[up]
            step = np.where(up[:, None], _step(slope, bend, reach), step / 2)
        deviation = np.linalg.det(bend.astype(np.float64)).clip(1e-12) ** (-1 / 6)
        found.append((best, fluence, deviation.astype(np.float32), top - first))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return Climbed(rotations=columns[0], fluence=columns[1], uncertainty=columns[2], gain=columns[3])


def _step(slope: Floats, bend: Floats, reach: float) -> Floats:
    """Return the step that the curvature calls for, ``(n, 3)``, no longer than a reach."""
    least = np.eye(3, dtype=np.float32) / reach**2  # a frame that tells nothing about an axis stays where it is
    step = np.linalg.solve(bend + least, slope[:, :, None])[:, :, 0]
    return step * np.minimum(1, reach / np.linalg.norm(step, axis=1, keepdims=True).clip(1e-12))


def _turned(rotations: Floats, steps: Floats) -> Floats:
    return (Rotation.from_rotvec(steps).as_matrix() @ rotations).astype(np.float32)


def merge_at(frames: RingFrames, found: Climbed, *, n: int, n_rings: int, group: NDArray[np.float64]) -> Merge:
    """Return what this process's frames put into each voxel, each at one orientation, less their background.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    found : Climbed
        Their orientations and fluences.
    n : int
        Edge of the volume, voxels.
    n_rings : int
        Rings within which pixels are merged.
    group : (order, 3, 3)
        Rotations of the particle's symmetry.
    """
    pixels = frames.by_pixel
    n_pixels = pixels.within(n_rings)
    glow = None if frames.background is None else pixels.on_pixels(frames.background, n_pixels)
    # In double precision from block to block, as in the E-step.
    merged = torch.zeros((n, n, n), dtype=torch.complex128)
    turns, q = torch.as_tensor(group, dtype=torch.float32), torch.from_numpy(pixels.q[:n_pixels])
    for start in range(0, len(frames), MOST):
        part = slice(start, start + MOST)
        weight = pixels.weight[[0] if frames.mask is None else frames.mask[part].numpy(), :n_pixels]
        given = (found.fluence[part, None] * weight).astype(np.float32)
        came = pixels.photons[part, :n_pixels].toarray()
        if glow is not None and frames.share is not None:
            came = came - given * frames.share[part, None].numpy() * glow
        places = torch.einsum("fij,pj->fpi", torch.from_numpy(found.rotations[part]), q)
        values = torch.complex(torch.from_numpy(came), torch.from_numpy(given))
        block = torch.zeros((n, n, n), dtype=torch.complex64)
        for turn in turns:
            collect(block, places @ turn.T if len(group) > 1 else places, values)
        merged += block
    merged = friedel_mean(frames.team.total(merged)).to(torch.complex64)
    return Merge(merged.real.contiguous(), merged.imag.contiguous())
