"""Blanks: a run's own background is found among its hits, hits stand out of it, and a run without blanks has none."""

import numpy as np
import torch

from friedel.spi.hits.features.fringes import fringe_visibility
from friedel.spi.hits.features.polar import Polar, polar_sums
from friedel.spi.hits.preparation.prepare import Prepared
from friedel.spi.hits.probability.blanks import Background, blank_probability

RADIUS = np.hypot(*(np.indices((128, 128)) - 64))
HALO = 3 / (RADIUS + 4) ** 1.3
# A sphere whose fringes are ten pixels apart.
_X = np.maximum(np.pi * RADIUS / 10, 1e-2)
SPHERE = (3 * (np.sin(_X) - _X * np.cos(_X)) / _X**3) ** 2
HIT = 4e3 * SPHERE / SPHERE.sum()


def polar(frames: np.ndarray) -> Polar:
    photons = torch.from_numpy(frames.astype(np.float32))[:, None]
    return polar_sums(Prepared(photons=photons, known=torch.ones(1, 1, 128, 128), read_variance=0.0))


def run(n_blank: int, n_hits: int, seed: int) -> np.ndarray:
    """Return blanks, whose brightness varies by half, and then hits of all brightness over the same halo."""
    rng = np.random.default_rng(seed)
    strength = rng.gamma(4, 1 / 4, n_blank + n_hits)[:, None, None]
    bright = np.concatenate([np.zeros(n_blank), rng.uniform(0.5, 4, n_hits)])[:, None, None]
    return rng.poisson(strength * HALO + bright * HIT)


def blanks_called(frames: np.ndarray) -> np.ndarray:
    sums = polar(frames)
    background = Background.measured(sums)
    assert background is not None
    return blank_probability(sums, fringe_visibility(sums), background).numpy() >= 0.5


def test_blanks_of_a_usual_run_are_blank_and_hits_are_not() -> None:
    called = np.concatenate([blanks_called(run(190, 10, seed)) for seed in range(3)]).reshape(3, -1)
    assert called[:, :190].mean() > 0.99
    assert not called[:, 190:].any()


def test_a_few_blanks_among_hits_are_enough() -> None:
    called = blanks_called(run(12, 60, 5))
    assert called[:12].mean() > 0.9
    assert called[12:].mean() < 0.05


def test_a_run_of_hits_alone_has_no_background_and_no_blank() -> None:
    sums = polar(run(0, 60, 1))
    assert Background.measured(sums) is None
    assert not blank_probability(sums, fringe_visibility(sums), None).any()


def test_structure_of_the_run_s_own_blanks_is_noise_to_its_fringes() -> None:
    ring = HALO * (1 + 0.5 * np.exp(-(((RADIUS - 25) / 3) ** 2)))
    rng = np.random.default_rng(3)
    sums = polar(rng.poisson(40 * ring, (60, 128, 128)) * (rng.random((60, 1, 1)) < 2))
    faint = polar(rng.poisson(2 * ring, (60, 128, 128)))
    background = Background.measured(Polar.joined([faint, sums]))
    assert background is not None
    assert background.structure >= 1


def test_a_background_survives_being_kept() -> None:
    background = Background.measured(polar(run(60, 3, 4)))
    assert background is not None
    again = Background.from_arrays(background.arrays())
    assert again is not None
    assert torch.allclose(again.profile, background.profile)
    assert torch.allclose(again.change, background.change)
    assert (again.share, again.dispersion, again.drift) == (background.share, background.dispersion, background.drift)
