"""Properties of `friedel.reconstruct` that hold for any pattern: shape, support, photons, seed, units of the input."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import friedel
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.core.errors import FriedelError

QUICK = {
    "start": "random",
    "starts": 2,
    "rounds": 1,
    "keep": 2,
    "schedule": "40*HIO+20*RAAR+5*ER",
    "polish": "20*RAAR+5*ER",
    "candidates": [0.1, 0.2],
    "refine": {"steps": 10},
}
few = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@few
@given(
    shape=st.tuples(*[st.integers(16, 21)] * 3),
    seed=st.integers(0, 100),
    hidden=st.floats(0.0, 0.3),
    photons=st.sampled_from([1e4, 1e6, 1e8]),
)
def test_whatever_comes_in_the_promises_hold(
    shape: tuple[int, int, int], seed: int, hidden: float, photons: float
) -> None:
    pattern = diffract(random_crystal(shape, seed=seed, oversampling=2.2).object, n_photons=photons, seed=seed)
    unknown = np.random.default_rng(seed).random(shape) < hidden
    result = friedel.reconstruct(np.where(unknown, np.nan, pattern), plan=QUICK, seed=seed)
    assert result.object.shape == shape
    assert result.object.dtype == np.complex64
    assert np.isfinite(result.object).all()
    assert not result.object[~result.support].any()
    assert 0 < result.quality.support_voxels == result.support.sum()
    assert 0 <= result.quality.chi < 1


@few
@given(
    bad=st.sampled_from(["empty", "flat", "four", "infinite", "dark", "unknown", "complex", "small"]),
    n=st.integers(16, 18),
)
def test_what_cannot_be_phased_is_refused_in_words(bad: str, n: int) -> None:
    arrays = {
        "empty": np.zeros((0, n, n)),
        "flat": np.ones((n, n)),
        "four": np.ones((2, n, n, n)),
        "infinite": np.full((n, n, n), np.inf),
        "dark": np.zeros((n, n, n)),
        "unknown": np.full((n, n, n), np.nan),
        "complex": np.ones((n, n, n), dtype=complex),
        "small": np.ones((n, n, 8)),
    }
    with pytest.raises(FriedelError) as caught:
        friedel.reconstruct(arrays[bad], plan=QUICK)
    assert len(str(caught.value)) > 20
