"""The paper's preprocessing: unit variance per pixel, the centre kept, unknown pixels neutral."""

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError, WeightsError
from friedel.spi.hits.preparation.standardise import Standardiser, central
from friedel.spi.records import Frames


def _frames(n=200, shape=(20, 20), *, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    mean = rng.uniform(1, 50, shape)
    return scale * rng.normal(mean, 1 + 0.1 * mean, (n, *shape))


def _whole(frames):
    return Frames(intensities=frames, mask=np.ones(frames.shape[1:], bool))


def test_each_pixel_has_zero_mean_and_unit_variance_over_the_training_frames():
    frames = _frames()
    seen = Standardiser.fit([_whole(frames)], side=16)(frames)
    assert seen.shape == (200, 1, 16, 16)
    assert seen.dtype == np.float32
    assert np.allclose(seen.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(seen.std(axis=0), 1, atol=1e-5)


def test_gathering_in_stretches_changes_nothing():
    frames = _frames()
    whole = Standardiser.fit([_whole(frames)], side=16)
    parts = Standardiser.fit([_whole(part) for part in np.array_split(frames, 7)], side=16)
    assert np.allclose(parts.mean, whole.mean, rtol=1e-6)
    assert np.allclose(parts.deviation, whole.deviation, rtol=1e-6)


def test_detector_units_and_photons_look_the_same_to_the_network():
    photons, adu = _frames(), 40 * _frames() + 1000
    one, other = (Standardiser.fit([_whole(frames)], side=16)(frames) for frames in (photons, adu))
    assert np.allclose(one, other, atol=1e-3)


def test_masked_and_unknown_pixels_are_left_out_and_neutral():
    frames = _frames()
    mask = np.ones((20, 20), bool)
    mask[10, 10] = False
    frames[:, 10, 10] = 1e9
    frames[5, 9, 9], frames[6, 9, 9] = np.nan, np.inf
    standardiser = Standardiser.fit([Frames(intensities=frames, mask=mask)], side=16)
    seen = standardiser(frames, mask)
    assert not seen[:, 0, 8, 8].any()
    assert seen[5, 0, 7, 7] == seen[6, 0, 7, 7] == 0
    known = np.delete(frames[:, 9, 9], [5, 6])
    assert standardiser.mean[7, 7] == pytest.approx(known.mean(), rel=1e-5)
    assert standardiser.deviation[7, 7] == pytest.approx(known.std(), rel=1e-5)


def test_a_pixel_measured_by_one_detector_only_counts_there():
    frames = _frames(100)
    half = np.ones((20, 20), bool)
    half[:, :10] = False
    both = Standardiser.fit([_whole(frames[:50]), Frames(intensities=frames[50:], mask=half)], side=16)
    assert both.mean[8, 0] == pytest.approx(frames[:50, 10, 2].mean(), rel=1e-5)
    assert both.mean[8, 15] == pytest.approx(frames[:, 10, 17].mean(), rel=1e-5)


def test_a_constant_pixel_is_neutral_and_a_hot_one_bounded():
    frames = _frames()
    frames[:, 3, 3] = 0.1
    standardiser = Standardiser.fit([_whole(frames)], side=20)
    frames[0, 4, 4], frames[0, 3, 3] = 1e30, 7.0
    seen = standardiser(frames)
    assert seen[0, 0, 3, 3] == 0
    assert seen[0, 0, 4, 4] == 100
    assert np.isfinite(seen.astype(np.float16)).all()


@pytest.mark.parametrize("shape", [(256, 256), (129, 200), (128, 128), (64, 100), (65, 63)])
def test_the_centre_stays_at_the_centre(shape):
    frames = np.zeros((1, *shape), np.uint16)
    frames[0, shape[0] // 2, shape[1] // 2] = 7
    seen = central(frames, side=128)
    assert seen.shape == (1, 128, 128)
    assert seen[0, 64, 64] == 7
    assert np.isfinite(seen).sum() == min(shape[0], 128) * min(shape[1], 128)


def test_the_frames_given_are_not_changed():
    frames = _frames().astype(np.float32)
    before = frames.copy()
    Standardiser.fit([_whole(frames)], side=20)(frames)
    assert np.array_equal(frames, before)


def test_statistics_come_back():
    fitted = Standardiser.fit([_whole(_frames())], side=16)
    loaded = Standardiser.from_statistics(fitted.statistics())
    assert np.array_equal(loaded.mean, fitted.mean)
    assert np.array_equal(loaded.deviation, fitted.deviation)
    with pytest.raises(WeightsError, match="lack the preprocessing's deviation"):
        Standardiser.from_statistics({"mean": torch.zeros(2, 2)})


def test_hopeless_frames_are_refused():
    with pytest.raises(InputError, match="no pixel changes"):
        Standardiser.fit([])
    with pytest.raises(InputError, match="no pixel changes"):
        Standardiser.fit([_whole(np.full((5, 16, 16), 3.3))], side=16)
    with pytest.raises(InputError, match=r"mask \(4, 4\) doesn't fit"):
        central(np.zeros((1, 8, 8)), np.ones((4, 4), bool), side=8)
    with pytest.raises(InputError, match=r"axes \(n, y, x\)"):
        central(np.zeros((8, 8)), side=8)
