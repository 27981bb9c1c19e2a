"""Masks in CXI files of several entries: one detector's, wherever they lie."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.frames.source import open_frames

FRAMES = np.random.default_rng(0).poisson(2.0, (6, 16, 18)).astype(np.uint16)
BAD = np.zeros((2, 16, 18), np.uint16)
BAD[0, 3], BAD[1, 5] = 1, 1


def two_entries(path: Path, **masks: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for number in (1, 2):
            file[f"entry_{number}/data_1/data"] = FRAMES[3 * number - 3 : 3 * number]
        for entry, mask in masks.items():
            file[f"{entry}/data_1/mask"] = mask
    return path


@pytest.mark.parametrize("entry", ["entry_1", "entry_2"])
def test_a_mask_of_one_entry_holds_for_all(entry, tmp_path):
    with open_frames(two_entries(tmp_path / "a.cxi", **{entry: BAD[0]})) as run:
        np.testing.assert_array_equal(run.mask, BAD[0] == 0)
        assert f"{entry}/data_1/mask" in run.beside.mask


def test_different_masks_hold_together(tmp_path):
    with open_frames(two_entries(tmp_path / "a.cxi", entry_1=BAD[0], entry_2=BAD[1])) as run:
        np.testing.assert_array_equal(run.mask, ~BAD.any(axis=0))


def test_masks_of_each_frame_hold_for_their_own(tmp_path):
    each = np.zeros((6, 16, 18), np.uint16)
    each[np.arange(6), np.arange(6)] = 1
    with open_frames(two_entries(tmp_path / "a.cxi", entry_1=each[:3], entry_2=each[3:])) as run:
        np.testing.assert_array_equal(np.isnan(run.read(0, 6)), each == 1)


@pytest.mark.parametrize("entry", ["entry_1", "entry_2"])
def test_masks_of_each_frame_in_one_entry_alone_are_refused(entry, tmp_path):
    each = np.zeros((3, 16, 18), np.uint16)
    path = two_entries(tmp_path / "a.cxi", **{entry: each})
    with pytest.raises(InputError, match="masks each frame"), open_frames(path):
        pass
