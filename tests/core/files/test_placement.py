from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.placement import Placement

CHIP = np.arange(40 * 50).reshape(40, 50)


def test_images_of_chip_frames_and_window_show_the_same_pixels() -> None:
    placement = Placement(recorded_yx=(20, 30), window=(5, 15, 2, 12), region=(10, 30, 15, 45))
    frames = CHIP[10:30, 15:45]
    window = frames[5:15, 2:12]
    for image in (CHIP, frames, window):
        cut = placement.cut(image)
        assert cut is not None
        np.testing.assert_array_equal(cut, window)
    assert placement.cut(CHIP[:12, :12]) is None


def test_without_window_and_region_frames_begin_at_the_chips_corner() -> None:
    placement = Placement(recorded_yx=(20, 30))
    assert placement.on_chip == (0, 20, 0, 30)
    assert placement.middle_of_recorded == (9.5, 14.5)


@pytest.mark.parametrize("window", [(0, 21, 0, 30), (5, 5, 0, 30), (-1, 10, 0, 30)])
def test_a_window_outside_the_frames_is_refused(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="doesn't lie in frames of 20 × 30"):
        Placement(recorded_yx=(20, 30), window=window)


def test_a_region_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="isn't as large as the frames"):
        Placement(recorded_yx=(20, 30), region=(0, 30, 0, 20))


def test_a_window_of_a_scan_keeps_every_pixel_in_its_place(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).poisson(9.0, (18, 40, 50)).astype(np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["12.1/measurement/mpx1x4"] = frames
        file["12.1/instrument/mpx1x4/distance"] = 0.8
        for name, value in {"phi": 0.5, "nu": 1.0, "delta": 35.0, "mononrj": 9.0}.items():
            file[f"12.1/instrument/positioners/{name}"] = value
        file["12.1/instrument/positioners/eta"] = np.linspace(17, 18, 18)
    bad = np.zeros((40, 50))
    bad[12, 21] = 1
    np.save(tmp_path / "m.npy", bad)
    source = ScanSource(path=tmp_path / "a.h5", beamline="esrf_id01", scan=12, mask=tmp_path / "m.npy")
    whole, part = read_scan(source), read_scan(source.model_copy(update={"window": (10, 30, 20, 45)}))
    np.testing.assert_array_equal(part.frames, whole.frames[:, 10:30, 20:45])
    np.testing.assert_array_equal(part.mask, whole.mask[10:30, 20:45])
    assert not part.mask[2, 1]
    assert whole.detector is not None
    assert part.detector is not None
    np.testing.assert_allclose(np.add(part.detector.direct_beam_yx, (10, 20)), whole.detector.direct_beam_yx)
