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


def by_share(frames: RingFrames) -> Iterator[tuple[Tensor, Tensor | None]]:
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


def bins_and_masks(frames: RingFrames) -> Iterator[tuple[Tensor, Tensor | None, int]]:
    """Yield frames' numbers, of nearly one share and one mask each time, the added background and the mask."""
    for index, added in by_share(frames):
        for number in range(1 if frames.masks is None else len(frames.masks)):
            ours = index if frames.mask is None else index[frames.mask[index] == number]
            if len(ours):  # another process has them otherwise
                yield ours, added, number
