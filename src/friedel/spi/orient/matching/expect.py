"""The E-step: how probable is each orientation of each frame, and what do the frames say in each view.

For a frame K and the slice W of a view, log-likelihoods at all in-plane angles α are one inverse FFT of
Σ_rings log W_m · conj(K_m): one complex matrix product per harmonic m for all frames and views. The fluence of a
frame is eliminated: at its best value N / ΣW, the log-likelihood is Σ K log W − N log ΣW.

The M-step's first half goes the same way back: Σ_frames p_m K_m, one product per harmonic.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from friedel.core.fourier import fast_length, ring_fourier, ring_values
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.volume import sample

FLOOR = 0.02
"""Least W, as a fraction of the ring's mean, before the logarithm: so a photon where W is near 0 excludes no view."""
PRUNE = 12.0
"""Views whose best angle lies this far (in nats, at the current β) below the frame's best take no part: e⁻¹² each."""
MOST = 64
"""Frames that are compared at once, at most. Processes share whole blocks of this size, so that what is rounded in a
block is the same for any number of processes: a difference of 1e-7 grows to 1e-4 in the log-likelihood otherwise."""
# Lowest exponent of e: nothing beside one in float32; below -87 begin subnormal numbers, a hundred times slower.
_LEAST = -60.0
_BLOCK = 6_000_000
"""Frame × view × angle log-likelihoods in memory at once: 24 MB, which the allocator keeps. Twice as many cost half as
much again, in page faults."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Slices:
    """Views of a volume, on rings.

    Attributes
    ----------
    points : (n_views, n_rings, n_angles, 3)
        Where in the volume they were taken.
    log : (n_harmonics, n_rings, n_views) complex64
        Harmonics of log(W / radial): without the radial mean, log-likelihoods are tens, not thousands, of nats, and
        as much less is lost in single precision.
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
        Photons and exposure on the views' rings, of all processes' frames.
    log_likelihood, entropy, fluence : (n_frames,)
        log Σ of the likelihood over orientations, entropy of the posterior (nats), and N / ⟨ΣW⟩.
    view, angle : (n_frames,) int
        The most probable orientation.
    """

    photons: Tensor
    exposure: Tensor
    log_likelihood: Tensor
    entropy: Tensor
    fluence: Tensor
    view: Tensor
    angle: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Judgement:
    """How well a model explains frames that it wasn't made from.

    Attributes
    ----------
    fit : (n_frames,)
        How much better than the radial mean the best orientation explains a frame, over what the model promises: about
        1 for frames of this particle.
    surprise : (n_frames,)
        Log-likelihood of a frame at its best orientation beyond what the model promises, in standard deviations of
        its chance: photons where the particle puts none make it very negative.
    evidence : (n_frames,)
        Mean likelihood over all orientations against the radial mean's, log. Frames that are round but for shot noise
        have it below zero in the mean, whatever the model (Gibbs' inequality).
    """

    fit: Tensor
    surprise: Tensor
    evidence: Tensor


def take_slices(
    volume: Tensor, frames: RingFrames, views: Tensor, n_rings: int, *, added: Tensor | None = None
) -> Slices:
    """Sample a volume in all views and expand log W in harmonics.

    Parameters
    ----------
    volume : (n, n, n)
        The intensity.
    frames : RingFrames
        Whose rings and weights to take.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to sample.
    added : (n_all_rings,), optional
        Background to add to each ring.
    """
    return next(slices_by_mask(volume, frames, views, n_rings, [frames.weights], added=added))


def slices_by_mask(
    volume: Tensor,
    frames: RingFrames,
    views: Tensor,
    n_rings: int,
    masks: list[Tensor],
    *,
    added: Tensor | None = None,
    promised: bool = True,
) -> Iterator[Slices]:
    """Sample a volume in all views, and yield the slices under each of several masks.

    Parameters
    ----------
    volume : (n, n, n)
        The intensity.
    frames : RingFrames
        Whose rings to take.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to sample.
    masks : list of (n_harmonics, n_rings)
        Weights (`RingFrames.masks`).
    added : (n_all_rings,), optional
        Background to add to each ring.
    promised : bool
        Whether to compute what `judge` compares with; empty otherwise.
    """
    rings = frames.rings
    order = int(rings.orders[n_rings - 1])
    n_angles = fast_length(2 * order + 1)
    points = torch.einsum("vij,raj->vrai", views, rings.points(n_rings, n_angles).to(views))
    values = sample(volume, points)
    values = torch.maximum(values, FLOOR * values.mean((0, 2), keepdim=True))
    if added is not None:
        values = values + added[:n_rings, None].to(values)
    harmonics = ring_fourier(values)[..., : order + 1] / n_angles
    radial = values.mean((0, 2))
    logs = (values / radial[:, None]).log()
    log = (ring_fourier(logs)[..., : order + 1] / n_angles).permute(2, 1, 0).contiguous()
    first = tuple(int((rings.orders[:n_rings] < m).sum()) for m in range(order + 1))
    for mask in masks:
        weights = mask[: order + 1, :n_rings].to(values.device)
        total = ring_values(torch.einsum("vrm,mr->vm", harmonics, weights.conj()), n_angles)
        nothing = radial[:0]
        gain, level, variance = (
            _promises(values, logs, radial, weights[0].real) if promised else (nothing, nothing, nothing)
        )
        yield Slices(
            points=points,
            log=log,
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

    gain = over_photons(logs) - (total / (radial @ weight)).log()
    whole = logs + radial.log()[:, None]
    level = over_photons(whole)
    variance = over_photons(whole**2) - level**2
    return gain, level - total.log(), variance


def expect(
    frames: RingFrames, slices: Slices, *, beta: float, bias: Tensor | None = None, part: Tensor | None = None
) -> Expectation:
    """Find the posterior over orientations at inverse temperature β, and the views' photons and exposures.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    slices : Slices
        The model's.
    beta : float
        Inverse temperature.
    bias : (n_views,), optional
        Nats by which each view is more probable before a frame is seen (`coverage`).
    part : (n_frames,), optional
        Share of each frame that belongs to this model, in the photons and exposures; None: all of all.
    """
    n_harmonics, n_rings, n_views = slices.log.shape
    # In double precision, so that it hardly matters in which order, and in how many processes, frames are added.
    photons = torch.zeros((n_views, n_harmonics, n_rings), dtype=torch.complex128, device=slices.log.device)
    exposure = torch.zeros((n_views, n_harmonics), dtype=torch.complex128, device=slices.log.device)
    n_angles = slices.total.shape[1]
    parts, start = [], 0
    for harmonics, rings in _blocks(frames, slices):
        scores = _scores(beta * harmonics, beta * rings.sum(1), slices, bias)
        own = None if part is None else part[start : start + len(rings)]
        start += len(rings)
        found = _posterior(scores, rings.sum(1), slices, (harmonics, photons, exposure), own)
        parts.append((found[0] / beta + _radial(rings, slices), *found[1:]))
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    photons, exposure = (frames.team.total(values).to(torch.complex64) for values in (photons, exposure))
    waves = slices.weights.T[None] * exposure[:, None, :]
    return Expectation(
        photons=ring_values(photons.transpose(1, 2), n_angles),
        exposure=ring_values(waves, n_angles),
        log_likelihood=columns[0],
        entropy=columns[1],
        fluence=columns[2],
        view=columns[3],
        angle=columns[4],
    )


def judge(frames: RingFrames, slices: Slices) -> Judgement:
    """Tell how well a model's slices explain frames."""
    parts = []
    for harmonics, rings in _blocks(frames, slices):
        scores = _scores(harmonics, rings.sum(1), slices)
        best, view = scores.amax(0).max(1)
        mean = (scores - best[:, None]).clamp_(min=_LEAST).exp_().mean((0, 2)).log() + best
        parts.append((*_fit(best, view, rings, slices), mean))
    fit, surprise, evidence = (torch.cat(column) for column in zip(*parts, strict=True))
    return Judgement(fit=fit, surprise=surprise, evidence=evidence)


def frames_at_once(n_orientations: int) -> int:
    """Return how many frames are compared at once with so many orientations: a power of two, from 16 to `MOST`."""
    return int(2 ** np.clip(round(np.log2(_BLOCK / n_orientations)), 4, np.log2(MOST)))


def _blocks(frames: RingFrames, slices: Slices) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield harmonics and photons by ring of as many frames as are compared at once."""
    n_harmonics, n_rings, n_views = slices.log.shape
    block, device = frames_at_once(n_views * slices.total.shape[1]), slices.log.device
    for start in range(0, len(frames), block):
        yield (
            frames.photons[:n_harmonics, start : start + block, :n_rings].to(device),
            frames.counts[start : start + block, :n_rings].to(device),
        )


def _radial(rings: Tensor, slices: Slices) -> Tensor:
    """Return frames' log-likelihood if the intensity were its radial mean."""
    return rings @ slices.radial.log() - rings.sum(1) * (slices.radial @ slices.weights[0].real).log()


def _fit(peak: Tensor, view: Tensor, rings: Tensor, slices: Slices) -> tuple[Tensor, Tensor]:
    """Return `Judgement.fit` and ``surprise`` of frames from their best log-likelihood."""
    counts = rings.sum(1)
    promised = counts * slices.gain[view]
    beyond = peak + _radial(rings, slices) - counts * slices.level[view]
    surprise = beyond / (counts * slices.level_variance[view]).clamp_min(1).sqrt()
    return peak / promised.clamp_min(1e-6), surprise


def _scores(harmonics: Tensor, counts: Tensor, slices: Slices, bias: Tensor | None = None) -> Tensor:
    """Return log-likelihoods ``(n_angles, n_frames, n_views)`` beyond the radial mean's, and the views' bias."""
    n_harmonics, _, n_views = slices.log.shape
    conjugate = harmonics.conj()
    products = torch.empty((n_harmonics, len(counts), n_views), dtype=torch.complex64, device=harmonics.device)
    for m, ring in enumerate(slices.first):
        torch.mm(conjugate[m, :, ring:], slices.log[m, ring:], out=products[m])
    if bias is not None:  # the harmonic of order zero is the same at all angles
        products[0] += bias
    scores = ring_values(products, slices.total.shape[1], dim=0)
    expected = (slices.total / (slices.radial @ slices.weights[0].real)).T.log()
    return scores.addcmul_(counts[:, None], expected[:, None, :], value=-1)


def _posterior(
    scores: Tensor, counts: Tensor, slices: Slices, sums: tuple[Tensor, Tensor, Tensor], part: Tensor | None
) -> tuple[Tensor, ...]:
    """Add a block's share to the sums of photons and exposures; return its frames' figures."""
    harmonics, photons, exposure = sums
    n_views, n_harmonics, _ = photons.shape
    n_angles, n_frames, _ = scores.shape
    top = scores.amax(0)
    best = top.amax(1)
    frame, view = (top > best[:, None] - PRUNE).nonzero(as_tuple=True)
    kept = scores.reshape(n_angles, -1)[:, frame * n_views + view]
    chance = (kept - best[frame]).clamp_(min=_LEAST).exp_()
    norm = torch.zeros_like(best).index_add_(0, frame, chance.sum(0))
    chance /= norm[frame]
    inverse = chance / slices.total.T[:, view]
    fluence = counts * torch.zeros_like(best).index_add_(0, frame, inverse.sum(0))
    log_norm = best + norm.log()
    mean = torch.zeros_like(best).index_add_(0, frame, (chance * kept).sum(0))
    if part is not None:
        chance, inverse = chance * part[frame], inverse * part[frame]
    spectrum = ring_fourier(chance.T)[:, :n_harmonics]
    seen, place = view.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    pairs = torch.zeros((n_harmonics, len(seen) * n_frames), dtype=torch.complex64, device=scores.device)
    pairs[:, place * n_frames + frame] = spectrum.T
    added = torch.zeros((len(seen), *photons.shape[1:]), dtype=torch.complex64, device=scores.device)
    for m, ring in enumerate(slices.first):
        torch.mm(pairs[m].view(len(seen), n_frames), harmonics[m, :, ring:], out=added[:, m, ring:])
    photons.index_add_(0, seen, added.to(photons.dtype))
    exposure.index_add_(0, view, ring_fourier((inverse * counts[frame]).T)[:, :n_harmonics].to(exposure.dtype))
    where = scores.reshape(n_angles, -1)[:, torch.arange(n_frames, device=top.device) * n_views + top.argmax(1)]
    return log_norm, log_norm - mean, fluence, top.argmax(1), where.argmax(0)
