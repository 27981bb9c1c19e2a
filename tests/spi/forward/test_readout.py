"""Counting noise, drawn two ways, is Poisson either way."""

import numpy as np
import pytest
from scipy import stats

from friedel.spi.forward.readout import poisson


@pytest.mark.parametrize("level", [0.003, 0.04, 0.06, 3.0, 400.0])
def test_counts_have_the_mean_and_the_variance_of_poissons_law(level: float) -> None:
    counts = poisson(np.full((400, 400), level, dtype=np.float32), np.random.default_rng(1)).astype(np.float64)
    assert counts.mean() == pytest.approx(level, abs=5 * np.sqrt(level / counts.size))
    assert counts.var() == pytest.approx(level, rel=0.06)


def test_dark_pixels_share_photons_in_proportion() -> None:
    expected = np.tile(np.array([0.01, 0.02, 0.04, 0.0], dtype=np.float32), (40000, 1))
    counts = poisson(expected, np.random.default_rng(2)).sum(axis=0)
    assert counts[3] == 0
    p = stats.chisquare(counts[:3], counts[:3].sum() * np.array([1, 2, 4]) / 7).pvalue
    assert p > 1e-3
