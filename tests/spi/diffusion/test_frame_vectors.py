"""Vectors of frames: what they ignore, and what their distances mean."""

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.diffusion.frame_vectors import frame_vectors


@pytest.fixture
def frames():
    return np.random.default_rng(0).poisson(9.0, (5, 12, 10))


def test_unit_length_zero_mean_and_no_matter_how_bright(frames):
    vectors = frame_vectors(frames)
    assert vectors.shape == (5, 120)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors.sum(axis=1) == pytest.approx(0.0, abs=1e-4)
    assert frame_vectors(frames * 7.5) == pytest.approx(vectors, abs=1e-5)


def test_masked_pixels_do_not_count(frames):
    mask = np.ones(frames.shape[1:], dtype=bool)
    mask[3:6] = False
    damaged = frames.astype(float)
    damaged[:, 3:6] = np.array([np.nan, np.inf, -9, 1e9, 0])[:, None, None]
    assert np.array_equal(frame_vectors(damaged, mask), frame_vectors(frames, mask))
    assert frame_vectors(frames, mask).shape == (5, 90)


def test_unknown_pixels_stand_at_the_mean(frames):
    damaged = frames.astype(float)
    damaged[0, 0, 0] = np.nan
    vectors = frame_vectors(damaged)
    assert vectors[0, 0] == 0
    assert np.array_equal(vectors[1:], frame_vectors(frames)[1:])
    assert vectors[0].sum() == pytest.approx(0.0, abs=1e-4)


def test_frames_without_a_pattern_are_zero():
    frames = np.stack([np.full((8, 8), 1e6), np.full((8, 8), np.nan), np.full((8, 8), -4.0)])
    assert not frame_vectors(frames).any()


def test_wrong_input_is_named(frames):
    with pytest.raises(InputError, match=r"axes \(n, y, x\)"):
        frame_vectors(frames[0])
    with pytest.raises(InputError, match="doesn't fit frames"):
        frame_vectors(frames, np.ones((3, 3), dtype=bool))
    with pytest.raises(InputError, match="none of the 120 pixels"):
        frame_vectors(frames, np.zeros((12, 10), dtype=bool))
