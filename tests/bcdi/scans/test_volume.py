"""Plain volumes in every format, and everything that is not one."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.arrays import read_array
from friedel.core.observer import Recorder

VOLUME = np.random.default_rng(0).poisson(4.0, (18, 17, 16)).astype(np.int32)


def _npy(path: Path) -> None:
    np.save(path, VOLUME)


def _npz(path: Path) -> None:
    np.savez_compressed(path, data=VOLUME, mask=np.ones((17, 16)))


def _tif(path: Path) -> None:
    tifffile.imwrite(path, VOLUME)


def _h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["entry/data/intensities"] = VOLUME
        file["entry/sample/temperature"] = 300.0


WRITERS: dict[str, Callable[[Path], None]] = {".npy": _npy, ".npz": _npz, ".tif": _tif, ".h5": _h5, ".cxi": _h5}


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_only_volume_is_read_in_its_own_type(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    WRITERS[suffix](path)
    scan = read_scan(ScanSource(path=path))
    np.testing.assert_array_equal(scan.frames, VOLUME)
    assert scan.frames.dtype == np.int32
    assert scan.beam is None
    assert scan.mask.all()


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_several_volumes_ask_for_a_choice(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"two{suffix}"
    if suffix == ".npz":
        np.savez(path, first=VOLUME, second=VOLUME + 1)
    else:
        with h5py.File(path, "w") as file:
            file["first"], file["second"] = VOLUME, VOLUME + 1
    with pytest.raises(InputError, match=r"first, second\); choose one with the option 'dataset'"):
        read_scan(ScanSource(path=path))
    np.testing.assert_array_equal(read_scan(ScanSource(path=path, dataset="second")).frames, VOLUME + 1)
    with pytest.raises(InputError, match="first, second"):
        read_scan(ScanSource(path=path, dataset="third"))


def test_a_reconstruction_is_not_intensities(tmp_path: Path) -> None:
    path = tmp_path / "object.cxi"
    with h5py.File(path, "w") as file:
        file["entry_1/image_1/data"] = VOLUME.astype(np.complex64)
    with pytest.raises(InputError, match="complex: a reconstruction"):
        read_scan(ScanSource(path=path))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((4, 4)), "3D was expected"),
        (np.zeros((2, 4, 4, 4)), "3D was expected"),
        (np.array([[["a"]]]), "not numbers"),
        (np.zeros((0, 4, 4)), "empty"),
        (np.array([[[{}]]], dtype=object), "truncated or damaged"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, values: np.ndarray, said: str) -> None:
    np.save(tmp_path / "v.npy", values, allow_pickle=True)
    with pytest.raises(InputError, match=said):
        read_scan(ScanSource(path=tmp_path / "v.npy"))


@pytest.mark.parametrize("name", ["absent.npy", "picture.png"])
def test_absent_and_unknown_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(InputError, match=name):
        read_scan(ScanSource(path=tmp_path / name))


@pytest.mark.parametrize("marks", ["bad", "good"])
def test_a_mask_image_says_what_non_zero_means(tmp_path: Path, marks: str) -> None:
    _npy(tmp_path / "v.npy")
    bad = np.zeros((17, 16), np.uint8)
    bad[2, 3] = 1
    np.save(tmp_path / "m.npy", bad if marks == "bad" else 1 - bad)
    source = ScanSource.read({"path": tmp_path / "v.npy", "mask": tmp_path / "m.npy", "mask_marks": marks})
    np.testing.assert_array_equal(read_scan(source).mask, bad == 0)


def test_a_mask_of_the_other_sense_is_noticed(tmp_path: Path) -> None:
    _npy(tmp_path / "v.npy")
    np.save(tmp_path / "m.npy", np.ones((17, 16)))
    source, heard = ScanSource(path=tmp_path / "v.npy", mask=tmp_path / "m.npy"), Recorder()
    assert read_scan(source, observer=heard).mask.all()
    assert any("taken to mark the good" in text for _, text in heard.notes)
    with pytest.raises(InputError, match="masks every pixel"):
        read_scan(source.model_copy(update={"mask_marks": "bad"}))


def test_a_3d_mask_makes_voxels_unknown(tmp_path: Path) -> None:
    _npy(tmp_path / "v.npy")
    bad = np.zeros(VOLUME.shape, bool)
    bad[5, 6, 7] = True
    np.save(tmp_path / "m.npy", bad)
    frames = read_scan(ScanSource(path=tmp_path / "v.npy", mask=tmp_path / "m.npy")).frames
    np.testing.assert_array_equal(np.isnan(frames.astype(float)), bad)


def test_real_detector_masks_are_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "detector_masks").glob("*.npy")):
        mask = read_array(path, ndim=2)
        assert 0 < np.count_nonzero(mask) < 0.5 * mask.size


def outcome(source: ScanSource) -> BraggScan | str:
    try:
        return read_scan(source)
    except InputError as error:
        return str(error)


@settings(max_examples=40, deadline=None)
@given(suffix=st.sampled_from(list(WRITERS)), place=st.floats(0, 1), junk=st.binary(max_size=50), cut=st.booleans())
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, place: float, junk: bytes, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"v{suffix}"
    WRITERS[suffix](path)
    content = path.read_bytes()
    start = int(place * len(content))
    path.write_bytes(content[:start] + junk + (b"" if cut else content[start + len(junk) :]))
    found = outcome(ScanSource(path=path))
    assert path.name in found if isinstance(found, str) else found.frames.ndim == 3
