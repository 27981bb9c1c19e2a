"""Marks and what looks like them: peaks shared by four pixels, voxels marked one by one."""

import numpy as np
import pytest

from friedel.core.files.marks import find_marks

N = 32
AXES = [(np.arange(N) - N / 2 + 0.5).reshape([-1 if axis == k else 1 for axis in range(3)]) for k in range(3)]


@pytest.mark.parametrize("period", [2.0, 3.0, 4.7])
@pytest.mark.parametrize("rounded", [True, False])
def test_a_clean_peak_between_pixels_is_no_mark(period, rounded):
    expected = 1e6 * np.prod(np.broadcast_arrays(*(np.sinc(axis / period) ** 2 for axis in AXES)), axis=0)
    assert find_marks(np.round(expected) if rounded else expected).unknown is None


@pytest.mark.parametrize("mark", [65535.0, 2.0**32 - 1])
def test_a_mark_divided_by_a_monitor_is_one_still(mark):
    photons = np.random.default_rng(0).poisson(1e3 * np.exp(-sum(axis**2 for axis in AXES) / 40)).astype(float)
    photons[:, 5, 3:9] = mark
    unknown = find_marks(photons / np.linspace(0.5, 2.0, N)[:, None, None]).unknown
    assert unknown[:, 5, 3:9].all()
    assert unknown.sum() == 6 * N


@pytest.mark.parametrize("count", [50, 250])
def test_voxels_marked_one_by_one_are_unknown(count):
    rng = np.random.default_rng(1)
    photons = rng.poisson(0.05, (N, N, N))
    photons.flat[rng.choice(photons.size, count, replace=False)] = -1
    found = find_marks(photons)
    assert found.values == ("-1",)
    assert found.unknown.sum() == count
