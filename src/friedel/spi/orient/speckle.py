"""How large are the speckles, and how much do they vary: from the frames alone, before any orientation is known.

The angular power of frames beyond shot noise falls with frequency as the projected autocorrelation of the object: its
edge is the object's diameter.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from friedel.core.errors import InputError
from friedel.core.machine.team import ALONE, Team
from friedel.spi.orient.rings import RING_STEP, SYMMETRIC, Pixels, RingFrames, lay_rings, ring_frames, upright

Floats = NDArray[np.float64]
Engine = Literal["auto", "harmonics", "plain"]
"""How frames are compared with slices: by angular harmonics, by the plain product, or as the geometry allows."""

SEEN = 5.0
"""Standard errors of the speckles' power from which they are there: round frames stay below 3, 60 frames of 400
photons of a particle reach 38. The best of many widths is taken, so that 3 wouldn't be rare by chance."""
_SURE = 3.0  # standard errors of a bin's power at which it is seen
_VARIANCES = (0.003, 1.5)
"""Bounds of a shell's variance: below, noise of the estimate (1500 frames of 5 photons a ring: 0.02); above, none."""
_ASSUMED = 4.0
"""Speckles from the centre to the edge where none are seen. A fit to noise takes any width; speckles nearly as wide as
the detector leave the volume a quadrupole, and any two of those agree after alignment, at 0.7–0.9."""
_BAND, _WIDEST_BAND = 1.6, 0.35
"""Harmonics kept, in the speckles' ball's diameters and at most (cycles per voxel): beyond, only noise."""
_RINGS = 0.25
"""Distance of rings, finest speckles: between rings intensities are interpolated, and 0.37 of a fringe levels it."""
_FADED = 0.04
"""Part of the largest radial power below which speckle has ended: Hann windows leak 0.001 beyond their main lobe, and
where the radial mean nears zero what is divided by it gets sharp edges."""
_WINDOW = 16.0
"""Length of a radial window, voxels: it tells frequencies 0.09 cycles per voxel apart, a third of the finest."""
_LEAK = 1.3  # by which a window of one voxel widens what is seen, cycles per voxel; longer ones in proportion less
_GAP = 2.0  # voxels along the radius without a pixel from which a window isn't used: one cut short leaks more
_WIDEST = 0.45
"""Widest ball that is fitted, cycles per voxel. The fit runs there where structure along rings is faint, as a facetted
body's flares are among round rings; what is seen across rings is taken then: nothing is finer than the diameter."""
_BALL = 1.5
"""A ball's power falls to nothing at its diameter: it must reach so far beyond fringes to let them pass."""
_RADIAL_ORDERS = 14  # harmonics of which radial power is measured: a second's work
_RADIAL_STEP = 0.02  # of the radial frequencies, cycles per voxel
MARGIN = 1.2  # over the frequency to which speckles' power is seen: it goes on below the noise
# Frames, highest frequency along a ring (cycles per voxel, just below Nyquist's 0.5) and distance of rings (voxels)
# from which the speckles' size is measured.
_SURVEY_FRAMES, _SURVEY_BAND, _SURVEY_STEP = 3000, 0.45, 3.0


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
    significance : float
        The speckles' power over its error; below `SEEN` there are none, and ``extent`` is an assumption.
    reach : float
        Frequency along rings, cycles per voxel, beyond which no power is seen. A ball that fits the power of a dense
        core with thin ends is the core's: its own power ends at ``extent``.
    across : float
        The same across rings: a compact body has fringes there that are finer than anything along them.
    """

    extent: float
    visibility: float
    significance: float
    reach: float
    across: float = 0.0

    @property
    def finest(self) -> float:
        """Frequency, cycles per voxel, beyond which nothing is seen in any direction."""
        return max(self.reach, self.across)

    @property
    def seen(self) -> bool:
        """Whether frames vary along rings beyond shot noise."""
        return self.significance >= SEEN


def measure_speckle(frames: RingFrames) -> Speckle:
    """Fit the angular power spectrum of frames with that of a ball.

    Parameters
    ----------
    frames : RingFrames
        Expanded to 0.45 cycles per voxel or so, beyond what speckles reach.
    """
    frequency, power, noise = _power(frames)
    best = Speckle(extent=0.1, visibility=0.0, significance=-np.inf, reach=0.1)
    for extent in np.geomspace(0.03, _WIDEST, 120):
        model = _ball(frequency / extent) / extent
        error = 1 / np.sqrt((model / noise**2) @ model)
        scale = float((model / noise**2) @ power * error**2)
        if scale / error > best.significance:
            best = Speckle(float(extent), scale, float(scale / error), float(extent))
    if not best.seen:
        best = replace(best, extent=_ASSUMED / float(frames.rings.q[-1]))
    return replace(best, reach=_reach(frequency, power, noise, best.extent))


def _reach(frequency: Floats, power: Floats, noise: Floats, extent: float) -> float:
    """Return the frequency up to which power is seen in one bin after the other, a quarter of the ball's width each."""
    edge, step = extent, extent / 4
    while True:
        inside = (frequency >= edge) & (frequency < edge + step)
        weight = 1 / noise[inside] ** 2
        if not inside.any() or weight @ power[inside] / np.sqrt(weight.sum()) < _SURE:
            return edge
        edge += step


def radial_reach(
    photons: sp.csr_matrix, pixels: Pixels, extent: float, *, mask: NDArray[np.int64] | None = None
) -> float:
    """Return the frequency across rings, cycles per voxel, up to which frames vary beyond shot noise; 0 if unseen.

    In windows along the radius, photons over their mean are expanded in angular harmonics and radial frequencies. What
    varies from frame to frame beyond shot noise is speckle; gaps and the mean don't.

    Parameters
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        Frames.
    pixels : Pixels
        The detector, the beam along z.
    extent : float
        The speckles' ball along rings (`Speckle.extent`).
    mask : (n_frames,) int, optional
        Which of the pixels' masks each frame has.
    """
    used = np.flatnonzero(pixels.used)
    frames = sp.csr_matrix(photons[:_SURVEY_FRAMES], dtype=np.float32)[:, used]
    q, weight = pixels.q[used], pixels.weight[used]
    radius, angle = np.hypot(q[:, 0], q[:, 1]), np.arctan2(q[:, 1], q[:, 0])
    mean = np.asarray(frames.mean(axis=0)).ravel()
    near = np.round(2 * radius).astype(int)
    had = weight
    if mask is not None and pixels.good is not None:
        mask = mask[: frames.shape[0]]
        had = weight * (np.bincount(mask, minlength=len(pixels.good)) / len(mask) @ pixels.good[:, used])
    profile = np.bincount(near, mean) / np.bincount(near, had).clip(1e-9)
    expected = (profile[near] * weight).clip(1e-6)
    frequency = np.arange(0, 0.5, _RADIAL_STEP)
    length = min(_WINDOW, np.ptp(radius) / 2)
    power, worth = np.zeros(len(frequency)), np.zeros(len(frequency))
    for centre in np.arange(radius.min() + length / 2, radius.max() - length / 2 + 1, length / 2):
        inside = np.flatnonzero(np.abs(radius - centre) < length / 2)
        places = np.sort(np.concatenate([radius[inside], centre + np.array([-0.5, 0.5]) * length]))
        if np.diff(places).max() > _GAP or not mean[inside].any():
            continue
        window = np.cos(np.pi * (radius[inside] - centre) / length) ** 2
        window /= window.sum() * expected[inside]
        orders = np.arange(2, np.clip(int(2 * np.pi * centre * _BAND * extent), 4, _RADIAL_ORDERS) + 1)
        around = window[:, None] * np.exp(-1j * np.outer(angle[inside], orders))
        across = np.exp(-2j * np.pi * np.outer(radius[inside], frequency))
        waves = (around[:, :, None] * across[:, None, :]).reshape(len(inside), -1).astype(np.complex64)
        shot = float(mean[inside] @ window**2)
        seen = frames[:, inside] @ waves
        if mask is not None and pixels.good is not None:  # what masks alone make of the mean isn't speckle
            seen = seen - ((pixels.good[:, used[inside]] * expected[inside]) @ waves)[mask]
        whole = seen.var(0).reshape(len(orders), -1)
        error = whole.clip(shot).sum(0) / np.sqrt(len(orders) * frames.shape[0])
        power += (whole - shot).sum(0) / error**2
        worth += 1 / error**2
    if not worth.all():
        return 0.0
    power, error = power / worth, 1 / np.sqrt(worth)
    above = (power > SEEN * error) & (power > _FADED * power.max())
    peak = int(power.argmax())
    beyond = int(np.argmin(np.append(above[peak:], False)))
    if not beyond:
        return 0.0
    return float(max(_BALL * (frequency[peak + beyond - 1] - _LEAK / length), 0.0))


def shell_variance(frames: RingFrames, extent: float) -> Floats:
    """Return the intensity's variance over its squared mean at each ring's |q|, ``(n_rings,)``, from frames alone.

    On a ring, Σ_m |K_m|² over the same sum of the weights, less shot noise, is the mean square, and m = 0 that of the
    ring's mean. A ring of s speckles has a mean that itself varies by 1/s of the variance v:
    1 + v = (1 + ρ)(1 + v / s). Fluences cancel. Background that isn't structured lowers v, as it should.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    extent : float
        The speckles' ball (`Speckle.extent`).
    """
    orders = torch.from_numpy(frames.rings.orders)
    m = torch.arange(frames.photons.shape[0])[:, None]
    both = torch.where(m > 0, 2.0, 1.0) * (m <= orders)
    power = frames.team.total(torch.stack([(part.abs() ** 2).sum(0, dtype=torch.float64) for part in frames.photons]))
    power = power / frames.team.total(torch.tensor(float(len(frames)))) - frames.shot
    weight = frames.weight_power
    ratio = ((power * both).sum(0) / (weight * both).sum(0)) / (power[0] / weight[0]).clamp_min(1e-12) - 1
    speckles = np.maximum(2 * np.pi * frames.rings.radius * extent, 3.0)
    rho = np.clip(np.nan_to_num(ratio.numpy()), 0.0, 1.5)
    variance = rho / np.maximum(1 - (1 + rho) / speckles, 0.3)
    return np.clip(uniform_filter1d(variance, 3, mode="nearest"), *_VARIANCES)


def _power(frames: RingFrames) -> tuple[Floats, Floats, Floats]:
    """Return frequencies (cycles per voxel), relative power density and its error, of all but the inner rings."""
    rings, weights = frames.rings, frames.weight_power.numpy()
    measured = (frames.photons.abs() ** 2).mean(1).numpy() - frames.shot.numpy()
    counts = frames.counts.numpy()
    spread = (counts**2).mean(0) - frames.shot.numpy()
    columns = []
    for ring in np.flatnonzero(rings.orders > 12):
        m = np.arange(2, rings.orders[ring] + 1)
        whole = max(spread[ring], 1e-12)
        # What the pixels' grid and the gaps put there is the ring's mean power times the weights' own spectrum.
        share = measured[m, ring] / whole - weights[m, ring] / weights[0, ring]
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


def survey(photons: sp.csr_matrix, pixels: Pixels, *, mask: NDArray[np.int64] | None = None) -> Speckle:
    """Return what the first frames say about speckles, before any orientation."""
    photons, mask = photons[:_SURVEY_FRAMES], None if mask is None else mask[:_SURVEY_FRAMES]
    pixels, _ = upright(pixels)
    rings = lay_rings(pixels, band=_SURVEY_BAND, step=_SURVEY_STEP)
    found = measure_speckle(ring_frames(photons, pixels, rings, mask=mask))
    if not found.seen:
        return found
    across = radial_reach(photons, pixels, found.extent, mask=mask)
    found = replace(found, across=across)
    if across and found.extent > 0.99 * _WIDEST:
        return replace(found, extent=min(across, _WIDEST), reach=across)
    return found


def lay_frames(
    photons: sp.csr_matrix,
    pixels: Pixels,
    *,
    diameter: float = 0.0,
    engine: Engine = "auto",
    team: Team = ALONE,
    numbers: NDArray[np.int64] | None = None,
    mask: NDArray[np.int64] | None = None,
) -> tuple[Speckle, RingFrames]:
    """Return what all frames say about speckles, and this process's on rings whose harmonics hold them.

    Parameters
    ----------
    photons : csr_matrix
        All frames.
    pixels : Pixels
        The detector.
    diameter : float
        Of the particle, inverse voxels, if it is known.
    engine : str
        "harmonics", "plain", or "auto": harmonics where pixels lie on a cap that is symmetric around the beam.
    team : Team
        The processes that share the frames.
    numbers : (n_ours,) int, optional
        This process's frames; None: all.
    mask : (n_frames,) int, optional
        Which of the pixels' masks each frame has.

    Raises
    ------
    InputError
        If too few pixels are used, or harmonics are asked for and pixels don't lie on a symmetric cap.
    """
    speckle = survey(photons, pixels, mask=mask)
    speckle = replace(speckle, reach=max(speckle.reach, diameter / MARGIN))
    rings = lay_rings(
        pixels,
        band=min(max(_BAND * speckle.extent, MARGIN * speckle.reach), _WIDEST_BAND),
        step=min(RING_STEP, _RINGS / speckle.finest),
    )
    if rings.off > SYMMETRIC and engine == "harmonics":
        raise InputError(
            f"pixels lie up to {rings.off:.1f} voxels off a cap around the beam: harmonics aren't exact there; "
            "set engine=plain, or leave it out"
        )
    rings = replace(rings, plain=engine == "plain" or (engine == "auto" and rings.off > SYMMETRIC))
    return speckle, ring_frames(photons, pixels, rings, team=team, numbers=numbers, mask=mask)
