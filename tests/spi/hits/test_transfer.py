"""VGG16 with random weights as a source of features, and the regression on them."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from friedel.core.errors import InputError, WeightsError
from friedel.spi.hits.transfer import FeatureRegression, TransferOptions, vgg16_features
from friedel.spi.networks.vgg16 import VGG16

OPTIONS = TransferOptions(weights="vgg16-397923af.pth")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return VGG16(fully_connected=False).eval()


def test_pool5_gives_8192_features_of_a_128_frame_whatever_the_batch(network):
    inputs = np.random.default_rng(0).normal(size=(3, 1, 128, 128)).astype(np.float16)
    features = vgg16_features(network, inputs, batch=2)
    assert features.shape == (3, 8192)
    assert features.dtype == np.float32
    assert np.allclose(features[2:], vgg16_features(network, inputs[2:]), atol=1e-5)


def test_fc_gives_fc6_and_fc7():
    class Fake:
        def outputs(self, images, names):
            assert images.shape[1:] == (3, 128, 128)
            return {name: torch.full((len(images), 4096), float(name[-1])) for name in names}

    features = vgg16_features(Fake(), np.zeros((2, 1, 128, 128), np.float32), layers="fc")
    assert features.shape == (2, 8192)
    assert features[:, 0].tolist() == [6, 6]
    assert features[:, -1].tolist() == [7, 7]


def test_several_images_a_frame_are_refused(network):
    with pytest.raises(InputError, match=r"one image a frame.*\(2, 3, 32, 32\)"):
        vgg16_features(network, np.zeros((2, 3, 32, 32), np.float32))


@pytest.fixture(scope="module")
def separable():
    rng = np.random.default_rng(1)
    labels = rng.random(300) < 0.4
    features = rng.normal(5, 2, (300, 50)).astype(np.float32)
    features[:, :5] += 6 * labels[:, None]
    features[:, 49] = 4.0
    return features, labels


def test_the_regression_finds_what_tells_the_classes_apart(separable):
    features, labels = separable
    fitted = FeatureRegression.fit(features[:200], labels[:200], OPTIONS)
    assert ((fitted.logits(features[200:]) > 0) == labels[200:]).mean() >= 0.95
    assert fitted.coefficients[49] == 0


def test_random_features_of_random_weights_still_tell_rings_from_stripes(network):
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 2 == 0
    y, x = np.mgrid[:32, :32] - 16
    phase = 2 * np.pi / rng.uniform(5, 9, 60)[:, None, None]
    frames = np.where(labels[:, None, None], np.cos(phase * np.hypot(y, x)), np.cos(phase * x))
    features = vgg16_features(network, frames[:, None] + rng.normal(0, 0.3, (60, 1, 32, 32)))
    fitted = FeatureRegression.fit(features[:40], labels[:40], OPTIONS)
    assert ((fitted.logits(features[40:]) > 0) == labels[40:]).mean() >= 0.9


def test_a_saved_regression_scores_alike(separable, tmp_path):
    features, labels = separable
    fitted = FeatureRegression.fit(features, labels, OPTIONS)
    fitted.save(tmp_path / "regression.safetensors")
    loaded = FeatureRegression.load(tmp_path / "regression.safetensors")
    assert loaded.layers == "pool5"
    assert np.array_equal(loaded.logits(features), fitted.logits(features))


def test_a_regression_that_can_not_be_written_leaves_nothing(separable, tmp_path):
    fitted = FeatureRegression.fit(*separable, OPTIONS)
    with pytest.raises(InputError, match="doesn't exist"):
        fitted.save(tmp_path / "absent" / "regression.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_labels_must_fit_and_show_both_classes(separable):
    features, labels = separable
    with pytest.raises(InputError, match=r"labels \(10,\) don't fit 300 frames"):
        FeatureRegression.fit(features, labels[:10], OPTIONS)
    with pytest.raises(InputError, match="0 of 300 frames are labelled single"):
        FeatureRegression.fit(features, np.zeros(300), OPTIONS)
    with pytest.raises(InputError, match=r"takes 50 features a frame, got \(2, 8\)"):
        FeatureRegression.fit(features, labels, OPTIONS).logits(np.zeros((2, 8)))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(WeightsError, match="not a saved regression"):
        FeatureRegression.load(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(WeightsError, match="not a saved regression"):
        FeatureRegression.load(path)
    save_file({"coefficients": np.zeros(3), "intercept": np.zeros(1)}, path, metadata={"layers": "pool9"})
    with pytest.raises(WeightsError, match="'pool9'; known: pool5, fc"):
        FeatureRegression.load(path)
