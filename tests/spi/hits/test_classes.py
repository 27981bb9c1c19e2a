"""Classes: patterns that differ are parted, patterns that are turned are not, and their averages look like them."""

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.hits.classes import SECTORS, find_classes
from friedel.spi.hits.features.polar import Polar, polar_sums
from friedel.spi.hits.preparation.prepare import Prepared

Y, X = np.indices((128, 128)) - 64
RADIUS = np.hypot(Y, X)


def rod(angle: float) -> np.ndarray:
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    return np.sinc(along / 9) ** 2 * np.sinc(across / 30) ** 2


def turned(maker, n: int, rng: np.random.Generator) -> np.ndarray:
    light = np.stack([maker(rng.uniform(0, np.pi)) for _ in range(n)])
    photons = rng.uniform(800, 6000, n)[:, None, None]
    return rng.poisson(light / light.sum((1, 2), keepdims=True) * photons)


def polar(frames: np.ndarray) -> Polar:
    photons = torch.from_numpy(frames.astype(np.float32))[:, None]
    mask = torch.from_numpy((RADIUS > 4).astype(np.float32))[None, None]
    return polar_sums(Prepared(photons=photons * mask, known=mask, read_variance=0.0), sectors=SECTORS)


def test_rods_and_balls_in_all_rotations_are_parted_and_rods_are_sharp() -> None:
    rng = np.random.default_rng(0)
    ball = np.sinc(RADIUS / 12) ** 2
    frames = np.concatenate([turned(rod, 40, rng), turned(lambda angle: ball, 30, rng)])
    found = find_classes(polar(frames), classes=3, seed=1)
    rods, balls = set(found.member[:40].tolist()), set(found.member[40:].tolist())
    assert not rods & balls
    assert found.counts.sum() == 70
    assert (np.diff(found.counts) <= 0).all()
    average = found.averages[found.member[0]]
    ring = average[(np.abs(RADIUS - 8) < 1) & np.isfinite(average)]
    assert ring.max() > 5 * ring.min()


def test_the_same_seed_finds_the_same_classes_and_too_few_frames_are_refused() -> None:
    frames = polar(turned(rod, 12, np.random.default_rng(2)))
    first, again = (find_classes(frames, classes=3, seed=4) for _ in range(2))
    assert np.array_equal(first.member, again.member)
    with pytest.raises(InputError, match="12 frames are too few for 7 classes"):
        find_classes(frames, classes=7)
