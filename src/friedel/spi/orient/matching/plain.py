"""The plain product: every frame with every slice of the intensity, pixel by pixel.

What it needs is where each pixel lies, nothing else: pixels may lie on no common cap, as at two photon energies. The
log-likelihood of all frames at an orientation is a product of sparse photons with log W; slices are made for a few
hundred orientations at a time. It costs some ten times what angular harmonics do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.spi.orient.background import bins_and_masks
from friedel.spi.orient.matching.expect import FLOOR, PRUNE, Expectation, Judgement
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.views import in_plane, sphere
from friedel.spi.orient.volume import Merge, collect, sample

Floats = NDArray[np.float32]
_VALUES = 1 << 20
"""Values of slices in memory at once: 4 MB, and three times as much for their places."""
_SCORES = 1 << 25
"""Frame × orientation log-likelihoods in memory at once: 128 MB."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Slices:
    """An intensity in all orientations, at the pixels of frames of one mask and one background.

    Attributes
    ----------
    volume : (n, n, n)
        The intensity.
    q : (n_pixels, 3) float32
        Places.
    weight, glow, radial : (n_pixels,) float32
        Of the detector, the background, and the radial mean of both, to which the logarithms refer.
    """

    volume: Tensor
    q: Tensor
    weight: Floats
    glow: Floats
    radial: Floats

    def blocks(self, rotations: Tensor) -> Iterator[tuple[slice, Floats]]:
        """Yield which rotations, and W ``(n_rotations, n_pixels)`` in them."""
        n = max(_VALUES // max(len(self.q), 1), 1)
        for start in range(0, len(rotations), n):
            part = rotations[start : start + n]
            yield slice(start, start + len(part)), self.at(part)

    def at(self, rotations: Tensor) -> Floats:
        """Return W ``(n_rotations, n_pixels)``."""
        signal = self.radial - self.glow
        values = sample(self.volume, self.places(rotations)).numpy()
        return np.maximum(values, FLOOR * signal) + self.glow

    def places(self, rotations: Tensor) -> Tensor:
        """Return R q ``(n_rotations, n_pixels, 3)``."""
        return torch.einsum("rij,pj->rpi", rotations, self.q)


def _slices(frames: RingFrames, volume: Tensor, n_rings: int, added: Tensor | None, mask: int) -> _Slices:
    pixels = frames.by_pixel
    n_pixels = pixels.within(n_rings)
    q = pixels.q[:n_pixels]
    glow = np.zeros(n_pixels, np.float32) if added is None else pixels.on_pixels(added, n_pixels)
    length = np.linalg.norm(q, axis=1)
    knots = np.arange(0, length.max() + 1, 0.5, dtype=np.float32)
    around = torch.from_numpy((knots[:, None, None] * sphere(500)).astype(np.float32))
    radial = np.interp(length, knots, sample(volume, around).mean(1).numpy())
    return _Slices(
        volume=volume,
        q=torch.from_numpy(q),
        weight=pixels.weight[mask, :n_pixels],
        glow=glow,
        radial=(radial.clip(1e-12) + glow).astype(np.float32),
    )


def orientations(views: Tensor, frames: RingFrames, n_rings: int) -> tuple[Tensor, int]:
    """Return the rotations V Z(α), view by view, ``(n_views · n_angles, 3, 3)``, and how many angles there are.

    In-plane angles are about as far apart as views are; harmonics need twice as many to be exact.
    """
    n_angles = int(frames.rings.orders[n_rings - 1])
    turns = torch.from_numpy(in_plane(2 * np.pi * np.arange(n_angles) / n_angles).astype(np.float32))
    return torch.einsum("vij,ajk->vaik", views.cpu(), turns).reshape(-1, 3, 3), n_angles


def _scores(photons: sp.csr_matrix, slices: _Slices, rotations: Tensor) -> tuple[Floats, Floats]:
    """Return log-likelihoods beyond the radial mean's, ``(n_frames, n_rotations)``, and by rotation Σ weight · W."""
    counts = np.asarray(photons.sum(1), np.float32)
    scores = np.empty((photons.shape[0], len(rotations)), np.float32)
    total = np.empty(len(rotations), np.float32)
    for block, values in slices.blocks(rotations):
        total[block] = values @ slices.weight
        scores[:, block] = photons @ np.ascontiguousarray(np.log(values / slices.radial).T)
    scores -= counts * np.log(total / (slices.radial @ slices.weight))
    return scores, total


def _radial(photons: sp.csr_matrix, slices: _Slices) -> Floats:
    """Return frames' log-likelihood if the intensity were its radial mean."""
    counts = np.asarray(photons.sum(1)).ravel()
    found = photons @ np.log(slices.radial) - counts * np.log(slices.radial @ slices.weight)
    return np.asarray(found, np.float32)


def _at_once(index: Tensor, n_rotations: int) -> Iterator[NDArray[np.int64]]:
    n = max(_SCORES // n_rotations, 1)
    for start in range(0, len(index), n):
        yield index[start : start + n].numpy()


def plain_expect(
    frames: RingFrames,
    volume: Tensor,
    views: Tensor,
    *,
    n_rings: int,
    group: NDArray[np.float64] | None = None,
    beta: float = 1.0,
    bias: Tensor | None = None,
    part: Tensor | None = None,
) -> tuple[Expectation, Merge]:
    """Find the posterior over orientations, and what the frames put into each voxel.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings within which pixels are compared.
    group : (order, 3, 3), optional
        Rotations under which photons are merged; None: they aren't merged.
    beta : float
        Inverse temperature.
    bias : (n_views,), optional
        Nats by which each view is more probable before a frame is seen.
    part : (n_frames,), optional
        Share of each frame that belongs to this model; None: all of all.

    Returns
    -------
    found : Expectation
        Its photons and exposure, ``(n_views, 1, n_angles)``, are those of the whole detector.
    merge : Merge
        Of all processes' frames.
    """
    volume = volume.cpu()
    rotations, n_angles = orientations(views, frames, n_rings)
    n_pixels = frames.by_pixel.within(n_rings)
    nats = 0.0 if bias is None else bias.cpu().repeat_interleave(n_angles).numpy()
    figures = np.zeros((4, len(frames)), np.float32)  # log-likelihood, entropy, fluence, rotation
    best = np.zeros(len(frames), np.int64)
    sums = np.zeros((2, len(rotations)))
    merged = torch.zeros(volume.shape, dtype=torch.complex64)
    for index, added, mask in bins_and_masks(frames):
        slices = _slices(frames, volume, n_rings, added, mask)
        for ours in _at_once(index, len(rotations)):
            photons = sp.csr_matrix(frames.by_pixel.photons[ours][:, :n_pixels])
            scores, total = _scores(photons, slices, rotations)
            scores = beta * scores + nats
            counts = np.asarray(photons.sum(1)).ravel()
            chance, log_norm, mean = _posterior(scores)
            inverse = sp.csr_matrix(chance @ sp.diags(1 / total))
            figures[0, ours] = log_norm / beta + _radial(photons, slices)
            figures[1, ours] = log_norm - mean
            figures[2, ours] = counts * np.asarray(inverse.sum(1)).ravel()
            best[ours] = scores.argmax(1)
            own = np.ones(len(ours), np.float32) if part is None else part[ours].cpu().numpy()
            shared = sp.csr_matrix(sp.diags(own) @ chance, dtype=np.float32)
            exposure = np.asarray((own * counts) @ inverse, np.float32)
            sums += np.stack([np.asarray((own * counts) @ chance), exposure])
            if group is not None:
                _splat(merged, slices, rotations, photons, shared, exposure, group)
    every = torch.from_numpy(sums.astype(np.float32)).reshape(2, len(views), 1, n_angles)
    merged, every = frames.team.total(merged), frames.team.total(every)
    rows = torch.from_numpy(figures).to(torch.float32)
    where = torch.from_numpy(best)
    found = Expectation(
        photons=every[0],
        exposure=every[1],
        log_likelihood=rows[0],
        entropy=rows[1],
        fluence=rows[2],
        view=where // n_angles,
        angle=where % n_angles,
    )
    return found, Merge(merged.real.contiguous(), merged.imag.contiguous())


def _posterior(scores: Floats) -> tuple[sp.csr_matrix, Floats, Floats]:
    """Return the posterior ``(n_frames, n_rotations)``, the log of its norm, and its mean of the scores."""
    best = scores.max(1)
    frame, rotation = np.nonzero(scores > best[:, None] - PRUNE)
    kept = scores[frame, rotation]
    chance = np.exp(kept - best[frame])
    norm = np.bincount(frame, chance, len(scores))
    chance = (chance / norm[frame]).astype(np.float32)
    mean = np.bincount(frame, chance * kept, len(scores))
    found = sp.csr_matrix((chance, (frame, rotation)), shape=scores.shape)
    return found, (best + np.log(norm)).astype(np.float32), mean.astype(np.float32)


def _splat(
    merged: Tensor,
    slices: _Slices,
    rotations: Tensor,
    photons: sp.csr_matrix,
    chance: sp.csr_matrix,
    exposure: Floats,
    group: NDArray[np.float64],
) -> None:
    """Add photons less the background's, and exposure, to the voxels around the pixels' places, in place.

    Parameters
    ----------
    merged : (n, n, n) complex64
        Photons and exposure.
    slices : _Slices
        Where pixels lie, and the background.
    rotations : (n_rotations, 3, 3)
        Orientations.
    photons : (n_frames, n_pixels) csr_matrix
        The frames.
    chance : (n_frames, n_rotations) csr_matrix
        Their posterior.
    exposure : (n_rotations,)
        What a unit of intensity gave in each orientation, by unit weight.
    group : (order, 3, 3)
        The particle's symmetry.
    """
    by_rotation = sp.csr_matrix(chance.T)
    seen = np.flatnonzero(np.diff(by_rotation.indptr))
    turns = torch.as_tensor(group, dtype=torch.float32)
    n = max(_VALUES // max(len(slices.q), 1), 1)
    for start in range(0, len(seen), n):
        block = seen[start : start + n]
        given = exposure[block, None] * slices.weight
        came = (by_rotation[block] @ photons).toarray() - given * slices.glow
        places = slices.places(rotations[block])
        values = torch.complex(torch.from_numpy(came), torch.from_numpy(given))
        for turn in turns:
            collect(merged, places @ turn.T if len(group) > 1 else places, values)


def plain_judge(frames: RingFrames, volume: Tensor, views: Tensor, *, n_rings: int) -> Judgement:
    """Tell how well an intensity explains frames.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings within which pixels are compared.
    """
    volume = volume.cpu()
    rotations, _ = orientations(views, frames, n_rings)
    n_pixels = frames.by_pixel.within(n_rings)
    found = np.zeros((3, len(frames)), np.float32)  # fit, surprise, evidence
    for index, added, mask in bins_and_masks(frames):
        slices = _slices(frames, volume, n_rings, added, mask)
        for ours in _at_once(index, len(rotations)):
            photons = sp.csr_matrix(frames.by_pixel.photons[ours][:, :n_pixels])
            scores, _ = _scores(photons, slices, rotations)
            best, where = scores.max(1), torch.from_numpy(scores.argmax(1))
            evidence = np.log(np.exp(scores - best[:, None]).mean(1)) + best
            gain, level, variance = (
                np.concatenate(column)
                for column in zip(*(_promises(one, slices) for _, one in slices.blocks(rotations[where])), strict=True)
            )
            counts = np.asarray(photons.sum(1)).ravel()
            beyond = best + _radial(photons, slices) - counts * level
            fit = best / (counts * gain).clip(1e-6)
            found[:, ours] = fit, beyond / np.sqrt((counts * variance).clip(1)), evidence
    fit, surprise, evidence = torch.from_numpy(found)
    return Judgement(fit=fit, surprise=surprise, evidence=evidence)


def _promises(values: Floats, slices: _Slices) -> tuple[Floats, Floats, Floats]:
    """Return by row of W what photons drawn from it would say: gain, level and its variance (`expect.Slices`)."""
    expected = values * slices.weight
    total = expected.sum(1)
    expected /= total[:, None]
    logs = np.log(values)
    gain = (expected * (logs - np.log(slices.radial))).sum(1) - np.log(total / (slices.radial @ slices.weight))
    level = (expected * logs).sum(1)
    return gain, level - np.log(total), (expected * logs**2).sum(1) - level**2
