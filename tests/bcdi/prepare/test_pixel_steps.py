"""Dark, flat, monitor, saturation, dead and hot pixels, each against a detector whose faults are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import count_photons, expected_intensities
from friedel.bcdi.prepare.bad_pixels import mask_dead_pixels, mask_hot_pixels
from friedel.bcdi.prepare.corrections import apply_flat, mask_saturated, normalise_monitor, subtract_dark
from friedel.bcdi.prepare.counts import Counts
from friedel.core.errors import InputError
from friedel.core.observer import Note, Recorder, Warned

SHAPE = (40, 24, 26)


def bell(width: float = 4.0, top: float = 2000.0) -> NDArray[np.float64]:
    z, y, x = np.indices(SHAPE)
    return top * np.exp(-((z - 20) ** 2 + (y - 12) ** 2 + (x - 13) ** 2) / 2 / width**2) + 0.01


def counted(expected: NDArray[np.float64], seed: int = 0) -> Counts:
    values = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    return Counts(values, np.ones(SHAPE, bool))


def unknown_pixels(counts: Counts) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for y, x in np.argwhere(~counts.mask.any(axis=0))}


def test_dead_pixels_are_found_where_light_falls_and_nothing_else() -> None:
    expected = bell()
    expected[:, 10, 11] = expected[:, 14, 14] = 0
    counts = mask_dead_pixels(counted(expected))
    assert unknown_pixels(counts) == {(10, 11), (14, 14)}


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_detector_loses_no_pixel(seed: int) -> None:
    counts = counted(bell(width=2.0, top=1e5), seed)
    assert mask_hot_pixels(mask_dead_pixels(counts)).mask.all()


@pytest.mark.parametrize("seed", [2, 7, 18, 22, 26])
def test_the_fringes_of_an_unstrained_or_strained_crystal_are_no_bad_pixels(seed: int) -> None:
    crystal = random_crystal((32, 48, 40), seed=seed, phase_range_rad=np.pi * (seed % 3), oversampling=2.2)
    values = count_photons(expected_intensities(crystal.object, n_photons=1e7), seed=seed)
    counts = mask_hot_pixels(mask_dead_pixels(Counts(values, np.ones(values.shape, bool))))
    assert len(unknown_pixels(counts)) <= 1
    assert (~counts.mask).mean() < 1e-3


def test_hot_pixels_are_found_alone_in_pairs_and_blinking() -> None:
    expected = bell()
    expected[:, 3, 4] += 50
    expected[:, 22, 2] += 300
    expected[:, 22, 3] += 900
    expected[::3, 5, 20] += 400
    assert unknown_pixels(mask_hot_pixels(counted(expected))) == {(3, 4), (22, 2), (22, 3), (5, 20)}


def test_a_single_spike_costs_one_voxel() -> None:
    counts = counted(bell())
    counts.values[7, 4, 5] = 500
    found = mask_hot_pixels(counts)
    assert np.argwhere(~found.mask).tolist() == [[7, 4, 5]]


def test_the_flat_field_is_undone_and_weak_pixels_are_unknown() -> None:
    flat = np.random.default_rng(3).uniform(0.7, 1.3, SHAPE[1:]).astype(np.float32)
    flat[2, 2] = 0.01
    recorder = Recorder()
    counts = Counts((bell() * flat).astype(np.float32), np.ones(SHAPE, bool))
    found = apply_flat(counts, 9000 * flat, observer=recorder)
    assert unknown_pixels(found) == {(2, 2)}
    np.testing.assert_allclose(found.values[found.mask], (bell() * np.median(flat))[found.mask], rtol=1e-5)
    assert recorder.events[0].text.startswith("divided by the flat field")


def test_a_flat_field_of_zeros_is_refused() -> None:
    with pytest.raises(InputError, match="median is not positive"):
        apply_flat(counted(bell()), np.zeros(SHAPE[1:], np.float32))


def test_the_dark_is_subtracted_but_not_below_zero() -> None:
    dark = np.full(SHAPE[1:], 3, np.float32)
    counts = counted(bell())
    found = subtract_dark(counts, dark)
    np.testing.assert_array_equal(found.values, np.maximum(counts.values - 3, 0))
    assert subtract_dark(counts, None) is counts


def test_the_monitor_levels_frames_and_drops_those_without() -> None:
    monitor = np.linspace(0.5, 1.5, SHAPE[0])
    values = (np.full(SHAPE, 100.0) * monitor[:, None, None]).astype(np.float32)
    monitor[4] = 0.0
    found = normalise_monitor(Counts(values, np.ones(SHAPE, bool)), monitor)
    assert not found.mask[4].any()
    level = found.values[found.mask]
    np.testing.assert_allclose(level, level[0], rtol=1e-5)


def test_a_dead_monitor_is_not_believed() -> None:
    recorder = Recorder()
    counts = counted(bell())
    assert normalise_monitor(counts, np.zeros(SHAPE[0]), observer=recorder) is counts
    assert isinstance(recorder.events[0], Warned)


def test_saturated_voxels_are_unknown() -> None:
    recorder = Recorder()
    counts = counted(bell())
    found = mask_saturated(counts, 1500, observer=recorder)
    np.testing.assert_array_equal(found.mask, counts.values < 1500)
    assert isinstance(recorder.events[0], Note)
    assert recorder.events[0].figures["voxels"] == (~found.mask).sum()
    assert mask_saturated(counts, None) is counts
