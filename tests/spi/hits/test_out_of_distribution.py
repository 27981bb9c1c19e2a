"""Strangeness: 1 at the 99th percentile of training, more for what training never held."""

import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.hits.features.out_of_distribution import fit_out_of_distribution, out_of_distribution_score

TRAINING = torch.randn(4000, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 3, 12) + 5


def test_one_percent_of_training_lies_beyond_one() -> None:
    found = out_of_distribution_score(TRAINING, fit_out_of_distribution(TRAINING))
    assert float((found > 1).float().mean()) == pytest.approx(0.01, abs=2e-3)


def test_what_lies_outside_is_farther_off_in_any_direction() -> None:
    statistics = fit_out_of_distribution(TRAINING)
    outside = TRAINING.mean(0) + 8 * TRAINING.std(0) * torch.eye(12)
    assert (out_of_distribution_score(outside, statistics) > 1.2).all()
    assert float(out_of_distribution_score(TRAINING.mean(0)[None], statistics)) == pytest.approx(0, abs=1e-3)


def test_without_statistics_nothing_lies_outside_and_too_few_frames_are_told() -> None:
    assert out_of_distribution_score(TRAINING[:3], {}).tolist() == [0, 0, 0]
    with pytest.raises(InputError, match="12 frames"):
        fit_out_of_distribution(TRAINING[:12])
