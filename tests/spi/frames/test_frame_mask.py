"""Masks from files: what their values mean, and that they fit."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.spi.frames.detector_images import read_mask, require_fit

BAD = np.zeros((6, 8), np.uint8)
BAD[2, 3] = 1


@pytest.mark.parametrize("name", ["mask.npy", "mask.tif", "mask.h5"])
def test_one_is_bad_in_every_format(name, tmp_path):
    path = tmp_path / name
    if name.endswith("npy"):
        np.save(path, BAD)
    elif name.endswith("tif"):
        tifffile.imwrite(path, BAD)
    else:
        with h5py.File(path, "w") as file:
            file["mask"] = BAD
    np.testing.assert_array_equal(read_mask(path), BAD == 0)


def test_the_meaning_can_be_turned_round(tmp_path):
    np.save(tmp_path / "mask.npy", BAD)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.npy", marks="good"), BAD == 1)
    np.save(tmp_path / "mask.npy", BAD * 32)  # a bit that CXI doesn't count as bad
    assert read_mask(tmp_path / "mask.npy", marks="cxi").all()
    assert not read_mask(tmp_path / "mask.npy").all()


def test_a_mask_that_leaves_little_is_asked_about(tmp_path):
    np.save(tmp_path / "mask.npy", 1 - BAD)
    with pytest.raises(InputError, match=r"does it mark good ones.*mask_marks=good"):
        read_mask(tmp_path / "mask.npy")
    assert read_mask(tmp_path / "mask.npy", marks="good").sum() == 47


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.uint32])
def test_bits_are_read_from_any_integer(dtype):
    assert good_pixels(np.array([0, 1], dtype)).tolist() == [True, False]


def test_a_real_detectors_mask_is_read(shared_data):
    path = next((shared_data / "detector_masks").rglob("*.npy"), None) or next(
        (shared_data / "detector_masks").rglob("*.tif*"), None
    )
    if path is None:
        pytest.skip("no mask in .npy or .tif among the real ones")
    mask = read_mask(path)
    assert 0.5 < mask.mean() < 1


def test_a_mask_of_another_shape_is_named_with_both_shapes():
    with pytest.raises(InputError, match=r"mask\.npy: the mask is \(6, 8\), the frames of run\.h5 are \(4, 4\)"):
        require_fit(BAD == 0, (9, 4, 4), mask_path=Path("mask.npy"), frames_path=Path("run.h5"))


def test_a_stack_is_no_mask(tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((2, 3, 4)))
    with pytest.raises(InputError, match="2D was expected"):
        read_mask(tmp_path / "mask.npy")
