"""Strangeness: 1 at the 99th percentile of training, more for what training never held."""

import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.hits.strange import fit_strangeness, strangeness

TRAINING = torch.randn(4000, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 3, 12) + 5


def test_one_percent_of_training_lies_beyond_one() -> None:
    found = strangeness(TRAINING, fit_strangeness(TRAINING))
    assert float((found > 1).float().mean()) == pytest.approx(0.01, abs=2e-3)


def test_what_lies_outside_is_stranger_in_any_direction() -> None:
    statistics = fit_strangeness(TRAINING)
    outside = TRAINING.mean(0) + 8 * TRAINING.std(0) * torch.eye(12)
    assert (strangeness(outside, statistics) > 1.2).all()
    assert float(strangeness(TRAINING.mean(0)[None], statistics)) == pytest.approx(0, abs=1e-3)


def test_without_statistics_nothing_is_strange_and_too_few_frames_are_told() -> None:
    assert strangeness(TRAINING[:3], {}).tolist() == [0, 0, 0]
    with pytest.raises(InputError, match="12 frames"):
        fit_strangeness(TRAINING[:12])
