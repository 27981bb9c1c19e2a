"""Values that left their number type, or that nothing can have counted: refused with the reason, or unknown."""

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from friedel.bcdi.prepare.arrays import diffraction_from_array
from friedel.core.detector_units import COUNTABLE, beyond_counting, out_of_range
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned
from friedel.spi.hits.preparation.prepare import prepare
from friedel.spi.hits.preparation.run_calibration import measure_run

SEEDS = range(4)
SHAPE = (20, 64, 64)


def photons(seed: int) -> NDArray[np.int64]:
    y, x = np.indices(SHAPE[1:]) - 32
    bright = 60 * np.exp(-(y**2 + x**2) / 60) * np.random.default_rng(seed + 9).uniform(0.1, 1, (SHAPE[0], 1, 1))
    return np.random.default_rng(seed).poisson(bright + 0.02)


def peak(seed: int, most: float = 1e4) -> NDArray[np.int64]:
    z = np.indices((32, 32, 32)) - 16
    return np.random.default_rng(seed).poisson(most * np.exp(-(z**2).sum(0) / 20.0))


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_below_zero_that_began_again_from_above_is_named(seed: int) -> None:
    adu = np.round(35 * photons(seed) + np.random.default_rng(seed + 1).normal(0, 4, SHAPE)).astype(np.int64)
    for kind in (np.uint16, np.uint32):
        wrapped = adu.astype(kind)
        with pytest.raises(InputError, match=f"save them as int{8 * wrapped.itemsize}"):
            measure_run(wrapped, np.ones(SHAPE[1:], bool))
    assert out_of_range(adu.astype(np.int16).ravel()) is None
    assert out_of_range((adu + 1000).astype(np.uint16).ravel()) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gain_stage_in_the_highest_bits_is_named(seed: int) -> None:
    low = photons(seed)
    raw = np.where(low > 10, 49152 + 13000 - 5 * low, 2500 + 300 * low).astype(np.uint16)
    with pytest.raises(InputError, match="gain stage"):
        measure_run(raw, np.ones(SHAPE[1:], bool))


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
@pytest.mark.parametrize("seed", SEEDS)
def test_sums_beyond_the_end_of_their_type_are_named(kind: type, seed: int) -> None:
    with pytest.raises(InputError, match="wider type"):
        measure_run((2000 * photons(seed)).astype(kind), np.ones(SHAPE[1:], bool))
    assert out_of_range((2000 * np.minimum(photons(seed), 15)).astype(kind).ravel()) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_photons_of_any_brightness_stay_in_range(seed: int) -> None:
    for kind in (np.uint8, np.uint16, np.uint32, np.int32):
        assert out_of_range(photons(seed).astype(kind).ravel()) is None
    for most in (50, 5e3, 5e4, 6.2e4):
        assert out_of_range(peak(seed, most).astype(np.uint16).ravel()) is None


@pytest.mark.parametrize("large", [1e17, 1e30, 1e37, 1e155, 1e300])
def test_single_values_that_nothing_counted_are_unknown(large: float) -> None:
    scan, frames = peak(0).astype(float), photons(0).astype(float)
    scan[5, 6, 7], frames[3, 40, 9] = large, large
    heard = Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pattern = diffraction_from_array(scan, observer=heard)
        constants = measure_run(frames, np.ones(SHAPE[1:], bool))
    assert not pattern.mask[5, 6, 7]
    assert pattern.intensities.max() < 2e4
    assert any("nothing can have counted" in event.text for event in heard.events if isinstance(event, Warned))
    assert constants.gain == 1
    prepared = prepare(frames, np.ones(SHAPE[1:], bool), constants)
    assert prepared.photons.abs().max() < 1e3


@pytest.mark.parametrize("large", [1e17, 1e37, 1e155, 1e300])
def test_values_that_are_all_too_large_are_refused_unless_they_are_multiples(large: float) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (32, 32, 32)) * large
    smooth = np.exp(-((np.indices((32, 32, 32)) - 16) ** 2).sum(0) / 20.0) * large * 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (noise, smooth):
            with pytest.raises(InputError, match="no counts"):
                diffraction_from_array(values)
        assert np.array_equal(diffraction_from_array(peak(0) * large).intensities, peak(0))


def test_marks_of_number_types_are_no_counts_but_marks() -> None:
    assert beyond_counting(np.array([1.0, 2.0**64, 2.0**63, np.inf, np.nan]), name="s") is None
    found = beyond_counting(np.r_[np.ones(500), 2 * COUNTABLE], name="s")
    assert found is not None
    assert list(np.flatnonzero(found)) == [500]
