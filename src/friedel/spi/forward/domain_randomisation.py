"""Domain randomisation: beams, detectors, masks and particles drawn as widely as real experiments differ.

A classifier trained on many of them has seen no laboratory more often than another (domain randomisation).
"""

import numpy as np
from numpy.typing import NDArray

from friedel.spi.forward.frames import ParticleRunOptions, expected_sphere
from friedel.spi.forward.readout import ReadoutOptions
from friedel.spi.forward.scene import Kind
from friedel.spi.particles.particle import PARTICLES


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sometimes(rng: np.random.Generator, share: float, low: float, high: float) -> float:
    return _log_uniform(rng, low, high) if rng.random() < share else 0.0


def draw_experiment(
    seed: int,
    *,
    particles: tuple[str, ...] = PARTICLES,
    frame_shape: tuple[int, int] = (128, 128),
    chunk: int = 32,
    bad_kinds: dict[Kind, float] | None = None,
) -> tuple[ParticleRunOptions, NDArray[np.bool_]]:
    """Draw one experiment and its mask.

    Parameters
    ----------
    seed : int
        Decides everything; also the run's own seed.
    particles : tuple of str
        Shapes to draw from.
    frame_shape : (int, int)
        Pixels (y, x).
    chunk : int
        Frames of a chunk.
    bad_kinds : mapping, optional
        Relative shares of what frames without a single particle show; None draws the run's own.

    Returns
    -------
    options : ParticleRunOptions
    mask : (y, x) bool
    """
    rng = np.random.default_rng([seed, 77])
    energy, distance = _log_uniform(rng, 400, 9000), rng.uniform(0.15, 1.0)
    pixel = _log_uniform(rng, 75e-6, 600e-6)
    wavelength_nm = 1239.84 / energy
    period_px = _log_uniform(rng, 4.0, 0.33 * min(frame_shape))
    diameter_nm = wavelength_nm * distance / (pixel * period_px)
    options = ParticleRunOptions(
        particles=particles,
        diameter_nm=diameter_nm,
        diameter_spread=_log_uniform(rng, 0.01, 0.2),
        photon_energy_ev=energy,
        distance_m=distance,
        pixel_size_m=pixel,
        frame_shape=frame_shape,
        centre_offset_px=(float(rng.normal(0, 1.5)), float(rng.normal(0, 1.5))),
        faintest=_log_uniform(rng, 0.02, 0.3),
        surface_softness=_sometimes(rng, 0.35, 0.01, 0.15),
        focus_um=diameter_nm * 1e-3 * _log_uniform(rng, 4, 60),
        bad_kinds=bad_kinds if bad_kinds is not None else _draw_shares(rng),
        readout=_draw_readout(rng),
        chunk=chunk,
        seed=seed,
    )
    mask = draw_mask(frame_shape, rng)
    fluence = _log_uniform(rng, 3e3, 5e6) / _photons_at_unit_fluence(options, mask)
    return options.model_copy(update={"fluence_photons_per_um2": fluence}), mask


def _photons_at_unit_fluence(options: ParticleRunOptions, mask: NDArray[np.bool_]) -> float:
    """Return the photons that a sphere of the species' size would put on the measured pixels, for 1 photon/µm²."""
    return max(float(expected_sphere(options.model_copy(update={"fluence_photons_per_um2": 1.0}))[mask].sum()), 1e-30)


def _draw_shares(rng: np.random.Generator) -> dict[Kind, float]:
    kinds = (Kind.SEVERAL, Kind.TOUCHING, Kind.DEBRIS, Kind.DROPLET, Kind.EMPTY, Kind.STREAK)
    shares = rng.dirichlet(np.array([0.38, 0.24, 0.13, 0.07, 0.15, 0.03]) * 8)
    return {kind: float(share) for kind, share in zip(kinds, shares, strict=True)}


def _draw_readout(rng: np.random.Generator) -> ReadoutOptions:
    integrating = rng.random() < 0.5
    return ReadoutOptions(
        background_photons=_sometimes(rng, 0.6, 0.003, 2.0),
        background_width=rng.uniform(0.1, 0.8),
        flat_background_photons=_sometimes(rng, 0.5, 1e-4, 0.1),
        halo_photons=_sometimes(rng, 0.4, 0.01, 3.0),
        halo_steepness=rng.uniform(1.0, 3.5),
        halo_ring=_sometimes(rng, 0.4, 0.05, 0.6),
        charge_sharing=_sometimes(rng, 0.3, 0.01, 0.12) if integrating else 0.0,
        fluctuation=_sometimes(rng, 0.6, 0.05, 0.8),
        fringe_blur=_sometimes(rng, 0.5, 0.05, 0.7),
        centre_jitter_px=_sometimes(rng, 0.5, 0.1, 1.5),
        gain_spread=_sometimes(rng, 0.5, 0.01, 0.1),
        read_noise_photons=_sometimes(rng, 0.7, 0.03, 0.6) if integrating else 0.0,
        common_mode_photons=_sometimes(rng, 0.4, 0.03, 0.5) if integrating else 0.0,
        hot_fraction=_sometimes(rng, 0.3, 1e-4, 2e-3),
        dead_fraction=_sometimes(rng, 0.3, 1e-4, 5e-3),
        saturation_photons=_log_uniform(rng, 100, 2e4) if rng.random() < 0.4 else float("inf"),
        overflow=_sometimes(rng, 0.35, 0.2, 2.0),
        adu_per_photon=_log_uniform(rng, 0.5, 200) if integrating and rng.random() < 0.7 else None,
    )


def draw_mask(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a detector's mask: a hole in the middle, gaps between modules, bad rows, at random; True where measured."""
    mask = np.ones(shape, dtype=bool)
    y, x = np.indices(shape)
    middle = np.array(shape) / 2 + rng.normal(0, 2, 2)
    edge = min(shape)
    if rng.random() < 0.7:
        half = _log_uniform(rng, 0.008, 0.2) * edge
        square = np.maximum(abs(y - middle[0]), abs(x - middle[1])) < half
        round_ = np.hypot(y - middle[0], x - middle[1]) < half
        mask &= ~(square if rng.random() < 0.6 else round_)
    for axis in (0, 1):
        if rng.random() < 0.5:
            mask &= ~_gaps(shape, axis, middle[axis], rng)
    if rng.random() < 0.15:
        mask &= ~_corner(shape, rng)
    if rng.random() < 0.3:
        mask &= rng.random(shape) > _log_uniform(rng, 1e-4, 1e-2)
    return mask


def _gaps(shape: tuple[int, int], axis: int, middle: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return one gap through the middle, or a comb of them."""
    width = _log_uniform(rng, 1, 0.05 * shape[axis])
    place = np.indices(shape)[axis] - middle - rng.normal(0, 0.3 * width)
    if rng.random() < 0.3:
        pitch = rng.uniform(0.25, 0.6) * shape[axis]
        place = (place + rng.uniform(0, pitch)) % pitch
        width = min(width, 0.03 * shape[axis])
    return np.abs(place) < width / 2 + 0.5


def _corner(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a dead module: a rectangle at a corner."""
    gone = np.zeros(shape, dtype=bool)
    height, width = (int(rng.uniform(0.1, 0.45) * n) for n in shape)
    y, x = rng.integers(2) * (shape[0] - height), rng.integers(2) * (shape[1] - width)
    gone[y : y + height, x : x + width] = True
    return gone
