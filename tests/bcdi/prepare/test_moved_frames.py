"""Frames that are whole but not where the scan says, and backgrounds of less than a photon: put right, and said."""

import numpy as np
import pytest
from known_scan import EVEN, EXPECTED, OPTIONS, PHOTONS, changed, found, is_right, scan
from scipy import ndimage

from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import ScanGeometry, simulate_scan
from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer
from friedel.bcdi.prepare.background import background_level, not_negative
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.order import in_place
from friedel.bcdi.prepare.prepare import clean_counts, prepare
from friedel.core.observer import Recorder

GOLD_TTH = 36.0758  # degrees; of gold's (111) at 8.5 keV


def counts(values: np.ndarray) -> Counts:
    return Counts(values.astype(np.float32), np.ones(values.shape, bool))


@pytest.mark.parametrize("pair", [(20, 21), (23, 25), (26, 27), (18, 30)])
def test_two_swapped_frames_change_places_again(pair: tuple[int, int]) -> None:
    pattern, said = found(changed(lambda a: a.__setitem__(list(pair), a[list(pair[::-1])])))
    assert is_right(pattern, least=0.999)
    assert f"frames {pair[0]} and {pair[1]} continue the others only if they change places" in said


@pytest.mark.parametrize(("axis", "first", "late"), [(1, 24, 1), (1, 30, -1), (2, 22, 2)])
def test_a_part_of_the_detector_that_came_late_is_moved_back(axis: int, first: int, late: int) -> None:
    part = (slice(None),) * axis + (slice(first, None),)
    pattern, said = found(changed(lambda a: a.__setitem__(part, np.roll(a[part], late, 0))))
    assert is_right(pattern, least=0.95)
    assert f"{abs(late)} frames {'later' if late > 0 else 'earlier'}" in said
    assert pattern.warnings


@pytest.mark.parametrize(("frame", "step"), [(23, (3, 0)), (24, (1, -1)), (28, (0, 2))])
def test_a_jump_sideways_is_moved_back_and_counted(frame: int, step: tuple[int, int]) -> None:
    pattern, said = found(changed(lambda a: a.__setitem__(slice(frame, None), np.roll(a[frame:], step, (1, 2)))))
    assert f"from frame {frame} ({step[0]:+d}, {step[1]:+d}) on" in said
    assert is_right(pattern)
    assert pattern.warnings


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_a_good_pattern_stays_as_it_is(seed: int, scale: float) -> None:
    good = counts(np.random.default_rng(seed).poisson(EXPECTED * scale))
    heard = Recorder()
    assert in_place(good, name="s", observer=heard) is good
    assert background_level(good) is None
    assert not heard.notes


@pytest.mark.parametrize(("crystal", "faults"), [(4, 1), (41, 1), (15, 6), (23, 7), (45, 7), (56, 7)])
def test_neighbours_and_blinking_pixels_of_a_simulated_scan_are_no_jump_and_no_overflow(
    crystal: int, faults: int
) -> None:
    turned = Diffractometer(
        sample_circles=(Circle("omega", "x-"), Circle("phi", "y+")), detector_circles=(Circle("tth", "x-"),)
    )
    detector = Detector(
        pixel_size_m=(75e-6, 75e-6), distance_m=0.8, y_axis="y-", x_axis="x-", direct_beam_yx=(23.5, 23.5)
    )
    geometry = ScanGeometry(
        shape=(48, 48, 48),
        peak=(24, 24, 24),
        beam=Beam(photon_energy_ev=8500.0),
        detector=detector,
        diffractometer=turned,
        motors_deg={"omega": GOLD_TTH / 2 + 0.01 * (np.arange(48) - 24), "phi": 30.0, "tth": GOLD_TTH},
    )
    gold = gold_crystal(geometry.grid.q_bragg, seed=crystal, diameter_angstrom=3000.0, phase_range_rad=3.0)
    made = simulate_scan(gold, geometry, n_photons=5e6, seed=faults).scan
    said = prepare(made, OPTIONS).warnings
    assert not [text for text in said if "sideways" in text or "began again" in text]


def test_a_swap_is_found_in_a_scan_with_geometry_too() -> None:
    heard = Recorder()
    prepare(scan(EVEN, changed(lambda a: a.__setitem__([20, 21], a[[21, 20]]))), OPTIONS, observer=heard)
    assert any("change places" in text for _, text in heard.notes)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", [0.3, 1.0, 5.0])
def test_a_background_shows_where_fringes_have_no_contrast(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    found_level = background_level(counts(rng.poisson(EXPECTED) + rng.poisson(level, EXPECTED.shape)))
    assert found_level == pytest.approx(level, rel=0.3)


def test_a_background_of_a_third_of_a_photon_is_taken_off_the_mean() -> None:
    pattern, said = found(PHOTONS + np.random.default_rng(3).poisson(0.3, PHOTONS.shape))
    dim = EXPECTED < 0.1
    assert "a pedestal or background of 0." in said
    assert pattern.intensities[dim].mean() - EXPECTED[dim].mean() < 0.15


def test_what_is_taken_off_below_zero_is_taken_off_elsewhere() -> None:
    values = np.random.default_rng(0).normal(1.0, 1.0, (40, 8, 8)).astype(np.float32)
    kept = not_negative(values)
    assert kept.min() >= 0
    assert kept.sum() == pytest.approx(values.sum(), rel=0.02)
    assert np.maximum(values, 0).sum() > 1.07 * values.sum()


@pytest.mark.parametrize("size", [(1, 3, 3), (3, 3, 3)])
def test_filtered_counts_are_no_photons(size: tuple[int, int, int]) -> None:
    pattern, said = found(ndimage.median_filter(PHOTONS, size))
    assert "filtered" in said
    assert pattern.unit == "unknown"
    assert pattern.warnings


def test_a_block_of_frames_in_another_order_is_said_and_not_half_mended() -> None:
    pattern, said = found(changed(lambda a: a.__setitem__(slice(20, 28), a[27:19:-1])))
    assert "are they in another order?" in said
    assert pattern.warnings


def prepared(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the share of each pixel's frames that are known, and what was said."""
    heard = Recorder()
    known = clean_counts(scan(EVEN, values), observer=heard).mask.mean(axis=0)
    return known, " | ".join(text for _, text in heard.notes if text.startswith("warning"))


def test_a_chip_without_counts_is_unknown() -> None:
    known, said = prepared(changed(lambda a: a.__setitem__((slice(None), slice(24), slice(24)), 0)))
    assert "in rectangles have no count" in said
    assert known[:24, :24].max() == 0
    assert known[24:].mean() > 0.98


def test_a_line_filled_in_from_its_neighbour_is_unknown() -> None:
    known, said = prepared(changed(lambda a: a.__setitem__((slice(None), slice(None), 30), a[:, :, 29])))
    assert "repeat the line beside them" in said
    assert known[:, 30].max() == 0
    assert known.mean() > 0.96


def test_counts_that_overflowed_sixteen_bits_are_counted() -> None:
    pattern, said = found(PHOTONS.astype(np.int64).astype(np.int16))
    assert "began again from below" in said
    assert pattern.warnings


def test_single_photons_set_to_zero_are_said() -> None:
    pattern, said = found(np.where(PHOTONS < 2, 0, PHOTONS))
    assert "no voxel has 1 photons but many have 2" in said
    assert pattern.unit == "unknown"
