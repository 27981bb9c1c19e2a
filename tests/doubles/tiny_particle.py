"""A small particle of Gaussian drops, its frames and its true intensity: for tests of merging."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from friedel.spi.frames.dragonfly import DragonflyDetector

BOX = 33
EWALD = 90.0


@dataclass
class Data:
    detector: DragonflyDetector
    frames: np.ndarray
    rotations: np.ndarray
    fluence: np.ndarray
    places: np.ndarray
    weights: np.ndarray


def tiny_detector(radius: float = 15.0, stop: float = 1.5) -> DragonflyDetector:
    y, x = np.mgrid[-16:17, -16:17].astype(float)
    length = np.sqrt(x**2 + y**2 + EWALD**2)
    q = np.stack([x * EWALD / length, y * EWALD / length, EWALD * (EWALD / length - 1)], axis=-1).reshape(-1, 3)
    distance = np.hypot(x, y).ravel()
    mask = np.where(distance > radius, 2, np.where(distance < stop, 1, 0)).astype(np.uint8)
    return DragonflyDetector(q=q, correction=np.ones(len(q)), mask=mask, distance=EWALD, ewald_radius=EWALD)


def drops(seed: int, n: int = 14, radius: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(4 * n, 3))
    places = (places / np.linalg.norm(places, axis=1, keepdims=True) * radius * rng.uniform(0.3, 1, (4 * n, 1)))[:n]
    return places, rng.uniform(0.5, 1.5, n)


def intensity_at(q: np.ndarray, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    waves = np.exp(-2j * np.pi / BOX * (q @ places.T)) @ weights
    width = np.exp(-((2 * np.pi / BOX * 0.45) ** 2) * (q**2).sum(-1))
    return np.abs(waves) ** 2 * width


def tiny_data(
    seed: int = 0,
    n_frames: int = 400,
    photons: float = 400.0,
    sigma: float = 0.3,
    *,
    particle: int | None = None,
    group: np.ndarray | None = None,
) -> Data:
    rng = np.random.default_rng(seed + 100)
    detector = tiny_detector()
    places, weights = drops(seed if particle is None else particle, n=14 if group is None else 5)
    if group is not None:
        places, weights = np.concatenate([places @ turn.T for turn in group]), np.tile(weights, len(group))
    rotations = Rotation.random(n_frames, random_state=seed + 7).as_matrix()
    fluence = np.exp(rng.normal(0, sigma, n_frames))
    used = detector.mask == 0
    mean = np.stack([intensity_at(detector.q @ r.T, places, weights) for r in rotations]) * used
    mean *= photons / mean.sum(1).mean()
    frames = rng.poisson(mean * fluence[:, None])
    return Data(detector, frames, rotations, fluence, places, weights)


def true_intensity(data: Data, n: int) -> np.ndarray:
    axis = np.arange(n) - n // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return intensity_at(np.stack([x, y, z], axis=-1).astype(float), data.places, data.weights).astype(np.float32)


def radial_mean(data: Data) -> np.ndarray:
    """Mean photons by pixel, the same all around the beam."""
    used = data.detector.mask == 0
    ring = np.hypot(data.detector.q[:, 0], data.detector.q[:, 1]).round().astype(int)
    totals = np.bincount(ring[used], data.frames.mean(0)[used]) / np.maximum(np.bincount(ring[used]), 1)
    return np.where(used, totals[np.minimum(ring, len(totals) - 1)], 0.0)
