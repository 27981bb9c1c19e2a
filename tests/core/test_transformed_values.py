"""Values that are logarithms or roots of photons are told; counts in detector units aren't taken for them."""

import numpy as np
import pytest

from friedel.core.detector_units import transformed


@pytest.fixture
def photons() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.poisson(10 ** rng.uniform(-1, 3.4, 200_000)).astype(float)


@pytest.mark.parametrize("gain", [0.22, 1.0, 3.7])
def test_counts_that_an_overflow_took_off_the_whole_numbers_are_counts(photons: np.ndarray, gain: float) -> None:
    """Powers of two of whole numbers are whole: such counts passed for logarithms, and the run was refused."""
    beyond = photons > 25
    assert 0.2 < beyond[photons > 0].mean() < 0.8
    assert transformed(gain * np.where(beyond, photons + 120.0418, photons)) is None


def test_logarithms_and_roots_are_told(photons: np.ndarray) -> None:
    assert "logarithm" in str(transformed(np.log1p(photons)))
    assert "root" in str(transformed(np.sqrt(photons)))
    assert "4.343 × log" in str(transformed(10 / np.log(10) * np.log1p(photons)))
