"""Who lies far from its neighbours: outliers at any place and nobody beside them, on a trend as on a plateau."""

import numpy as np
import pytest

from friedel.core.series.members import far_from_neighbours


@pytest.mark.parametrize("place", [0, 1, 5, 10, 11])
@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_one_outlier_is_found_wherever_it_lies_and_its_neighbours_aren_t(place, slope, seed):
    values = 1 + slope * np.arange(12) + 0.005 * np.random.default_rng(seed).normal(size=12)
    assert far_from_neighbours(values, least=0.05) == {}
    values[place] *= 1.6
    found = far_from_neighbours(values, least=0.05)
    assert list(found) == [place]
    assert found[place] == pytest.approx(1 + slope * place, abs=0.05)


def test_unknown_values_and_short_series_are_let_be():
    values = np.array([1.0, np.nan, 1.0, 9.0, 1.0])
    assert far_from_neighbours(values, least=0.05) == {}
    assert list(far_from_neighbours(np.array([1.0, 1.0, np.nan, 9.0, 1.0, 1.0, 1.0]), least=0.05)) == [3]
