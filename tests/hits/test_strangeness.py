"""The yardstick of strangeness: 1 at the training's 99th percentile, far more for what training never showed."""

import pytest
import torch

from friedel.base.errors import InputError
from friedel.hits.strangeness import feature_yardstick


def _distance(features, yardstick):
    return torch.linalg.vector_norm((features - yardstick["feature_mean"]) @ yardstick["feature_whitening"], dim=1)


def test_one_training_frame_in_a_hundred_lies_beyond_one():
    torch.manual_seed(0)
    features = torch.randn(2000, 6) * torch.tensor([9.0, 3, 1, 0.5, 0.2, 0]) + 4
    yardstick = feature_yardstick(features)
    assert yardstick["feature_whitening"].shape == (6, 5)
    assert float((_distance(features, yardstick) > 1).float().mean()) == pytest.approx(0.01, abs=0.001)


def test_distance_is_measured_in_each_directions_own_spread():
    torch.manual_seed(1)
    yardstick = feature_yardstick(torch.randn(5000, 2) * torch.tensor([10.0, 0.1]))
    along, across = _distance(torch.tensor([[20.0, 0.0], [0.0, 0.2]]), yardstick)
    assert float(along) == pytest.approx(float(across), rel=0.1)
    assert float(_distance(torch.tensor([[0.0, 20.0]]), yardstick)) > 50


def test_more_features_than_frames_are_no_obstacle():
    torch.manual_seed(2)
    assert feature_yardstick(torch.randn(20, 4096))["feature_whitening"].shape == (4096, 19)


@pytest.mark.parametrize("features", [torch.zeros(5, 3), torch.zeros(1, 3), torch.zeros(5)])
def test_features_that_do_not_vary_are_refused(features):
    with pytest.raises(InputError, match=r"same features|at least two frames"):
        feature_yardstick(features)
