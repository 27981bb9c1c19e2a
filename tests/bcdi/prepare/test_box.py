"""Peak, box, bins and oversampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friedel.bcdi.geometry.oversampling import estimate_oversampling
from friedel.bcdi.prepare.corrections import bin_counts
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.crop import choose_shape, crop, fft_friendly, find_peak, window_start
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned

RECORDED = (40, 30, 36)


def ramp() -> Counts:
    return Counts(np.arange(np.prod(RECORDED), dtype=np.float32).reshape(RECORDED), np.ones(RECORDED, bool))


def test_the_peak_is_found_in_spite_of_a_hot_pixel_and_a_gap() -> None:
    z, y, x = np.indices(RECORDED)
    values = (1000 * np.exp(-((z - 17) ** 2 + (y - 11) ** 2 + (x - 22) ** 2) / 18)).astype(np.float32)
    values[3, 3, 3] = 5000
    mask = np.ones(RECORDED, bool)
    mask[:, 9, :] = False
    assert find_peak(Counts(values * mask, mask)) == (17, 11, 22)


def test_a_stated_peak_is_checked() -> None:
    assert find_peak(ramp(), (1, 2, 3)) == (1, 2, 3)
    with pytest.raises(InputError, match="outside the scan"):
        find_peak(ramp(), (40, 2, 3))


def test_the_box_puts_the_peak_at_the_middle_and_leaves_the_outside_unknown() -> None:
    peak, shape = (5, 15, 30), (20, 16, 24)
    counts = crop(ramp(), window_start(peak, shape), shape)
    assert counts.values[10, 8, 12] == ramp().values[peak]
    assert not counts.mask[:5].any()
    assert not counts.mask[:, :, 18:].any()
    assert counts.mask[5:, :, :18].all()


@settings(max_examples=60, deadline=None)
@given(n=st.integers(16, 600), at=st.floats(0, 1), factor=st.integers(1, 3))
def test_the_chosen_side_is_friendly_and_mostly_recorded(n: int, at: float, factor: int) -> None:
    peak = min(int(at * n), n - 1)
    side = choose_shape((n,) * 3, (peak,) * 3, bin_by=(factor,) * 3, pad_fraction=0.1)[0]
    first = window_start((peak,) * 3, (side,) * 3, (factor,) * 3)[0]
    inside = min(first + factor * side, n) - max(first, 0)
    assert fft_friendly(side)
    assert side % 2 == 0
    assert side == 16 or inside >= 0.9 * factor * side
    assert factor * side <= 2 * n + 16 * factor


@pytest.mark.parametrize(("recorded", "peak", "side"), [(256, 128, 256), (201, 99, 200), (256, 60, 150)])
def test_the_box_is_as_large_as_the_peaks_place_allows(recorded: int, peak: int, side: int) -> None:
    assert choose_shape((recorded,) * 3, (peak,) * 3) == (side,) * 3


def test_a_box_that_misses_or_is_tiny_is_refused() -> None:
    with pytest.raises(InputError, match="misses the recorded region"):
        crop(ramp(), (100, 0, 0), (16, 16, 16))
    with pytest.raises(InputError, match="under 16 voxels"):
        crop(ramp(), (0, 0, 0), (16, 8, 16))


def test_slow_and_empty_boxes_are_warned_of() -> None:
    recorder = Recorder()
    crop(ramp(), (-30, 0, 0), (37, 26, 30), observer=recorder)
    said = " ".join(event.text for event in recorder.events if isinstance(event, Warned))
    assert "[37, 26]" in said
    assert "never recorded" in said


def test_bins_sum_and_scale_over_unknown_voxels() -> None:
    values, mask = np.full((4, 4, 4), 3.0, np.float32), np.ones((4, 4, 4), bool)
    mask[0, 0, 0] = False
    mask[2:, 2:, 2:] = False
    mask[2, 2, 2] = True
    binned = bin_counts(Counts(values * mask, mask), (2, 2, 2))
    assert binned.values[0, 0, 0] == pytest.approx(24.0)
    assert binned.values[0, 1, 0] == 24.0
    assert not binned.mask[1, 1, 1]
    assert binned.mask.sum() == 7


def test_the_middle_voxel_stays_the_peak_through_bins() -> None:
    peak, shape, factors = (20, 15, 18), (16, 16, 16), (2, 1, 1)
    raw = (32, 16, 16)
    values = np.zeros(RECORDED, np.float32)
    values[peak] = 7
    counts = bin_counts(crop(Counts(values, np.ones(RECORDED, bool)), window_start(peak, shape, factors), raw), factors)
    assert counts.values[8, 8, 8] == 7


@pytest.mark.parametrize("side", [32, 33])
def test_oversampling_of_a_box_is_measured(side: int) -> None:
    extents, m = (8, 12, 16), np.arange(side) - side // 2
    amplitude = [np.abs(np.exp(-2j * np.pi * np.outer(m, np.arange(n)) / side).sum(axis=1)) for n in extents]
    pattern = amplitude[0][:, None, None] * amplitude[1][None, :, None] * amplitude[2][None, None, :]
    counts = Counts((pattern**2).astype(np.float32), np.ones((side,) * 3, bool))
    # A box is as long at its edges as in its middle; the estimate is made for facetted crystals, which are not.
    found = np.array(estimate_oversampling(counts.values, counts.mask)) / [side / n for n in extents]
    assert np.all((found > 0.7) & (found < 1.05))
