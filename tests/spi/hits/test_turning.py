"""A background lies the same in every shot, a particle turns: weak hits without a visible fringe aren't blanks."""

import numpy as np
import pytest
import torch

from friedel.spi.hits.features.fringes import fringe_visibility
from friedel.spi.hits.features.polar import Polar, polar_sums
from friedel.spi.hits.preparation.prepare import Prepared
from friedel.spi.hits.probability.blanks import Background
from friedel.spi.hits.probability.turning import turns

Y, X = np.indices((128, 128)) - 64


def polar(frames: np.ndarray) -> Polar:
    photons = torch.from_numpy(frames.astype(np.float32))[:, None]
    return polar_sums(Prepared(photons=photons, known=torch.ones(1, 1, 128, 128), read_variance=0.0))


def rods(n: int, photons: float, seed: int) -> np.ndarray:
    """Return frames of a rod's light, a streak, in any direction, over a little background."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, n)[:, None, None]
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    light = np.exp(-((along / 25) ** 2) - (across / 12) ** 2)
    strength = photons * np.exp(rng.normal(0, 0.5, n))[:, None, None] / light.sum((1, 2), keepdims=True)
    return rng.poisson(strength * light + 0.002)


def flares(n: int, photons: float, seed: int) -> np.ndarray:
    """Return blanks: the beamline's light, an ellipse that lies the same in every shot, in pulses of any strength."""
    rng = np.random.default_rng(seed)
    light = np.exp(-((X / 25) ** 2) - (Y / 12) ** 2)
    return rng.poisson(rng.gamma(4, photons / 4, n)[:, None, None] * light / light.sum() + 0.002)


@pytest.mark.parametrize("seed", range(4))
def test_weak_rods_turn_and_an_uneven_background_does_not(seed: int) -> None:
    assert turns(polar(rods(60, 600, seed)))
    assert not turns(polar(flares(60, 600, seed)))
    assert not turns(polar(flares(250, 4000, seed)))


def test_a_few_hits_among_blanks_do_not_decide() -> None:
    frames = np.concatenate([flares(190, 600, 0), rods(12, 3000, 1)])
    assert not turns(polar(frames))


def test_frames_without_light_and_a_handful_of_frames_say_nothing() -> None:
    assert not turns(polar(np.zeros((40, 128, 128))))
    assert not turns(polar(rods(9, 600, 0)))


def test_a_run_of_weak_rods_alone_has_no_background() -> None:
    sums = polar(rods(60, 600, 7))
    assert float((fringe_visibility(sums) < 3).float().mean()) > 0.5  # nothing is seen in most of them
    assert Background.measured(sums) is None
