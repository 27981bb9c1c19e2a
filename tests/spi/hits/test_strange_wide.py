"""Features of thousands of dimensions are judged along the directions in which training varied most."""

import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.hits.strange import WHITENING, fit_strangeness, strangeness


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(0)
    few = torch.randn(600, 40) * torch.linspace(5, 1, 40)
    return few @ torch.randn(40, 1000) / 30 + torch.randn(1000)


def test_one_training_frame_in_a_hundred_lies_beyond_one(features):
    statistics = fit_strangeness(features)
    assert statistics[WHITENING].shape == (1000, 32)
    assert float((strangeness(features, statistics) > 1).float().mean()) == pytest.approx(0.01, abs=0.002)


def test_far_from_training_is_strange_along_its_directions(features):
    statistics = fit_strangeness(features)
    away = features.mean(0) + 10 * (features[:1] - features.mean(0))
    assert float(strangeness(away, statistics)[0]) > 3


def test_too_few_frames_are_refused(features):
    with pytest.raises(InputError, match="can't tell how"):
        fit_strangeness(features[:20])
