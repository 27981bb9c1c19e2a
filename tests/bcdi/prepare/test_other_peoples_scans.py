"""Faults of a whole scan that no single frame shows: its order, its ends, its geometry; gaps, gains and thresholds."""

import numpy as np
import pytest
from known_scan import EVEN, EXPECTED, MASK, OPTIONS, PHOTONS, N, changed, found, is_right, scan

from friedel.bcdi.prepare.prepare import clean_counts, prepare
from friedel.core.detector_units import detector_units
from friedel.core.observer import Recorder


def said(heard: Recorder) -> str:
    return " | ".join(text for _, text in heard.notes if text.startswith("warning"))


@pytest.mark.parametrize("seed", range(3))
def test_frames_recorded_in_no_order_are_sorted_and_none_is_taken_for_damaged(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(N)
    heard = Recorder()
    pattern = prepare(scan(EVEN[order], PHOTONS[order]), OPTIONS, observer=heard)
    straight = prepare(scan(EVEN), OPTIONS)
    assert "no order of their positions" in said(heard)
    assert "damaged" not in said(heard)
    assert pattern.mask.mean() == pytest.approx(straight.mask.mean(), abs=0.03)
    assert pattern.intensities.sum() == pytest.approx(straight.intensities.sum(), rel=0.01)


def test_a_stated_centre_counts_the_frames_as_recorded() -> None:
    order = np.random.default_rng(0).permutation(N)
    top = int(np.flatnonzero(order == N // 2)[0])
    options = OPTIONS.model_copy(update={"centre": (top, N // 2, N // 2)})
    pattern = prepare(scan(EVEN[order], PHOTONS[order]), options)
    assert pattern.intensities[N // 2].sum() == pytest.approx(PHOTONS[N // 2].sum(), rel=0.05)


def test_a_scan_or_detector_that_ends_on_the_peak_is_counted_against_the_result() -> None:
    for cut, words in ((np.s_[: N // 2 + 1], "last frame"), (np.s_[:, N // 2 :], "first row")):
        heard = Recorder()
        pattern = prepare(scan(EVEN[: len(PHOTONS[cut])], PHOTONS[cut]), observer=heard)
        assert f"cut off at the {words}" in said(heard)
        assert any("cut off" in text for text in pattern.warnings)
    assert not prepare(scan(EVEN), OPTIONS).warnings


def test_planes_too_far_apart_for_a_bragg_peak_are_said() -> None:
    right = scan(EVEN)
    detector = {name: np.deg2rad(value) for name, value in right.motors_deg.items() if name in ("del", "gam")}
    assert detector
    wrong = type(right)(**{**vars(right), "motors_deg": {**right.motors_deg, **detector}})
    pattern = prepare(wrong, OPTIONS)
    assert any("hardly gives a Bragg peak" in text for text in pattern.warnings)


@pytest.mark.parametrize("columns", [np.s_[26:29], np.s_[34:36], np.s_[20:30]])
def test_gaps_left_as_zeros_are_unknown(columns: slice) -> None:
    for index, region in ((2, np.s_[:, :, columns]), (1, np.s_[:, columns])):
        pattern = clean_counts(scan(EVEN, changed(lambda a, region=region: a.__setitem__(region, 0))))
        box = [slice(None)] * 3
        box[index] = columns
        assert pattern.mask[tuple(box)].mean() < 0.02
        assert pattern.mask.mean() > 0.98 - (columns.stop - columns.start) / N


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [0.03, 1.0, 30.0])
def test_a_pattern_without_gaps_loses_none(seed: int, scale: float) -> None:
    photons = np.random.default_rng(seed).poisson(EXPECTED * scale).astype(float)
    assert clean_counts(scan(EVEN, photons)).mask.mean() > 0.998


@pytest.mark.parametrize(("gain", "noise"), [(4.9, 0.0), (13.7, 0.0), (13.7, 0.15), (61.3, 0.0), (61.3, 0.15)])
def test_a_gain_that_is_no_whole_number_shows_in_whole_values(gain: float, noise: float) -> None:
    rng = np.random.default_rng(int(10 * gain))
    values = np.round(PHOTONS * gain + rng.normal(0, noise * gain, PHOTONS.shape))
    pattern, words = found(values.astype(np.int32))
    assert "pedestal and gain" in words
    right = np.isclose(pattern.intensities, PHOTONS, rtol=1e-3, atol=0.01)
    assert right.mean() > (0.99 if noise else 0.999)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 10.0])
def test_photons_have_no_gain(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    assert detector_units(rng.poisson(EXPECTED * scale).ravel()) is None
    assert detector_units(rng.poisson(EXPECTED * scale + 3).ravel()) is None


def test_low_counts_set_to_zero_are_said_and_no_beam_is_blamed() -> None:
    pattern, words = found(np.where(PHOTONS < 5, 0, PHOTONS))
    assert "lower counts were set to 0" in words
    assert "attenuator" not in words
    assert pattern.unit == "unknown"
    assert pattern.warnings


def test_values_scaled_to_a_picture_are_counted_against_the_result() -> None:
    pattern, words = found(np.round(PHOTONS / PHOTONS.max() * 255).astype(np.uint8))
    assert "8 bits" in words
    assert pattern.warnings


def test_a_background_subtracted_earlier_is_no_photon_noise() -> None:
    background = np.random.default_rng(3).poisson(5, PHOTONS.shape)
    pattern, words = found((PHOTONS + background).astype(np.int32) - 5)
    assert "negative" in words
    assert pattern.unit == "unknown"


def test_decimal_logarithms_with_a_floor_are_those_of_photons() -> None:
    pattern, words = found(np.log10(np.maximum(PHOTONS, 1e-3)).astype(np.float32))
    assert "the decimal logarithm of photons" in words
    assert is_right(pattern, rtol=1e-3)


def test_smoothed_photons_are_not_taken_for_amplitudes() -> None:
    from scipy.ndimage import gaussian_filter

    pattern, words = found(gaussian_filter(PHOTONS, (0, 0.8, 0.8)))
    assert "amplitudes, of which one photon" not in words
    assert pattern.intensities.sum() == pytest.approx(PHOTONS.sum(), rel=0.05)
    assert MASK.shape == pattern.mask.shape
