"""Photons that don't come from the particle: a radial background, measured on blanks, with a scale for each frame.

A frame's expectation is fluence · (W + share · B). Frames of nearly the same share are compared with the same slices of
W + share · B, so that everything stays a product of harmonics; the fluence is eliminated as before.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.errors import InputError
from friedel.spi.orient.expect import Expectation, Judgement, Slices, expect, judge, slices_by_mask
from friedel.spi.orient.rings import Pixels, RingFrames
from friedel.spi.orient.speckle import shell_variance

_BINS = 6
"""Shares told apart, by quantiles: with fluences spread by half (log-normal), frames lie within 15 % of their bin's."""
_LEAST_SIGNAL = 0.02  # of a ring's mean photons: what is left to the particle where blanks claim all
_LEAST_MASK = 0.1  # of a ring's weight: where a mask leaves less, what is there tells too little to be scaled up
_ROUNDS = 3  # of the weighted fit of scales: its weights, from the fit before, change by per cents after two


def with_background(frames: RingFrames, blank: NDArray[np.float64], pixels: Pixels, *, extent: float) -> RingFrames:
    """Return frames that know their background.

    Parameters
    ----------
    frames : RingFrames
        Of hits.
    blank : (n_pixels,)
        Mean photons of a blank frame.
    pixels : Pixels
        The detector.
    extent : float
        The speckles' ball (`Speckle.extent`).

    Raises
    ------
    InputError
        If blanks and detector don't fit, or the blanks are brighter than the frames.
    """
    if len(blank) != len(pixels.weight):
        raise InputError(f"blanks of {len(blank)} pixels don't fit a detector of {len(pixels.weight)}")
    used, rings = pixels.used, frames.rings
    place = np.interp(np.hypot(*pixels.q[used, :2].T), rings.radius, np.arange(len(rings.radius)))
    photons = np.array([blank[used] @ np.maximum(0, 1 - np.abs(place - ring)) for ring in range(len(rings.radius))])
    mean = frames.mean.double().numpy()
    if photons.sum() >= mean.sum():
        raise InputError(
            f"blanks of {photons.sum():.0f} photons a frame are brighter than the hits, of {mean.sum():.0f}; "
            "give blanks of the same run, in photons"
        )
    photons = np.minimum(photons, (1 - _LEAST_SIGNAL) * mean)
    signal = mean - photons
    speckles = np.maximum(2 * np.pi * rings.radius * extent, 1.0)
    rough = shell_variance(frames, extent) * (mean / signal.clip(1e-9)) ** 2 / speckles
    counts = frames.everyones(frames.counts).double().numpy()
    if frames.masks is not None and frames.mask is not None:  # as if every frame had the mean mask
        own = frames.masks[:, 0].real.double().numpy()[frames.everyones(frames.mask).numpy()]
        counts = counts * frames.weights[0].real.double().numpy() / own.clip(_LEAST_MASK * own.mean(0))
    share = _shares(counts, signal, photons, rough)
    background = photons / frames.weights[0].real.double().numpy()
    return replace(
        frames,
        background=torch.from_numpy(background.astype(np.float32)),
        share=frames.ours(torch.from_numpy(share.astype(np.float32))),
    )


def _shares(
    counts: NDArray[np.float64],
    signal: NDArray[np.float64],
    background: NDArray[np.float64],
    rough: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return each frame's scale of the background over its fluence.

    Both are fitted to the frame's photons by ring, least squares weighted with counting noise and with the speckles'
    ``rough`` relative variance of a ring's mean. Scales are drawn to their mean by as much as the fit's own error
    explains of their spread.
    """
    fluence = counts.sum(1) / counts.sum(1).mean()
    scale = np.ones(len(counts))
    for _ in range(_ROUNDS):
        ours = np.outer(fluence, signal)
        worth = 1 / (ours + np.outer(scale.clip(0.1), background) + rough * ours**2).clip(1e-9)
        aa, ab, bb = worth @ signal**2, worth @ (signal * background), worth @ background**2
        a, b = (worth * counts) @ signal, (worth * counts) @ background
        scale = (aa * b - ab * a) / (aa * bb - ab**2).clip(1e-12)
        fluence = _fluence(counts, scale, signal, background)
    error = aa / (aa * bb - ab**2).clip(1e-12)
    spread = max(float(scale.var() - error.mean()), 0.0)
    middle = float(np.average(scale, weights=1 / error))
    scale = (middle + (scale - middle) * spread / (spread + error)).clip(0)
    return scale / _fluence(counts, scale, signal, background)


def _fluence(
    counts: NDArray[np.float64],
    scale: NDArray[np.float64],
    signal: NDArray[np.float64],
    background: NDArray[np.float64],
) -> NDArray[np.float64]:
    total = counts.sum(1)
    return (total - scale * background.sum()).clip(0.1 * total) / signal.sum()


def expect_over(
    frames: RingFrames,
    volume: Tensor,
    views: Tensor,
    *,
    n_rings: int,
    beta: float = 1.0,
    bias: Tensor | None = None,
    part: Tensor | None = None,
) -> tuple[Expectation, Tensor]:
    """Find the posterior over orientations, with the background if frames have one.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to compare.
    beta : float
        Inverse temperature.
    bias : (n_views,), optional
        Nats by which each view is more probable before a frame is seen.
    part : (n_frames,), optional
        Share of each frame that belongs to this model; None: all of all.

    Returns
    -------
    found : Expectation
        Photons less what the background is expected to have given.
    points : (n_views, n_rings, n_angles, 3)
        Where in the volume they belong.
    """
    parts, order = [], []
    for index, added, chosen, slices in _alike(frames, volume, views, n_rings, promised=False):
        found = expect(chosen, slices, beta=beta, bias=bias, part=None if part is None else part[index])
        if added is not None:
            found = replace(found, photons=found.photons - added[:n_rings, None] * found.exposure)
        parts.append(found)
        order.append(index)
    return _united(parts, torch.cat(order).argsort()), slices.points


def judge_over(frames: RingFrames, volume: Tensor, views: Tensor, *, n_rings: int) -> Judgement:
    """Tell how well an intensity explains frames, with the background if they have one.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to compare.
    """
    compared = [(index, judge(chosen, slices)) for index, _, chosen, slices in _alike(frames, volume, views, n_rings)]
    back = torch.cat([index for index, _ in compared]).argsort()
    names = ("fit", "surprise", "evidence")
    return Judgement(**{name: torch.cat([getattr(part, name) for _, part in compared])[back] for name in names})


def _alike(
    frames: RingFrames, volume: Tensor, views: Tensor, n_rings: int, *, promised: bool = True
) -> Iterator[tuple[Tensor, Tensor | None, RingFrames, Slices]]:
    """Yield frames' numbers, of nearly one share and one mask each time, the added background, frames and slices."""
    for index, added in _by_share(frames):
        kinds = [frames.weights] if frames.masks is None else list(frames.masks)
        found = slices_by_mask(volume, frames, views, n_rings, kinds, added=added, promised=promised)
        for number, slices in enumerate(found):
            ours = index if frames.mask is None else index[frames.mask[index] == number]
            if len(ours):  # another process has them otherwise
                yield ours, added, frames.select(ours), slices


def _by_share(frames: RingFrames) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield numbers of frames of nearly the same share, as all processes' frames tell, and the background to add."""
    if frames.share is None or frames.background is None:
        yield torch.arange(len(frames)), None
        return
    ordered = frames.team.joined(frames.share).sort().values
    bins = ordered.chunk(min(_BINS, len(ordered)))
    which = torch.bucketize(frames.share, torch.stack([part[-1] for part in bins[:-1]]))
    for number, part in enumerate(bins):
        index = (which == number).nonzero()[:, 0]
        if len(index):
            yield index, float(part.mean()) * frames.background


def _united(parts: list[Expectation], back: Tensor) -> Expectation:
    if len(parts) == 1:
        return parts[0]
    names = ("log_likelihood", "entropy", "fluence", "view", "angle")
    return Expectation(
        photons=torch.stack([part.photons for part in parts]).sum(0),
        exposure=torch.stack([part.exposure for part in parts]).sum(0),
        **{name: torch.cat([getattr(part, name) for part in parts])[back.to(parts[0].view.device)] for name in names},
    )
