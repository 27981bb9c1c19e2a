"""Pixels that don't count every photon once: overflow, wide pixels, dead time, lines filled in."""

from collections.abc import Callable

import numpy as np
import pytest
from known_scan import EVEN, EXPECTED, OPTIONS, Array, found, scan

from friedel.bcdi.prepare.arrays import diffraction_from_array
from friedel.bcdi.prepare.counting.dead_time import without_dead_time
from friedel.bcdi.prepare.counting.filled_lines import without_filled_lines
from friedel.bcdi.prepare.counting.overflow import without_overflow
from friedel.bcdi.prepare.counting.wide_pixels import without_wide_pixels
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.prepare import prepare
from friedel.core.observer import Recorder, Warned

SEEDS = range(4)
Check = Callable[..., Counts]


def photons(seed: int, factor: float = 1.0, expected: Array = EXPECTED) -> Array:
    return np.random.default_rng(seed + 50).poisson(factor * expected).astype(float)


def checked(check: Check, values: Array) -> tuple[Counts, list[Warned]]:
    heard = Recorder()
    counts = Counts(values.astype(np.float32), np.ones(values.shape, bool))
    after = check(counts, name="s", observer=heard)
    return after, [event for event in heard.events if isinstance(event, Warned)]


@pytest.mark.parametrize("check", [without_overflow, without_filled_lines, without_wide_pixels, without_dead_time])
@pytest.mark.parametrize("factor", [0.02, 1.0, 40.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_clean_counts_are_left_as_they_are_without_a_word(check: Check, factor: float, seed: int) -> None:
    values = photons(seed, factor)
    after, said = checked(check, values)
    assert said == []
    assert after.mask.all()
    assert np.array_equal(after.values, values)


@pytest.mark.parametrize(("bits", "beyond"), [(8, 2), (12, 2), (16, 2), (16, 20)])
@pytest.mark.parametrize("seed", SEEDS)
def test_counts_that_began_again_from_zero_are_unknown(bits: int, beyond: int, seed: int) -> None:
    whole = photons(seed, beyond * 2**bits / EXPECTED.max())
    wrapped = whole % 2**bits
    after, said = checked(without_overflow, wrapped)
    assert [event.bends for event in said] == [True]
    assert str(2**bits) in said[0].text
    assert not after.mask[whole != wrapped].any()
    assert after.mask.mean() > 0.9


@pytest.mark.parametrize("place", [(6, 9), (9, 30), (40, 12)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_hot_pixel_away_from_the_peak_is_no_overflow(place: tuple[int, int], seed: int) -> None:
    values = photons(seed, 14_000 / EXPECTED.max())
    values[:, place[0], place[1]] = np.random.default_rng(seed).poisson(20_000, len(values))
    after, said = checked(without_overflow, values)
    assert said == []
    assert after.mask.all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_blinking_pixel_beside_a_hot_one_is_no_overflow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = photons(seed, expected=EXPECTED * 20_000 / EXPECTED.max() + 4)
    row, column = rng.integers(8, 14, 2)
    lit = rng.random(len(values)) < 0.4
    values[lit, row, column] = rng.poisson(14_900, int(lit.sum()))
    values[:, row + 1, column - 1] = rng.poisson(6_000, len(values))
    after, said = checked(without_overflow, values)
    assert said == []
    assert after.mask.all()


@pytest.mark.parametrize(
    ("axis", "lines", "factor"), [(1, [22], 1.6), (2, [26, 27], 2.5), (2, [31], 3.0), (1, [20], 0.5)]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_lines_of_wide_pixels_are_unknown(axis: int, lines: list[int], factor: float, seed: int) -> None:
    expected = EXPECTED.copy()
    expected[(slice(None),) * axis + (lines,)] *= factor
    after, said = checked(without_wide_pixels, photons(seed, 3.0, expected))
    assert len(said) == 1
    stated = float(said[0].text.split(" have ")[1].split(" times ")[0])
    assert stated == pytest.approx(factor, rel=0.03)
    known = after.mask.all(axis=tuple(other for other in range(3) if other != axis))
    assert list(np.flatnonzero(~known)) == lines


@pytest.mark.parametrize("lost", [0.15, 0.3])
@pytest.mark.parametrize("paralysed", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_dead_time_took_is_put_back(lost: float, paralysed: bool, seed: int) -> None:
    true = 20 * EXPECTED
    share = true / true.max() * (-np.log(1 - lost) if paralysed else lost / (1 - lost))
    seen = true * np.exp(-share) if paralysed else true / (1 + share)
    after, said = checked(without_dead_time, photons(seed, 1.0, seen))
    assert len(said) == 1
    assert said[0].step == "dead time"
    bright = true > 0.3 * true.max()
    off = float(np.abs(after.values[bright].sum() / true[bright].sum() - 1))
    assert off < 0.2 * abs(seen[bright].sum() / true[bright].sum() - 1)


def _filled(values: Array, first: int, end: int, how: str) -> Array:
    filled = values.copy()
    left, right = values[..., first - 1], values[..., end]
    for column in range(first, end):
        share = (column - first + 1) / (end - first + 1)
        filled[..., column] = left + (right - left) * (0.5 if how == "mean" else share)
    return np.floor(filled) if how == "cut" else np.round(filled)


@pytest.mark.parametrize("how", ["linear", "mean", "cut"])
@pytest.mark.parametrize("width", [1, 3, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_lines_interpolated_from_others_are_unknown_and_no_others(how: str, width: int, seed: int) -> None:
    after, said = checked(without_filled_lines, _filled(photons(seed), 28, 28 + width, how))
    assert list(np.flatnonzero(~after.mask.all(axis=(0, 1)))) == list(range(28, 28 + width))
    assert len(said) in (1, 2)


def test_arrays_and_scans_are_both_looked_at_and_an_option_leaves_scans_alone() -> None:
    wrapped = photons(0, 2 * 2**16 / EXPECTED.max()) % 2**16
    pattern, said = found(wrapped)
    assert "began again from zero" in said
    assert not pattern.mask.all()
    for counting in (True, False):
        heard = Recorder()
        prepare(scan(EVEN, wrapped), OPTIONS.model_copy(update={"counting": counting}), observer=heard)
        said = [event.text for event in heard.events if isinstance(event, Warned)]
        assert any("began again from zero" in text for text in said) == counting


def test_it_is_said_which_axis_is_taken_for_the_scan() -> None:
    heard = Recorder()
    diffraction_from_array(photons(0), observer=heard)
    assert any("48 × 48 × 48, taken as (z, y, x)" in text for _, text in heard.notes)
