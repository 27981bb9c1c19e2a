"""Readings of motors in HDF5 files as text, across the zero of a circle; masks whose name says their sense."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.files.masks import is_mask_name, marks_good

N = 24
ETA = 0.01 * (np.arange(N) - N // 2)
FRAMES = np.random.default_rng(0).poisson(
    2000 * np.exp(-(((np.indices((N, 32, 30)).T - (N // 2, 16, 15)) ** 2).sum(-1).T) / 40) + 0.2
)


def bliss(folder: Path, eta: object, **masks: object) -> ScanSource:
    path = folder / "s.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("1.1")
        for name, value in {"eta": eta, "phi": 0.0, "nu": 0.0, "delta": 34.0, "mononrj": 9.0}.items():
            entry[f"instrument/positioners/{name}"] = value
        entry["instrument/mpx1x4/distance"] = 1.0
        entry["measurement/mpx1x4"] = FRAMES.astype(np.uint32)
        for name, value in masks.items():
            entry[f"measurement/{name}"] = value
    return ScanSource(path=path, beamline="esrf_id01", scan=1)


def test_angles_written_as_text_are_read(tmp_path: Path) -> None:
    scan = read_scan(bliss(tmp_path, np.array([f"{17 + value:.4f}" for value in ETA], "S10")))
    np.testing.assert_allclose(np.diff(scan.motors_deg["eta"]), 0.01, atol=1e-9)


@pytest.mark.parametrize("turn", [lambda v: v % 360, lambda v: (v + 180) % 360 - 180])
def test_a_scan_across_the_zero_of_its_circle_is_one_scan(tmp_path: Path, turn: object) -> None:
    middle = 0.0 if turn(np.array([-1.0]))[0] > 0 else 180.0
    scan = read_scan(bliss(tmp_path, turn(ETA + middle)))
    np.testing.assert_allclose(np.diff(scan.motors_deg["eta"]), 0.01, atol=1e-9)


def test_a_zero_at_the_end_stays_what_it_is(tmp_path: Path) -> None:
    eta = 200 + ETA
    eta[-1] = 0
    assert read_scan(bliss(tmp_path, eta)).motors_deg["eta"][-1] == 0


def test_a_mask_named_after_good_pixels_marks_the_good(tmp_path: Path) -> None:
    good = np.ones(FRAMES.shape[1:], np.uint8)
    good[3:5] = 0
    scan = read_scan(bliss(tmp_path, 17 + ETA, good_pixels=good))
    assert np.array_equal(scan.mask, good == 1)
    assert all(is_mask_name(name) and marks_good(name) for name in ("good_pixels", "valid_mask", "goodmask", "a/valid"))
    assert not any(marks_good(name) for name in ("mask", "pixel_mask", "badpix", "goods", "validation"))
