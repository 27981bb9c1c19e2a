"""A long run through landmarks: the dense map's coordinates, from frames read in blocks."""

import numpy as np
import pytest

from friedel.core.observer import Progress
from friedel.spi.diffusion.diffusion_map import DiffusionOptions, diffusion_map
from friedel.spi.diffusion.frame_vectors import frame_vectors
from friedel.spi.diffusion.landmarks import BLOCK, landmark_numbers, map_run
from friedel.spi.hits.clusters import find_clusters, label_clusters


class Streamed:
    """An array that forgets how to give more than a block."""

    def __init__(self, frames):
        self._frames, self.shape, self.longest = frames, frames.shape, 0

    def __getitem__(self, frames):
        found = self._frames[frames]
        self.longest = max(self.longest, len(found))
        return found


@pytest.fixture(scope="module")
def run():
    """Return frames of one lobe and of two, in any direction, with photon noise, and which is which."""
    rng = np.random.default_rng(11)
    n = 2500
    turn, lobes = 2 * np.pi * rng.random(n), rng.integers(1, 3, n)
    y, x = np.mgrid[-8:8, -8:8] + 0.5
    ring = np.exp(-((np.hypot(x, y) - 5) ** 2) / 6)
    wave = np.cos(lobes[:, None, None] * (np.arctan2(y, x) - turn[:, None, None]))
    return rng.poisson(60 * ring * (1.1 + wave)).astype(np.uint16), lobes == 1


def test_labels_agree_with_the_dense_map(run):
    frames, single = run
    options = DiffusionOptions(coordinates=5)
    streamed, heard = Streamed(frames), []
    made, coordinates = map_run(streamed, options, landmarks=300, observer=heard.append)
    dense = diffusion_map(frame_vectors(frames), options).coordinates
    assert len(made.coordinates) < 301
    assert coordinates.shape == dense.shape
    assert streamed.longest == BLOCK
    assert heard[-1] == Progress("diffusion map", len(frames), len(frames))
    found = [find_clusters(places, 8) for places in (coordinates, dense)]
    names = [label_clusters(groups, np.arange(60), single[:60]).single(groups.members) > 0.5 for groups in found]
    assert np.mean(names[0] == names[1]) > 0.98
    assert np.mean(names[1] == single) > 0.98


def test_a_short_run_is_mapped_whole(run):
    frames = run[0][:80]
    mask = np.ones(frames.shape[1:], dtype=bool)
    mask[:2] = False
    made, coordinates = map_run(frames, DiffusionOptions(coordinates=2), mask=mask, landmarks=100)
    whole = diffusion_map(frame_vectors(frames, mask), DiffusionOptions(coordinates=2))
    assert np.array_equal(coordinates, whole.coordinates)
    assert made.vectors.shape == (80, 14 * 16)


def test_landmarks_spread_over_the_run_and_follow_the_seed():
    numbers = landmark_numbers(10_000, 100, seed=1)
    assert len(numbers) == 100
    assert np.diff(numbers).max() < 200
    assert np.array_equal(numbers, landmark_numbers(10_000, 100, seed=1))
    assert not np.array_equal(numbers, landmark_numbers(10_000, 100, seed=2))
    assert np.array_equal(landmark_numbers(5, 9, seed=0), np.arange(5))
