"""Readings and values as other programs leave them: what is meant is found, or it is said and counted."""

from dataclasses import replace

import numpy as np
import pytest
from known_scan import EVEN, EXPECTED, OPTIONS, PHOTONS, Array, N, changed, found, is_right, scan

from friedel.bcdi.prepare.arrays import diffraction_from_array
from friedel.bcdi.prepare.counts import counts_from
from friedel.bcdi.prepare.positions import evened
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.prepare.units import photons_from
from friedel.bcdi.reconstruct import reconstruct
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError
from friedel.core.files.marks import find_marks
from friedel.core.observer import Recorder, Warned


def prepared(theta: Array, photons: Array = PHOTONS) -> tuple[Diffraction, list[Warned]]:
    heard = Recorder()
    pattern = prepare(scan(theta, photons), OPTIONS, observer=heard)
    return pattern, [event for event in heard.events if isinstance(event, Warned)]


# --- readings


@pytest.mark.parametrize("digits", [2, 3])
def test_readings_cut_to_their_last_digit_are_on_even_steps(digits: int) -> None:
    step = 0.0064
    theta = np.round(0.2 + step * (np.arange(N) - N // 2), digits)
    pattern, said = prepared(theta)
    assert said == []
    even, _ = prepared(0.2 + step * (np.arange(N) - N // 2))
    assert np.array_equal(pattern.intensities, even.intensities)
    np.testing.assert_allclose(pattern.grid.basis, even.grid.basis, rtol=0.02, atol=1e-6)


def test_radians_taken_for_degrees_are_said_and_counted() -> None:
    _, said = prepared(np.deg2rad(EVEN))
    assert any("another unit" in warned.text and warned.bends for warned in said)
    assert not any("another unit" in warned.text for warned in prepared(EVEN)[1])


def test_a_mesh_of_two_motors_is_refused() -> None:
    theta = np.concatenate([0.2 + 1e-5 * np.arange(N // 2), 0.4 + 1e-5 * np.arange(N // 2)])
    with pytest.raises(InputError, match="in bunches"):
        prepared(theta)


def test_rows_behind_the_end_of_an_aborted_scan_dim_no_frame() -> None:
    theta, photons = EVEN.copy(), PHOTONS.copy()
    theta[40:], photons[40:] = theta[39], 0
    pattern, said = prepared(theta, photons)
    assert any(warned.step == "lost frames" for warned in said)
    assert abs(pattern.intensities.sum() / PHOTONS[:40].sum() - 1) < 0.005


# --- frames


def test_frames_behind_a_closed_shutter_are_lost_not_dark() -> None:
    pattern, said = found(changed(lambda p: p.__setitem__(slice(0, 14), 0)))
    assert "lost, not dark" in said
    assert not pattern.mask[:14].any()
    assert is_right(pattern, least=0.6)


def test_every_second_frame_lost_is_seen_though_the_pattern_is_symmetric() -> None:
    pattern, said = found(changed(lambda p: p.__setitem__(slice(1, None, 2), 0)))
    assert "left to the phasing" in said
    assert not pattern.mask[9:40:2].any()


def test_a_frame_at_the_end_beside_an_unknown_one_is_not_damaged() -> None:
    photons = np.concatenate([PHOTONS[20:21], PHOTONS[20:]])
    _, said = found(np.pad(photons, ((0, N - len(photons)), (0, 0), (0, 0)), constant_values=np.nan))
    assert "once more" in said
    assert "damaged" not in said


# --- values


def test_marks_divided_by_a_monitor_are_marks() -> None:
    monitor = np.linspace(1, 0.9, N)[:, None, None]
    values = changed(lambda p: p.__setitem__((slice(None), slice(10, 12)), 2.0**32 - 1)) / monitor
    marked = find_marks(values)
    assert marked.unknown is not None
    assert marked.unknown[:, 10:12].all()
    assert marked.unknown.sum() == N * 2 * N


def test_counts_below_zero_after_a_background_was_subtracted_are_no_marks() -> None:
    noisy = PHOTONS + np.random.default_rng(2).poisson(2, PHOTONS.shape) - 2
    assert find_marks(noisy).unknown is None
    assert find_marks(changed(lambda p: p.__setitem__((slice(None), slice(10, 12)), -1))).values == ("-1",)
    assert find_marks(changed(lambda p: p.__setitem__(5, -1))).values == ("-1",)


def test_decibels_are_turned_back() -> None:
    pattern, said = found(10 * np.log10(PHOTONS + 1))
    assert "log(1 + photons)" in said
    assert np.isclose(pattern.intensities, PHOTONS, atol=0.01).mean() > 0.999


def test_logarithms_cut_to_two_digits_are_not_taken_for_photons() -> None:
    pattern, said = found(np.round(np.log10(PHOTONS + 1), 2))
    assert pattern.unit == "unknown"
    assert "one photon is" not in said


def test_counts_scaled_down_and_rounded_are_counted_in_the_verdict() -> None:
    pattern, said = found(np.round(PHOTONS * 0.3))
    assert "scaled and rounded" in said
    assert pattern.unit == "unknown"


def test_a_gain_whose_steps_noise_hides_is_said() -> None:
    noise = np.random.default_rng(4).normal(0, 4, PHOTONS.shape)
    pattern, said = found(np.round(100 + 12.3 * PHOTONS + noise))
    assert "one photon" in said or "pedestal and gain" in said
    total = float(pattern.intensities.sum())
    assert abs(total / PHOTONS.sum() - 1) < 0.3


def test_averages_in_gaps_of_whole_counts_are_filled_in() -> None:
    values = PHOTONS.copy()
    values[:, 10:12] = ((values[:, 9] + values[:, 12]) / 2)[:, None]
    pattern, said = found(values)
    assert "filled in" in said
    assert pattern.unit == "photons"
    assert not pattern.mask[:, 10:12].any()
    assert is_right(pattern)


@pytest.mark.parametrize("off", [0, 2, 3])
def test_a_peak_some_voxels_off_an_fft_s_corner_is_shifted_to_the_middle(off: int) -> None:
    pattern, said = found(np.roll(np.fft.ifftshift(PHOTONS), (off, -off, off), (0, 1, 2)))
    assert "z, y, x" in said
    expected = np.roll(PHOTONS, (off, -off, off), (0, 1, 2))
    assert np.array_equal(pattern.intensities, expected.astype(np.float32))


def test_a_peak_at_the_end_of_a_scan_is_left_there() -> None:
    _, said = found(PHOTONS[N // 2 - 3 : N // 2 + 20])
    assert "fftshift" not in said


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_nothing_is_said_of_clean_photons(scale: float) -> None:
    photons = np.random.default_rng(5).poisson(EXPECTED * scale)
    _, said = found(photons)
    assert said == ""
    assert prepared(EVEN, photons.astype(float))[1] == []


@pytest.mark.parametrize("dead_s", [1e-7, 1e-8, 1e-9])
@pytest.mark.parametrize("seed", range(3))
def test_counts_corrected_for_their_rate_keep_peak_and_scale(dead_s: float, seed: int) -> None:
    # Weak counts stay whole in float32, many are fractions: neither filled in, nor half photons, nor amplitudes.
    z, y, x = np.meshgrid(*(np.arange(48) - 23.7,) * 3, indexing="ij")
    sinc = np.sinc(z / 6) * np.sinc(y / 6) * np.sinc(x / 6)
    photons = np.random.default_rng(seed).poisson(3e4 * sinc**2 + 0.02)
    found = photons_from((photons / (1 - photons * dead_s)).astype(np.float32), None, name="corrected")
    assert found.mask.all()
    assert abs(float(found.values.sum()) / photons.sum() - 1) < 0.01


@pytest.mark.parametrize("share", [0.02, 0.15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_flat_field_that_is_one_on_most_pixels_hides_none(share: float, dtype: type) -> None:
    rng = np.random.default_rng(6)
    flat = np.where(rng.random((N, N)) < share, rng.uniform(0.7, 1.4, (N, N)), 1.0)
    pattern, said = found((PHOTONS / flat).astype(dtype))
    assert said == ""
    assert pattern.unit == "photons"
    assert pattern.mask.all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "values",
    [
        lambda photons: np.round(1000 * np.log1p(photons)).astype(np.int16),
        lambda photons: np.round(1000 * np.log10(1 + photons)).astype(np.float32),
        lambda photons: np.round(100 * np.sqrt(photons)).astype(np.uint16),
    ],
)
def test_rounded_logarithms_and_roots_are_turned_back(values: object, seed: int) -> None:
    photons = np.random.default_rng(seed).poisson(EXPECTED).astype(float)
    pattern, said = found(values(photons))  # type: ignore[operator]
    assert "rounded; turned back to photons" in said
    few = photons < 100
    assert np.abs(pattern.intensities - photons)[few].max() <= 1
    assert abs(float(pattern.intensities.sum()) / photons.sum() - 1) < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_multiples_of_a_gain_are_no_rounded_roots(seed: int) -> None:
    photons = np.random.default_rng(seed).poisson(EXPECTED)
    _, said = found(photons * 137)
    assert "multiples of 137" in said


@pytest.mark.parametrize("level", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_background_shows_where_the_pattern_is_but_a_small_part(level: float, seed: int) -> None:
    z, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in (40, 96, 96)), indexing="ij")
    expected = 3e4 * (np.sinc(z / 4) * np.sinc(y / 4) * np.sinc(x / 4)) ** 2
    rng = np.random.default_rng(seed)
    heard = Recorder()
    counts = photons_from(rng.poisson(expected + level), None, name="s", observer=heard)
    assert "background of" in " ".join(text for _, text in heard.notes)
    assert abs(float(counts.values.sum()) / expected.sum() - 1) < 0.05  # without it 0.04 (level 0.2) to 0.6
    assert "background" not in found(rng.poisson(EXPECTED))[1]


def test_a_part_that_was_not_read_out_lost_no_counters_range() -> None:
    values = PHOTONS * 40000 / PHOTONS.max()
    values = np.random.default_rng(3).poisson(values).astype(float)
    values[N // 2 - 1, :, N // 2 :] = 0
    pattern, said = found(values)
    assert "range of a counter" not in said
    assert "lost, not dark" in said
    assert not pattern.mask[N // 2 - 1, :, N // 2 :].any()


def test_a_motor_without_any_number_is_named() -> None:
    with pytest.raises(InputError, match="no position of th is a number"):
        prepared(np.full(N, np.nan))


def test_marks_that_are_masked_anyway_are_no_warning() -> None:
    values, mask = PHOTONS.copy(), np.zeros((N, N), np.uint8)
    values[:, 10:12], mask[10:12] = 65535, 1
    pattern, said = found(values, mask)
    assert said == ""
    assert is_right(pattern)


def test_noise_is_prepared_with_its_mask_and_phased_by_nobody() -> None:
    mask = np.zeros((32, 32, 32), bool)
    mask[:, 10:12] = True
    noise = np.ma.masked_array(np.random.default_rng(0).poisson(5, (32, 32, 32)).astype(float), mask)
    assert diffraction_from_array(noise).mask.mean() == 1 - mask.mean()
    with pytest.raises(InputError, match="no pattern to phase"):
        reconstruct(noise)


@pytest.mark.parametrize("part", [(slice(0, None, 2), slice(None)), (slice(None), slice(1, None, 2))])
def test_every_second_line_of_a_frame_without_counts_is_lost(part: tuple[slice, slice]) -> None:
    def lose(photons: Array) -> None:
        photons[(N // 2 - 2, *part)] = 0

    pattern, said = found(changed(lose))
    assert f"parts of frames {N // 2 - 2} have no counts" in said
    assert not pattern.mask[(N // 2 - 2, *part)].any()
    assert is_right(pattern)


def test_a_frame_of_one_value_is_no_measurement() -> None:
    def fill(photons: Array) -> None:
        photons[N // 2 - 3] = 3

    pattern, said = found(changed(fill))
    assert f"all pixels of frames {N // 2 - 3} hold one value" in said
    assert is_right(pattern)


def test_marks_divided_by_a_monitor_that_begins_at_one_are_marks() -> None:
    values = PHOTONS.copy()
    values[:, :, 10:13] = 2**32 - 1
    pattern, said = found((values / np.linspace(1, 1.3, N)[:, None, None]).astype(np.float32))
    assert "each frame's highest value, on the same pixels" in said
    assert not pattern.mask[:, :, 10:13].any()
    assert pattern.mask.mean() == 1 - 3 / N


@pytest.mark.parametrize("spread", [0, 5])
def test_pixels_without_a_photon_are_not_stuck_at_their_dark_value(spread: int) -> None:
    dark = 100 + np.random.default_rng(2).integers(-spread, spread + 1, (N, N)).astype(np.float32)
    heard = Recorder()
    raw = replace(scan(EVEN, PHOTONS + dark), dark=dark)
    pattern = prepare(raw, OPTIONS, observer=heard)
    np.testing.assert_array_equal(pattern.mask, prepared(EVEN)[0].mask)
    assert not any("one value in every frame" in text for _, text in heard.notes)


@pytest.mark.parametrize("of", [np.max, np.sum])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_normalised_one_by_one_are_turned_back(of: object, dtype: type) -> None:
    pattern, said = found((PHOTONS / of(PHOTONS, axis=(1, 2), keepdims=True)).astype(dtype))  # type: ignore[operator]
    assert "normalised one by one" in said
    assert is_right(pattern)
    monitor = np.random.default_rng(2).uniform(0.8, 1.2, (N, 1, 1))
    pattern, said = found(PHOTONS / monitor)
    assert "one by one" not in said
    assert np.allclose(pattern.intensities, PHOTONS / monitor, rtol=1e-4)


@pytest.mark.parametrize("level", [0.3, 2.0])
def test_a_background_taken_off_is_no_filter(level: float) -> None:
    z, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in (40, 96, 96)), indexing="ij")
    expected = 3e5 * (np.sinc(z / 4) * np.sinc(y / 4) * np.sinc(x / 4)) ** 2
    heard = Recorder()
    counts = photons_from(np.random.default_rng(0).poisson(expected + level), None, name="s", observer=heard)
    text = " ".join(text for _, text in heard.notes)
    assert "background of" in text
    assert "filtered" not in text
    assert counts.unit == "photons"


# --- a detector's noise


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("pedestal", "gain", "noise"), [(900, 137, 12), (900, 137, 26), (0, 20, 4)])
def test_a_gain_is_found_below_noise_of_a_fifth_of_a_photon(
    pedestal: float, gain: float, noise: float, seed: int
) -> None:
    added = np.random.default_rng((seed, 8)).normal(0, noise, PHOTONS.shape)
    pattern, said = found(np.round(pedestal + gain * PHOTONS + added).astype(np.int32))
    assert "pedestal and gain of a detector" in said
    assert float(pattern.intensities.sum()) == pytest.approx(PHOTONS.sum(), rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_photons_with_readout_noise_keep_their_scale(seed: int) -> None:
    added = np.random.default_rng((seed, 9)).normal(0, 0.15, PHOTONS.shape)
    dim = np.random.default_rng((seed, 13)).binomial(PHOTONS.astype(int), 0.05)  # most voxels are dark
    pattern, _ = found((dim + added).astype(np.float32))
    np.testing.assert_allclose(pattern.intensities, dim, atol=1.01)
    assert float((pattern.intensities == dim).mean()) > 0.99
    bright, _ = found((PHOTONS + added).astype(np.float32))
    assert float(bright.intensities.sum()) == pytest.approx(PHOTONS.sum(), rel=0.01)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [2.4, 6.0])
def test_noise_cut_off_at_zero_is_not_taken_for_photons(noise: float, seed: int) -> None:
    added = np.random.default_rng((seed, 10)).normal(0, noise, PHOTONS.shape)
    dim = np.random.default_rng((seed, 13)).binomial(PHOTONS.astype(int), 0.05)
    pattern, said = found(np.round(np.maximum(noise / 0.3 * dim + added, 0)).astype(np.uint32))
    assert "negative half cut off" in said
    assert pattern.unit == "unknown"
    assert pattern.warnings


# --- the monitor


@pytest.mark.parametrize("seed", range(3))
def test_a_monitor_of_another_beam_is_not_believed(seed: int) -> None:
    rng = np.random.default_rng((seed, 11))
    recorded = replace(scan(EVEN), monitor=rng.uniform(3e4, 1e5, N))
    pattern = prepare(recorded, OPTIONS)
    assert any("less smoothly" in text for text in pattern.warnings)
    np.testing.assert_array_equal(pattern.intensities, prepare(scan(EVEN), OPTIONS).intensities)


@pytest.mark.parametrize("seed", range(3))
def test_a_monitor_that_saw_the_beam_is_used_without_a_word(seed: int) -> None:
    rng = np.random.default_rng((seed, 12))
    beam = np.exp(0.2 * rng.normal(size=N)) * np.linspace(1, 0.6, N)
    photons = rng.poisson(EXPECTED * beam[:, None, None]).astype(float)
    recorded = replace(scan(EVEN, photons), monitor=1e5 * beam * rng.normal(1, 0.005, N))
    heard = Recorder()
    pattern = prepare(recorded, OPTIONS, observer=heard)
    assert not [event for event in heard.events if isinstance(event, Warned)]
    steady = prepare(scan(EVEN), OPTIONS).intensities.sum(axis=(1, 2))[16:32]
    shares = pattern.intensities.sum(axis=(1, 2))[16:32] / steady
    assert np.ptp(shares) < 0.1 * shares.mean()


# --- masks of each frame on uneven steps


@pytest.mark.parametrize("seed", range(3))
def test_voxels_unknown_in_single_frames_of_an_uneven_scan_dim_no_other(seed: int) -> None:
    rng = np.random.default_rng((seed, 14))
    theta = 0.2 + 0.01 * (np.cumsum(1 + 0.3 * rng.uniform(-1, 1, N)) - N // 2)
    z, y, x = np.indices((N, N, N)) - N // 2
    expected = 3e3 * np.exp(-((theta[:, None, None] - theta[N // 2]) ** 2 / 0.01 + (y**2 + x**2) / 60)[: len(z)])
    photons = rng.poisson(expected + 0.05).astype(float)
    known = np.ones(photons.shape, bool)
    for number, column in enumerate(rng.integers(0, N - 4, N)):
        known[number, :, column : column + 4] = False
    whole = evened(counts_from(photons, None, name="s"), scan(theta, photons)).counts
    parts = evened(counts_from(np.where(known, photons, 5e4), known, name="s"), scan(theta, photons)).counts
    both = whole.mask & parts.mask
    assert both.mean() > 0.5
    off = (whole.values - parts.values)[both] ** 2 / (whole.values[both] + 1)
    assert float(off.mean()) < 5e-3
