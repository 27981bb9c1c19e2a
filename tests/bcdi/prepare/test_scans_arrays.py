import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from friedel.bcdi.prepare.arrays import diffraction_from_array
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned

SHAPE = (20, 18, 16)


def pattern(at: tuple[int, int, int] = (10, 9, 8)) -> NDArray[np.float64]:
    grid = np.indices(SHAPE) - np.reshape(at, (3, 1, 1, 1))
    return np.round(1000 * np.exp(-(grid**2).sum(axis=0) / 12))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64])
def test_any_real_type_becomes_float32_photons_of_the_same_shape(dtype: type) -> None:
    array = np.floor(pattern() / 5).astype(dtype)  # below 255, and its highest value only once
    found = diffraction_from_array(array)
    np.testing.assert_array_equal(found.intensities, array)
    assert found.intensities.dtype == np.float32
    assert found.mask.all()
    assert found.grid is None


def test_masked_and_nan_voxels_are_unknown() -> None:
    array, mask = pattern(), np.zeros(SHAPE, int)
    array[0, 0, 0], mask[1, 1, 1] = np.nan, 1
    found = diffraction_from_array(array, mask)
    assert np.argwhere(~found.mask).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_a_peak_a_little_off_stays_where_it_is() -> None:
    found = diffraction_from_array(pattern((11, 8, 9)))
    np.testing.assert_array_equal(found.intensities, pattern((11, 8, 9)))


def test_a_peak_far_off_is_moved_and_said() -> None:
    recorder = Recorder()
    found = diffraction_from_array(pattern((4, 9, 8)), observer=recorder)
    assert np.unravel_index(found.intensities.argmax(), SHAPE) == (10, 9, 8)
    assert found.intensities.shape == SHAPE
    assert not found.mask[:6].any()
    said = next(event for event in recorder.events if isinstance(event, Warned) and event.step == "centre")
    assert "[-6, 0, 0] voxels off" in said.text


@pytest.mark.parametrize(
    ("intensities", "mask", "said"),
    [
        (np.ones((20, 20)), None, "3D array"),
        (np.ones((2, 20, 20, 20)), None, "3D array"),
        (np.ones((20, 15, 20)), None, "side under 16"),
        (np.zeros(SHAPE), None, "all measured intensities are zero"),
        (np.full(SHAPE, np.inf), None, "every voxel is masked"),
        (pattern().astype(complex), None, "complex"),
        (np.full(SHAPE, "a"), None, "real numbers"),
        ([[1], [2, 3]], None, "not an array"),
        (pattern(), np.ones((20, 18, 17)), "mask's shape"),
        (pattern(), np.full(SHAPE, 0.5), "neither good nor bad"),
    ],
)
def test_what_cannot_be_phased_is_refused_in_one_sentence(intensities: ArrayLike, mask: ArrayLike, said: str) -> None:
    with pytest.raises(InputError, match=said):
        diffraction_from_array(intensities, mask)


def outcome(array: NDArray[np.generic]) -> Diffraction | str:
    try:
        return diffraction_from_array(array)
    except InputError as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        arrays(np.float32, array_shapes(min_dims=1, max_dims=4, max_side=20)),
        arrays(np.float64, (16, 16, 17), elements=st.floats(-1e6, 1e6), fill=st.sampled_from([0.0, 3.0, float("nan")])),
        arrays(np.int16, (16, 17, 16), fill=st.just(np.int16(0))),
    )
)
def test_any_array_is_a_clean_record_or_one_error(array: NDArray[np.generic]) -> None:
    found = outcome(array)
    if isinstance(found, str):
        assert "intensities" in found
        return
    assert found.intensities.shape == array.shape
    assert np.isfinite(found.intensities).all()
    assert found.intensities.min() >= 0
    assert found.mask.any()


def test_a_move_that_would_lose_the_photons_is_left_out() -> None:
    lonely = np.full((16, 16, 17), np.nan)
    lonely[1, 2, 3], lonely[-1, -1, -1] = 5.0, 4.0
    heard = Recorder()
    diffraction = diffraction_from_array(lonely, observer=heard)
    assert diffraction.mask.any()
    assert diffraction.n_photons > 0
    assert any(isinstance(event, Warned) and event.step == "centre" for event in heard.events)


def test_a_split_peak_around_the_middle_is_left_where_it_is() -> None:
    photons = np.zeros((32, 32, 32), np.float32)
    photons[16, 16, 9], photons[16, 16, 22] = 1000.0, 900.0
    notes = Recorder()
    found = diffraction_from_array(ndimage.gaussian_filter(photons, 1.5), observer=notes)
    assert found.mask.all()
    assert not any("was moved" in str(note) for note in notes.notes)
