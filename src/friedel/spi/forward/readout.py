"""What a detector makes of the light: background, fluctuations, counting noise and its own faults.

From expected photons to a frame; the sample is `scene`'s.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import correlate1d, gaussian_filter, zoom

from friedel.core.options import Options

Floats = NDArray[np.float32]

# Expected photons below which pixels are drawn together: one Poisson number for all of them, shared out in proportion.
_DARK = 0.05


class ReadoutOptions(Options):
    """Background, artefacts and noise of one run's frames. The defaults are a clean photon-counting detector."""

    background_photons: float = Field(default=0.0, ge=0)
    """Expected photons a pixel of scattered background in the beam's middle."""
    background_width: float = Field(default=0.5, gt=0)
    """Width of the background about the centre, as a fraction of the frame's edge."""
    flat_background_photons: float = Field(default=0.0, ge=0)
    """Expected photons a pixel spread evenly (fluorescence, stray light)."""
    halo_photons: float = Field(default=0.0, ge=0)
    """Expected photons a pixel of the beamline's own scattering, 4 pixels off the beam; it falls as a power of the
    distance, and changes from shot to shot by half."""
    halo_steepness: float = Field(default=2.0, ge=0, le=5)
    """Power by which that light falls."""
    halo_ring: float = Field(default=0.0, ge=0, le=1)
    """Strength of a faint ring in it, as from an aperture, relative to the light it lies on."""
    charge_sharing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of a pixel's charge that its four neighbours get."""
    fluctuation: float = Field(default=0.0, ge=0, le=2)
    """Relative standard deviation of smooth, large-scale changes of the intensity from shot to shot."""
    fringe_blur: float = Field(default=0.0, ge=0, le=1)
    """Greatest share of the light that shows no fringes (bandwidth, partial coherence, motion)."""
    centre_jitter_px: float = Field(default=0.0, ge=0)
    """Standard deviation of the beam's centre from shot to shot."""
    gain_spread: float = Field(default=0.0, ge=0, lt=1)
    """Relative standard deviation of the pixels' gain, fixed for a run."""
    read_noise_photons: float = Field(default=0.0, ge=0)
    """Standard deviation of the noise of a pixel, in photons."""
    common_mode_photons: float = Field(default=0.0, ge=0)
    """Standard deviation of the offset that the halves of each row share, in photons."""
    hot_fraction: float = Field(default=0.0, ge=0, lt=0.1)
    """Share of pixels that are always bright without being in the mask."""
    dead_fraction: float = Field(default=0.0, ge=0, lt=0.1)
    """Share of pixels that stay dark without being in the mask."""
    saturation_photons: float = Field(default=float("inf"), gt=0)
    """Full well, photons: what exceeds it spills up the column as a streak."""
    overflow: float = Field(default=0.0, ge=0)
    """Strength of bars beside the beam hole, where charge runs over into columns: 1 makes them about twice as bright
    or dark as the light they cross."""
    adu_per_photon: float | None = Field(default=None, gt=0)
    """None gives whole photons; a number gives detector units with their noise, as float32."""


class Readout:
    """A run's detector: the same faulty pixels in every frame.

    Parameters
    ----------
    options : ReadoutOptions
    mask : (y, x) bool
        True where the detector measures.
    centre : (float, float)
        Pixel (y, x) of the direct beam.
    rng : numpy Generator
        Draws the pixels' gains and faults.
    """

    def __init__(
        self,
        options: ReadoutOptions,
        mask: NDArray[np.bool_],
        centre: tuple[float, float],
        rng: np.random.Generator,
    ) -> None:
        self.options, self.mask, self.centre = options, mask, centre
        self.gain = (1 + options.gain_spread * rng.standard_normal(mask.shape)).clip(0.2).astype(np.float32)
        faults = rng.random(mask.shape)
        self.dead = faults < options.dead_fraction
        self.hot = faults > 1 - options.hot_fraction
        self.bars = _bars(mask.shape, centre, rng) if options.overflow else None
        self.halo = self._halo(rng) if options.halo_photons else None

    def expected(self, photons: Floats, period_px: float, streak: bool, rng: np.random.Generator) -> Floats:
        """Return one shot's expected photons with all light that isn't the sample's, ``(y, x)``.

        Parameters
        ----------
        photons : (y, x) float32
            Expected photons of the sample alone.
        period_px : float
            Period of its fringes, pixels: the scale on which they are blurred.
        streak : bool
            Whether a line of light crosses the centre.
        rng : numpy Generator
            Draws what differs from shot to shot.
        """
        o = self.options
        light = photons
        if o.fringe_blur:
            share = rng.uniform(0, o.fringe_blur)
            light = (1 - share) * light + share * gaussian_filter(light, min(0.5 * period_px, 12.0))
        if o.fluctuation:
            light = light * _smooth_field(light.shape, o.fluctuation, rng)
        light = light + o.flat_background_photons
        if o.background_photons:
            light = light + self._background(rng)
        if self.halo is not None:
            light = light + self.halo * np.float32(rng.gamma(4, 1 / 4))
        return light + self._streak(rng, light) if streak else light

    def _radius(self, offset_px: float, rng: np.random.Generator) -> Floats:
        centre = np.asarray(self.centre) + rng.normal(0, offset_px, 2)
        y, x = np.ogrid[: self.mask.shape[0], : self.mask.shape[1]]
        return np.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2).astype(np.float32)

    def _halo(self, rng: np.random.Generator) -> Floats:
        """Return the beamline's scattering, the same in every shot but for its strength."""
        o = self.options
        radius, place = self._radius(1.0, rng), rng.uniform(0.08, 0.35) * max(self.mask.shape)
        ring = 1 + o.halo_ring * np.exp(-(((radius - place) / (0.25 * place)) ** 2))
        light = o.halo_photons * (8 / (radius + 4)) ** o.halo_steepness * ring
        return np.asarray(light, dtype=np.float32)

    def _background(self, rng: np.random.Generator) -> Floats:
        width = self.options.background_width * max(self.mask.shape) * rng.uniform(0.7, 1.4)
        return self.options.background_photons * rng.uniform(0.3, 1.5) * np.exp(-self._radius(2.0, rng) / width)

    def _streak(self, rng: np.random.Generator, light: Floats) -> Floats:
        angle, width = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(0.7), np.log(6.0)))
        y, x = np.ogrid[: light.shape[0], : light.shape[1]]
        y, x = y - self.centre[0] - rng.normal(0, 2), x - self.centre[1] - rng.normal(0, 2)
        across, along = y * np.cos(angle) - x * np.sin(angle), np.abs(y * np.sin(angle) + x * np.cos(angle))
        length = max(light.shape) * rng.uniform(0.08, 0.6)
        height = np.exp(rng.uniform(np.log(0.3), np.log(100.0)))
        ragged = 1 + 0.5 * np.sin(along / rng.uniform(2, 12) + rng.uniform(0, 6))
        return (height * ragged * np.exp(-0.5 * (across / width) ** 2 - along / length)).astype(np.float32)

    def frame(self, expected: Floats, rng: np.random.Generator) -> NDArray[np.float32] | NDArray[np.uint16]:
        """Return one frame: counted photons, or detector units if the options name a gain."""
        o = self.options
        if self.bars is not None:
            expected = expected * np.exp(o.overflow * rng.uniform(0.3, 1.5) * self.bars)
        signal = poisson(expected * self.mask, rng)
        if o.charge_sharing:
            signal = _shared(signal, o.charge_sharing)
        if np.isfinite(o.saturation_photons):
            signal = _spilled(signal, o.saturation_photons)
        if o.gain_spread:
            signal = signal * self.gain
        if o.read_noise_photons:
            signal = signal + o.read_noise_photons * rng.standard_normal(signal.shape, dtype=np.float32)
        if o.common_mode_photons:
            signal = signal + _common_mode(signal.shape, o.common_mode_photons, rng)
        if o.hot_fraction or o.dead_fraction:
            signal = np.where(self.hot, np.float32(rng.integers(5, 200)), np.where(self.dead, np.float32(0), signal))
        signal = signal * self.mask
        if o.adu_per_photon is not None:
            return (signal * o.adu_per_photon).astype(np.float32)
        return np.rint(signal.clip(0, 65535)).astype(np.uint16)


def poisson(expected: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return Poisson counts.

    Bright pixels are drawn one by one. The photons of all dark ones together are one Poisson number, thrown onto
    them in proportion: the same distribution, and several times quicker where most pixels expect nothing.
    """
    flat = expected.ravel()
    dark = flat < _DARK
    counts = np.zeros(flat.shape, dtype=np.float32)
    bright = np.flatnonzero(~dark)
    counts[bright] = rng.poisson(flat[bright])
    cumulative = np.cumsum(np.where(dark, flat, 0), dtype=np.float64)
    thrown = rng.random(rng.poisson(cumulative[-1])) * cumulative[-1]
    np.add.at(counts, np.searchsorted(cumulative, thrown, side="right"), 1)
    return counts.reshape(expected.shape)


def _shared(signal: Floats, share: float) -> Floats:
    """Give each pixel's four neighbours their part of its charge."""
    kernel = np.array([share / 4, -share / 2, share / 4], dtype=np.float32)
    gained = correlate1d(signal, kernel, axis=0, mode="nearest") + correlate1d(signal, kernel, axis=1, mode="nearest")
    return np.asarray(signal + gained, dtype=np.float32)


def _smooth_field(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Floats:
    """Return a positive field of mean about one that varies over a third to a whole of the frame."""
    nodes = int(rng.integers(2, 5))
    coarse = rng.normal(0, strength * rng.random(), (nodes, nodes))
    fine = zoom(coarse, (shape[0] / nodes, shape[1] / nodes), order=1, mode="nearest", grid_mode=True)
    return np.exp(fine[: shape[0], : shape[1]]).astype(np.float32)


def _spilled(signal: Floats, full_well: float) -> Floats:
    """Cap pixels at the full well and let a part of the rest run up their columns, fading."""
    excess = (signal - full_well).clip(0)
    kept = np.minimum(signal, np.float32(full_well))
    if not excess.any():
        return kept
    columns = np.flatnonzero(excess.any(axis=0))
    for x in columns:
        top = int(np.flatnonzero(excess[:, x])[0])
        reach = min(top, 30)
        fade = np.exp(-np.arange(reach, dtype=np.float32)[::-1] / 10)
        kept[top - reach : top, x] += 0.05 * np.minimum(excess[:, x].sum(), 10 * full_well) / 10 * fade
    return kept


def _bars(shape: tuple[int, ...], centre: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Return one to three straight bars beside the centre, along columns or rows: positive bright, negative dark."""
    bars = np.zeros(shape, dtype=np.float32)
    y, x = np.indices(shape)
    across, along = (x - centre[1], y - centre[0]) if rng.random() < 0.75 else (y - centre[0], x - centre[1])
    edge, side = min(shape), rng.choice([-1, 1])
    for _ in range(rng.integers(1, 4)):
        place, width = rng.normal(0, 0.08 * edge), rng.uniform(0.5, 0.03 * edge)
        start, length = rng.uniform(0.01, 0.1) * edge, rng.uniform(0.05, 0.3) * edge
        inside = (np.abs(across - place) < width) & (side * along > start) & (side * along < start + length)
        bars[inside] = rng.normal(0.3, 1.0)
    return bars


def _common_mode(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Floats:
    """Return an offset shared by each half of each row."""
    rows = rng.normal(0, strength, (shape[0], 2)).astype(np.float32)
    half = shape[1] // 2
    return np.repeat(rows, [half, shape[1] - half], axis=1)
