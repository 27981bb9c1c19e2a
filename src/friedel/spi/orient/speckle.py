"""How large are the speckles, and how much do they vary: from the frames alone, before any orientation is known.

The angular power of frames beyond shot noise falls with frequency as the projected autocorrelation of the object: its
edge is the object's diameter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.spi.orient.rings import RingFrames

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Speckle:
    """What frames say about the object before it is known.

    Attributes
    ----------
    extent : float
        Diameter of the ball whose autocorrelation has the speckles' power, cycles per voxel of q: a speckle's width
        is about its inverse.
    visibility : float
        Variance of the intensity on rings over its squared mean: 1 for fully developed speckle.
    """

    extent: float
    visibility: float


def measure_speckle(frames: RingFrames) -> Speckle:
    """Fit the angular power spectrum of frames with that of a ball.

    Parameters
    ----------
    frames : RingFrames
        Expanded to 0.45 cycles per voxel or so, beyond what speckles reach.
    """
    frequency, power, noise = _power(frames)
    extents = np.geomspace(0.03, 0.45, 120)
    best = (np.inf, 0.1, 0.0)
    for extent in extents:
        model = _ball(frequency / extent) / extent
        norm = float((model / noise**2) @ model)
        scale = float((model / noise**2) @ power) / norm
        misfit = float((((power - scale * model) / noise) ** 2).sum())
        if misfit < best[0]:
            best = (misfit, float(extent), scale)
    return Speckle(extent=best[1], visibility=best[2])


def _power(frames: RingFrames) -> tuple[Floats, Floats, Floats]:
    """Return frequencies (cycles per voxel), relative power density and its error, of all but the inner rings."""
    rings, weights = frames.rings, frames.weights.numpy()
    measured = (frames.photons.abs() ** 2).mean(1).numpy() - frames.shot.numpy()
    counts = frames.counts.numpy()
    spread = (counts**2).mean(0) - frames.shot.numpy()
    columns = []
    for ring in np.flatnonzero(rings.orders > 12):
        m = np.arange(2, rings.orders[ring] + 1)
        whole = max(spread[ring], 1e-12)
        # What the pixels' grid and the gaps put there is the ring's mean power times the weights' own spectrum.
        share = measured[m, ring] / whole - np.abs(weights[m, ring] / weights[0, ring].real) ** 2
        circumference = 2 * np.pi * rings.radius[ring]
        error = (frames.shot[ring].item() / whole + 0.02) / np.sqrt(len(frames))
        columns.append((m / circumference, share * circumference, np.full(len(m), error * circumference)))
    frequency, power, noise = (np.concatenate(column) for column in zip(*columns, strict=True))
    return frequency, power, noise


def _ball(t: Floats) -> Floats:
    """Return ∫_t^1 (1 − 1.5 s + 0.5 s³) s ds over its integral from 0 to ∞ on both sides: a line's power spectrum."""
    t = np.clip(t, 0, 1)
    integral = 0.1 - (t**2 / 2 - t**3 / 2 + t**5 / 10)
    return integral / (2 * 0.05)
