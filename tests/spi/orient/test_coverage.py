from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation

from friedel.spi.orient.coverage import bias_at, evenness, updated_bias
from friedel.spi.orient.rings import Pixels
from friedel.spi.orient.speckle import radial_reach
from friedel.spi.orient.views import symmetry_group, turned_views


@pytest.mark.parametrize("n_frames", [60, 400, 3000])
def test_random_orientations_cover_the_sphere_evenly(n_frames):
    rotations = Rotation.random(n_frames, random_state=1).as_matrix().astype(np.float32)
    assert evenness(rotations, symmetry_group("C1")) > 0.93


def test_orientations_in_one_unit_of_a_symmetry_crowd_unless_it_is_imposed():
    rotations = Rotation.random(3000, random_state=2).as_matrix().astype(np.float32)
    group = symmetry_group("O")
    images = np.einsum("gij,njk->ngik", group, rotations)
    chosen = (images[:, :, :, 2] @ np.array([0.35, 0.53, 0.77])).argmax(1)
    crowded = images[np.arange(len(rotations)), chosen].astype(np.float32)
    assert evenness(crowded, symmetry_group("C1")) < 0.3
    assert evenness(crowded, group) > 0.9


def test_crowded_views_become_less_probable_and_even_ones_hardly_change():
    views = turned_views(400, np.random.default_rng(3), symmetry_group("C1"))
    toward = views[:, 2, 2].abs()
    bias = updated_bias(None, views, 1.0 + 3 * (toward > 0.8).float(), 1000)
    found = bias_at(bias, views)
    assert found[toward > 0.95].mean() < -0.5 < 0 < found[toward < 0.5].mean()
    even = bias_at(updated_bias(None, views, torch.ones(len(views)), 1000), views)
    assert float(even.abs().max()) < 0.2
    assert bias_at(None, views) is None


def test_bias_forgets_what_was_answered():
    views = turned_views(400, np.random.default_rng(4), symmetry_group("C1"))
    first = updated_bias(None, views, 1.0 + 3 * (views[:, 2, 2].abs() > 0.8).float(), 1000)
    bias = first
    for _ in range(20):
        bias = updated_bias(bias, views, torch.ones(len(views)), 1000)
    assert float(bias.std()) < 0.2 * float(first.std())


def _frames(frequency, n_frames=300, seed=5):
    """Return frames whose rings' contrast has fringes across rings and a wave of order 2 along them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:81, :81] - 40.0
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    used = (radius > 3.5) & (radius < 40)
    turn, phase = rng.uniform(0, 2 * np.pi, (2, n_frames, 1, 1))
    wave = np.cos(2 * (angle - turn)) * np.cos(2 * np.pi * frequency * radius + phase)
    mean = (1 + 0.8 * wave) * used / np.maximum(radius, 4)
    photons = rng.poisson(mean / mean.sum((1, 2), keepdims=True) * 1000).reshape(n_frames, -1)
    q = np.stack([x, y, -(radius**2) / 400], axis=-1).reshape(-1, 3)
    return sp.csr_matrix(photons.astype(np.float32)), Pixels(q=q, weight=used.ravel().astype(float))


@pytest.mark.parametrize("frequency", [0.1, 0.24])
def test_fringes_across_rings_are_measured(frequency):
    assert radial_reach(*_frames(frequency), 0.15) == pytest.approx(1.5 * frequency, abs=0.08)


@pytest.mark.parametrize(("gap", "reach"), [((20, 24), 0.36), ((8, 33), 0.0)])
def test_a_gap_between_rings_widens_no_fringes(gap, reach):
    photons, pixels = _frames(0.24)
    radius = np.hypot(pixels.q[:, 0], pixels.q[:, 1])
    weight = np.where((radius > gap[0]) & (radius < gap[1]), 0.0, pixels.weight)
    # Beside the wide gap no window is left.
    assert radial_reach(photons, replace(pixels, weight=weight), 0.15) == pytest.approx(reach, abs=0.08)
