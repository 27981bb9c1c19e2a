"""Features of thousands of dimensions are judged along the directions in which training varied most."""

import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.hits.features.out_of_distribution import WHITENING, fit_out_of_distribution, out_of_distribution_score


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(0)
    few = torch.randn(600, 40) * torch.linspace(5, 1, 40)
    return few @ torch.randn(40, 1000) / 30 + torch.randn(1000)


def test_one_training_frame_in_a_hundred_lies_beyond_one(features):
    statistics = fit_out_of_distribution(features)
    assert statistics[WHITENING].shape == (1000, 32)
    assert float((out_of_distribution_score(features, statistics) > 1).float().mean()) == pytest.approx(0.01, abs=0.002)


def test_far_from_training_is_outside_along_its_directions(features):
    statistics = fit_out_of_distribution(features)
    away = features.mean(0) + 10 * (features[:1] - features.mean(0))
    assert float(out_of_distribution_score(away, statistics)[0]) > 3


def test_too_few_frames_are_refused(features):
    with pytest.raises(InputError, match="can't tell how"):
        fit_out_of_distribution(features[:20])
