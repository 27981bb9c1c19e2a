import numpy as np
import pytest
from numpy.typing import NDArray

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.prepare.counts import counts_from, require_structure
from friedel.bcdi.reconstruct import reconstruct
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned

SHAPE = (5, 4, 6)


def values() -> NDArray[np.float64]:
    return np.random.default_rng(0).poisson(5.0, SHAPE).astype(float)


def test_nan_is_unknown() -> None:
    array = values()
    array[1, 2, 3] = np.nan
    counts = counts_from(array, None, name="a")
    assert not counts.mask[1, 2, 3]
    assert counts.mask.sum() == array.size - 1
    assert np.isfinite(counts.values).all()
    assert counts.values.dtype == np.float32


def test_the_largest_unsigned_value_is_a_detectors_mark() -> None:
    array = values().astype(np.uint32)
    array[0, 0, 0] = np.iinfo(np.uint32).max
    recorder = Recorder()
    counts = counts_from(array, None, name="a", observer=recorder)
    assert not counts.mask[0, 0, 0]
    assert counts.values.max() < 100
    assert "4294967295" in recorder.events[0].text


def test_negative_whole_numbers_are_unknown_and_said() -> None:
    array = values().astype(np.int32)
    array[0, 1, 2], array[3, 3, 3] = -1, -2
    recorder = Recorder()
    counts = counts_from(array, None, name="a", observer=recorder)
    assert counts.mask.sum() == array.size - 2
    assert isinstance(recorder.events[0], Warned)
    assert "hold -1, -2, marks of what wasn't measured" in recorder.events[0].text.replace("-2, -1", "-1, -2")


def test_negative_fractions_become_zero_and_are_said() -> None:
    array = values() - 0.3
    recorder = Recorder()
    counts = counts_from(array, None, name="a", observer=recorder)
    assert counts.mask.all()
    assert counts.values.min() == 0.0
    assert "set to 0" in recorder.events[0].text


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full(SHAPE, np.inf), "every voxel is masked"),
        (np.zeros(SHAPE, complex), "complex"),
        (np.zeros(SHAPE, "U3"), "must be real numbers"),
        (np.zeros((4, 4)), r"3D array \(z, y, x\)"),
        (np.zeros((2, 2, 4, 4)), r"3D array \(z, y, x\)"),
        (np.zeros(SHAPE), "all measured intensities are zero"),
        (np.full(SHAPE, np.nan), "every voxel is masked"),
    ],
)
def test_what_cannot_be_counts_is_refused(array: NDArray[np.generic], said: str) -> None:
    with pytest.raises(InputError, match=f"^a: .*{said}"):
        counts_from(array, None, name="a")


def test_a_pixel_mask_holds_for_every_frame_and_the_input_stays() -> None:
    array, mask = values(), np.ones(SHAPE[1:], bool)
    mask[1, 1] = False
    before = array.copy()
    counts = counts_from(array, mask, name="a")
    assert not counts.mask[:, 1, 1].any()
    assert counts.mask.sum() == array.size - SHAPE[0]
    np.testing.assert_array_equal(array, before)


def test_everything_masked_is_refused() -> None:
    with pytest.raises(InputError, match="non-zero is bad"):
        counts_from(values(), np.zeros(SHAPE, bool), name="a")


@pytest.mark.parametrize("mean", [0.05, 5.0, 300.0])
@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_is_no_pattern(mean: float, seed: int) -> None:
    with pytest.raises(InputError, match="no more alike than noise"):
        reconstruct(np.random.default_rng(seed).poisson(mean, (32, 32, 32)))


@pytest.mark.parametrize("oversampling", [1.3, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_crystal_of_few_photons_is_one(oversampling: float, seed: int) -> None:
    crystal = random_crystal((32, 32, 32), seed=seed, oversampling=oversampling, phase_range_rad=6.0)
    photons = diffract(crystal.object, n_photons=100, seed=seed).astype(np.float32)
    mask = np.ones(photons.shape, bool)
    require_structure(Diffraction(intensities=photons, mask=mask, name="few"))
    elsewhere = np.random.default_rng(seed).permutation(photons.ravel()).reshape(photons.shape)
    with pytest.raises(InputError, match="no more alike than noise"):
        require_structure(Diffraction(intensities=elsewhere, mask=mask, name="the same photons elsewhere"))
