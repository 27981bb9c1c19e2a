"""Arrays and scans with one fault each, of a crystal whose photons are known: restored, unknown, or said."""

from collections.abc import Callable

import numpy as np
import pytest
from known_scan import EVEN, EXPECTED, MASK, OPTIONS, PHOTONS, Array, N, changed, found, is_right, scan

from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.core.errors import InputError
from friedel.core.observer import Recorder


def test_a_good_pattern_raises_no_warning() -> None:
    pattern, said = found(PHOTONS)
    assert is_right(pattern, least=0.999)
    assert said == ""
    assert pattern.warnings == ()


# --- masks


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_non_zero_is_bad_in_every_type(dtype: type) -> None:
    pattern, said = found(PHOTONS, MASK.astype(dtype))
    np.testing.assert_array_equal(pattern.mask, ~MASK)
    assert said == ""


def test_a_masked_arrays_own_mask_counts() -> None:
    pattern, _ = found(np.ma.masked_array(PHOTONS, MASK))
    np.testing.assert_array_equal(pattern.mask, ~MASK)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_a_mask_that_can_only_mark_the_good_is_taken_so_and_said(dtype: type) -> None:
    pattern, said = found(PHOTONS, (~MASK).astype(dtype))
    np.testing.assert_array_equal(pattern.mask, ~MASK)
    assert "taken to mark the good" in said
    stated, said = found(PHOTONS, ~MASK, mask_marks="good")
    np.testing.assert_array_equal(stated.mask, ~MASK)
    assert said == ""


def test_a_mask_in_doubt_is_asked_about() -> None:
    half = np.indices((N, N, N))[2] > N // 2
    with pytest.raises(InputError, match="does it mark good pixels"):
        found(PHOTONS, half)
    box = np.ones((N, N, N), np.uint8)
    box[16:32, 16:32, 16:32] = 0
    with pytest.raises(InputError, match=r"leaves 3\.7% of the pixels"):
        found(PHOTONS, box)
    assert found(PHOTONS, box, mask_marks="bad")[0].mask.sum() == 16**3


# --- marks


@pytest.mark.parametrize(
    ("dtype", "mark"),
    [
        (np.uint32, 2**32 - 1), (np.int64, 2**32 - 1), (np.float64, 2**32 - 1), (np.float32, 2**32 - 1),
        (np.int32, -1), (np.int32, -2), (np.float32, -1), (np.float32, np.nan), (np.float64, np.inf),
        (np.float64, 2.0**64), (np.float32, 65535), (np.int64, 2**31 - 1), (np.int32, 99999),
    ],
)  # fmt: skip
def test_marks_are_unknown_whatever_type_they_went_through(dtype: type, mark: float) -> None:
    values = PHOTONS.astype(dtype)
    values[:, :, 30:32] = mark
    pattern, _ = found(values)
    assert not pattern.mask[:, :, 30:32].any()
    assert is_right(pattern)


def test_a_clipped_peak_is_unknown() -> None:
    pattern, said = found(np.minimum(PHOTONS, PHOTONS.max() // 20))
    assert not pattern.mask[PHOTONS.max() // 20 <= PHOTONS].any()
    assert is_right(pattern)
    assert "the detector's limit" in said


# --- units


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (PHOTONS / PHOTONS.max(), "normalised photons"),
        ((PHOTONS / PHOTONS.sum()).astype(np.float32), "normalised photons"),
        (np.log1p(PHOTONS), "the logarithm of 1"),
        (np.log10(PHOTONS + 1).astype(np.float32), "decimal logarithm"),
        (np.sqrt(PHOTONS), "amplitudes"),
        (PHOTONS * 25, "multiples of 25"),
        (PHOTONS + 100, "a pedestal or background of 100"),
        (PHOTONS * 13.7 + 100 + np.random.default_rng(0).normal(0, 2, PHOTONS.shape), "pedestal and gain"),
        (np.fft.ifftshift(PHOTONS), "fftshift"),
    ],
)
def test_what_isnt_photons_is_turned_into_them_and_said(values: Array, words: str) -> None:
    pattern, said = found(values)
    assert words in said
    assert pattern.unit == "photons"
    # A gain is estimated, to half a per cent.
    rtol = 0.005 if "gain" in words else 0.0
    assert np.isclose(pattern.intensities, PHOTONS, rtol=rtol, atol=0.01).mean() > (0.99 if rtol else 0.999)


def test_roots_and_logarithms_without_noise_show_in_their_transform() -> None:
    for values in (np.sqrt(EXPECTED), np.log1p(EXPECTED)):
        pattern, said = found(values)
        assert "their transform says so" in said
        np.testing.assert_allclose(pattern.intensities, EXPECTED, rtol=1e-3, atol=0.01)
        assert pattern.unit == "unknown"


@pytest.mark.parametrize("level", [2, 5, 20])
def test_a_background_is_taken_off(level: float) -> None:
    pattern, said = found(PHOTONS + np.random.default_rng(3).poisson(level, PHOTONS.shape))
    assert "background" in said
    assert abs((pattern.intensities - PHOTONS).mean()) < 0.4 * level


# --- frames


@pytest.mark.parametrize("frame", [3, 22, 24, 40])
def test_an_empty_frame_between_bright_ones_is_lost(frame: int) -> None:
    pattern, said = found(changed(lambda a: a.__setitem__(frame, 0)))
    assert not pattern.mask[frame].any()
    assert is_right(pattern)
    assert f"frames {frame} have no counts" in said


@pytest.mark.parametrize("part", [np.s_[22, :24], np.s_[22, :, 24:], np.s_[22, :24, :24]])
def test_an_empty_part_of_a_frame_is_lost(part: tuple[int | slice, ...]) -> None:
    pattern, said = found(changed(lambda a: a.__setitem__(part, 0)))
    assert not pattern.mask[part].any()
    assert is_right(pattern)
    assert "parts of frames 22" in said


def test_a_frame_recorded_twice_and_a_lifted_one_are_unknown() -> None:
    for change, words in (
        (lambda a: a.__setitem__(22, a[21]), "hold the frame before"),
        (lambda a: a.__setitem__(30, a[30] + 500), "counts in every pixel"),
    ):
        pattern, said = found(changed(change))
        assert words in said
        assert is_right(pattern)


@pytest.mark.parametrize("run", [slice(20, 28), slice(26, 27), slice(24, 25), slice(22, 26)])
@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_an_attenuated_run_is_scaled_back_and_counted(run: slice, factor: float) -> None:
    values = changed(lambda a: a.__setitem__(run, np.random.default_rng(5).poisson(EXPECTED[run] * factor)))
    pattern, said = found(values)
    assert f"frames {run.start}" in said
    assert any("attenuator" in text for text in pattern.warnings)
    ratio = pattern.intensities[run].sum() / PHOTONS[run].sum()
    assert ratio == pytest.approx(1.0, abs=0.06)


# --- positions


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: np.r_[e[:-1], 0.0], "frames 47 don't lie"),
        (lambda e: np.r_[0.0, e[1:]], "frames 0 don't lie"),
        (lambda e: np.r_[e[:-1], e[0]], "frames 47 don't lie"),
        (lambda e: np.where(np.arange(N) == 7, np.nan, e), "frames 7 have no reading"),
        (lambda e: np.where(np.arange(N) >= 40, e[40], e), ""),
        (lambda e: e + np.random.default_rng(0).normal(0, 0.0004, N), ""),
        (lambda e: e[::-1], ""),
    ],
)
def test_wrong_readings_dont_move_the_steps(change: Callable[[Array], Array], words: str) -> None:
    heard = Recorder()
    right, pattern = prepare(scan(EVEN), OPTIONS).grid, prepare(scan(change(EVEN)), OPTIONS, observer=heard)
    assert right is not None
    assert pattern.grid is not None
    lengths = [np.linalg.norm(grid.basis[0]) for grid in (right, pattern.grid)]
    assert lengths[1] == pytest.approx(lengths[0], rel=2e-3)
    assert not words or any(words in text for _, text in heard.notes)


def test_uneven_frames_come_to_even_steps_where_they_belong() -> None:
    rng = np.random.default_rng(2)
    places = np.cumsum(1 + 0.3 * rng.uniform(-1, 1, 60)) * 0.75
    places = np.sort(np.r_[places, rng.choice(places, 20, replace=False)])
    places = np.delete(places, rng.choice(places.size, 4, replace=False))
    # What the pattern is between its frames: its transform along them, evaluated there.
    numbers = np.fft.fftfreq(N) * N
    waves = np.exp(2j * np.pi * np.outer(places, numbers) / N)
    exact = np.maximum(np.tensordot(waves, np.fft.fft(EXPECTED, axis=0) / N, axes=1).real, 0)
    heard = Recorder()
    photons = rng.poisson(exact).astype(float)
    pattern = prepare(scan(EVEN[0] + 0.01 * places, photons), PrepareOptions(aliens=False), observer=heard)
    assert any("interpolated to" in text for _, text in heard.notes)
    assert pattern.grid is not None
    step = np.linalg.norm(pattern.grid.basis[0]) / np.linalg.norm(prepare(scan(EVEN), OPTIONS).grid.basis[0])  # type: ignore[union-attr]
    assert 0.7 < step < 0.8
    n = pattern.intensities.shape[0]
    middle = np.unravel_index(pattern.intensities.argmax(), pattern.intensities.shape)
    top = places[np.argmax(photons.max(axis=(1, 2)))]
    at = top + step * (np.arange(n) - middle[0])
    inner = (at > 3) & (at < 42)
    wanted = np.tensordot(np.exp(2j * np.pi * np.outer(at, numbers) / N), np.fft.fft(EXPECTED, axis=0) / N, axes=1).real
    totals = [volume[inner].sum() for volume in (pattern.intensities, wanted)]
    assert totals[0] == pytest.approx(totals[1], rel=0.05)
    # The recorded frames stay beside them, each at its place: what lies at the peak is recorded nearest to it.
    own = pattern.frames
    assert own is not None
    assert own.intensities.shape[1:] == pattern.intensities.shape[1:]
    brightest = int(own.intensities.max(axis=(1, 2)).argmax())
    first = int(np.argmax(photons.max(axis=(1, 2)))) - brightest
    recorded = places[first : first + own.places.size]
    np.testing.assert_allclose(np.diff(own.places) * step, np.diff(recorded), rtol=0, atol=1e-4)
    assert abs(own.places[brightest] - middle[0]) < 1
    assert prepare(scan(EVEN), OPTIONS).frames is None


def test_what_is_no_rocking_scan_is_refused() -> None:
    with pytest.raises(InputError, match="moves none"):
        prepare(scan(np.float64(0.2)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="position of only"):
        prepare(scan(np.where(np.arange(N) < 42, np.nan, EVEN)))
