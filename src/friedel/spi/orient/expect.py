"""The E-step: how probable is each orientation of each frame, and what do the frames say in each view.

For a frame K and the slice W of a view, log-likelihoods at all in-plane angles α are one inverse FFT of
Σ_rings log W_m · conj(K_m): one complex matrix product per harmonic m for all frames and views. The fluence of a
frame is eliminated: at its best value N / ΣW, the log-likelihood is Σ K log W − N log ΣW.

The M-step's first half goes the same way back: Σ_frames p_m K_m, one product per harmonic.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from friedel.core.fourier import fast_length, ring_fourier, ring_values
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.volume import sample

FLOOR = 0.02
"""Least W, as a fraction of the ring's mean, before the logarithm: so a photon where W is near 0 excludes no view."""
PRUNE = 12.0
"""Views whose log-likelihood at their best in-plane angle, times β, is lower than the frame's best view's by more than
this (nats) are left out of the sums: each would add less than e⁻¹² = 6e-6 of the best."""
_BLOCK = 12_000_000
"""Frame × view × angle log-likelihoods in memory at once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Slices:
    """Views of a volume, on rings.

    Attributes
    ----------
    points : (n_views, n_rings, n_angles, 3)
        Where in the volume they were taken.
    log : (n_harmonics, n_rings, n_views) complex64
        Harmonics of log W.
    total : (n_views, n_angles)
        Σ of weight · W over the detector, by in-plane angle.
    weights : (n_harmonics, n_rings) complex64
        The detector's.
    first : (n_harmonics,) int
        The innermost ring on which each harmonic is kept.
    radial : (n_rings,)
        Mean of W over all views.
    gain : (n_views,)
        Expectation of log(W / radial), both normalised over the detector, for photons distributed as the view's W.
    level, level_variance : (n_views,)
        Mean and variance of log(W / ΣW) for photons distributed as the view's W.
    """

    points: Tensor
    log: Tensor
    total: Tensor
    weights: Tensor
    first: tuple[int, ...]
    radial: Tensor
    gain: Tensor
    level: Tensor
    level_variance: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Expectation:
    """What an E-step found.

    Attributes
    ----------
    photons, exposure : (n_views, n_rings, n_angles)
        Photons and exposure on the views' rings.
    log_likelihood, entropy, fluence : (n_frames,)
        log Σ of the likelihood over orientations, entropy of the posterior (nats), and N / ⟨ΣW⟩.
    view, angle : (n_frames,) int
        The most probable orientation.
    fit : (n_frames,)
        Log-likelihood of the best orientation less that of the radial mean, divided by its expectation (photons ×
        `Slices.gain`): about 1 for frames of this particle.
    surprise : (n_frames,)
        Log-likelihood of a frame at its best orientation less its expectation (photons × `Slices.level`), in standard
        deviations of counting noise: photons where W is near zero make it very negative.
    """

    photons: Tensor
    exposure: Tensor
    log_likelihood: Tensor
    entropy: Tensor
    fluence: Tensor
    view: Tensor
    angle: Tensor
    fit: Tensor
    surprise: Tensor


def take_slices(volume: Tensor, frames: RingFrames, views: Tensor, n_rings: int) -> Slices:
    """Sample a volume in all views and expand log W in harmonics.

    Parameters
    ----------
    volume : (n, n, n)
        Intensity ``(z, y, x)``, photons per frame and unit weight.
    frames : RingFrames
        Whose rings and detector weights are taken.
    views : (n_views, 3, 3)
        Rotations V, of vectors (x, y, z).
    n_rings : int
        Rings from the innermost outwards.
    """
    rings = frames.rings
    order = int(rings.orders[n_rings - 1])
    n_angles = fast_length(2 * order + 1)
    points = torch.einsum("vij,raj->vrai", views, rings.points(n_rings, n_angles).to(views))
    values = sample(volume, points)
    values = torch.maximum(values, FLOOR * values.mean((0, 2), keepdim=True))
    weights = frames.weights[: order + 1, :n_rings].to(values.device)
    harmonics = ring_fourier(values)[..., : order + 1] / n_angles
    total = ring_values(torch.einsum("vrm,mr->vm", harmonics, weights.conj()), n_angles)
    logs = values.log()
    log = ring_fourier(logs)[..., : order + 1] / n_angles
    first = tuple(int((rings.orders[:n_rings] < m).sum()) for m in range(order + 1))
    radial, ring_weight = values.mean((0, 2)), weights[0].real
    gain, level, variance = _promises(values, logs, radial, ring_weight)
    return Slices(
        points=points,
        log=log.permute(2, 1, 0).contiguous(),
        total=total,
        weights=weights,
        first=first,
        radial=radial,
        gain=gain,
        level=level,
        level_variance=variance,
    )


def _promises(values: Tensor, logs: Tensor, radial: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return by view `Slices.gain`, ``level`` and ``level_variance``: what photons drawn from the view would say."""
    total = values.mean(2) @ weight

    def over_photons(quantity: Tensor) -> Tensor:
        return (values * quantity).mean(2) @ weight / total

    level = over_photons(logs)
    variance = over_photons(logs**2) - level**2
    gain = over_photons(logs - radial.log()[:, None]) - (total / (radial @ weight)).log()
    return gain, level - total.log(), variance


def expect(frames: RingFrames, slices: Slices, *, beta: float) -> Expectation:
    """Find the posterior over orientations at inverse temperature β, and the views' photons and exposures."""
    n_harmonics, n_rings, n_views = slices.log.shape
    photons = torch.zeros((n_harmonics, n_views, n_rings), dtype=torch.complex64, device=slices.log.device)
    exposure = torch.zeros((n_harmonics, n_views), dtype=torch.complex64, device=slices.log.device)
    n_angles = slices.total.shape[1]
    block = max(16, _BLOCK // (n_views * n_angles))
    parts = []
    for start in range(0, len(frames), block):
        harmonics = frames.photons[:n_harmonics, start : start + block, :n_rings].to(slices.log.device)
        counts = frames.counts[start : start + block, :n_rings].sum(1).to(slices.log.device)
        scores = _scores(harmonics, counts, slices)
        found = _posterior(scores.mul_(beta), counts, slices, (harmonics, photons, exposure))
        rings = frames.counts[start : start + block, :n_rings].to(slices.log.device)
        parts.append((*found[:5], *_fit(found[5] / beta, found[3], rings, slices)))
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    waves = slices.weights.T[None] * exposure.T[:, None, :]
    return Expectation(
        photons=ring_values(photons.permute(1, 2, 0), n_angles),
        exposure=ring_values(waves, n_angles),
        log_likelihood=columns[0] / beta,
        entropy=columns[1],
        fluence=columns[2],
        view=columns[3],
        angle=columns[4],
        fit=columns[5],
        surprise=columns[6],
    )


def _fit(peak: Tensor, view: Tensor, rings: Tensor, slices: Slices) -> tuple[Tensor, Tensor]:
    """Return `Expectation.fit` and ``surprise`` of frames from their best log-likelihood."""
    counts, weight = rings.sum(1), slices.weights[0].real
    radial = rings @ slices.radial.log() - counts * (slices.radial @ weight).log()
    promised = counts * slices.gain[view]
    surprise = (peak - counts * slices.level[view]) / (counts * slices.level_variance[view]).clamp_min(1).sqrt()
    return (peak - radial) / promised.clamp_min(1e-6), surprise


def _scores(harmonics: Tensor, counts: Tensor, slices: Slices) -> Tensor:
    """Return log-likelihoods ``(n_angles, n_frames, n_views)``, up to a constant by frame."""
    n_harmonics, _, n_views = slices.log.shape
    conjugate = harmonics.conj()
    products = torch.empty((n_harmonics, len(counts), n_views), dtype=torch.complex64, device=harmonics.device)
    for m, ring in enumerate(slices.first):
        torch.mm(conjugate[m, :, ring:], slices.log[m, ring:], out=products[m])
    scores = ring_values(products, slices.total.shape[1], dim=0)
    scores -= counts[:, None] * slices.total.T.log()[:, None, :]
    return scores


def _posterior(
    scores: Tensor, counts: Tensor, slices: Slices, sums: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, ...]:
    """Add a block's share to the sums of photons and exposures; return its frames' figures."""
    harmonics, photons, exposure = sums
    n_harmonics, n_views, _ = photons.shape
    n_angles, n_frames, _ = scores.shape
    top = scores.amax(0)
    best = top.amax(1)
    frame, view = (top > best[:, None] - PRUNE).nonzero(as_tuple=True)
    kept = scores.reshape(n_angles, -1)[:, frame * n_views + view]
    chance = torch.exp(kept - best[frame])
    norm = torch.zeros_like(best).index_add_(0, frame, chance.sum(0))
    chance /= norm[frame]
    inverse = chance / slices.total.T[:, view]
    fluence = counts * torch.zeros_like(best).index_add_(0, frame, inverse.sum(0))
    log_norm = best + norm.log()
    mean = torch.zeros_like(best).index_add_(0, frame, (chance * kept).sum(0))
    spectrum = ring_fourier(chance.T)[:, :n_harmonics]
    pairs = torch.zeros((n_harmonics, n_views * n_frames), dtype=torch.complex64, device=scores.device)
    pairs[:, view * n_frames + frame] = spectrum.T
    for m, ring in enumerate(slices.first):
        photons[m, :, ring:] += pairs[m].view(n_views, n_frames) @ harmonics[m, :, ring:]
    exposure.index_add_(1, view, ring_fourier((inverse * counts[frame]).T)[:, :n_harmonics].T.contiguous())
    where = scores.reshape(n_angles, -1)[:, torch.arange(n_frames, device=top.device) * n_views + top.argmax(1)]
    return log_norm, log_norm - mean, fluence, top.argmax(1), where.argmax(0), best
