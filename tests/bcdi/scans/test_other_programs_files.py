"""Files as other programs and facilities leave them: read right, with what was odd said, or refused with the cause."""

import gzip
from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from numpy.typing import NDArray

from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned

SHAPE = (40, 40, 44)
BAD = np.zeros(SHAPE[1:], np.uint8)
BAD[4:6] = 1
ETA = np.linspace(17, 17.39, SHAPE[0])


def bell() -> NDArray[np.uint32]:
    z, y, x = (np.indices(SHAPE).T - np.array(SHAPE) // 2).T
    return np.random.default_rng(0).poisson(3000 * np.exp(-(z**2 + y**2 + x**2) / 60) + 0.3).astype(np.uint32)


def unknown(scan: BraggScan) -> NDArray[np.bool_]:
    lost = np.isnan(scan.frames) if scan.frames.dtype.kind == "f" else np.zeros(scan.frames.shape, bool)
    return lost | ~np.broadcast_to(scan.mask, scan.frames.shape)


def told(source: ScanSource) -> tuple[BraggScan, list[Warned]]:
    heard = Recorder()
    scan = read_scan(source, observer=heard)
    return scan, [event for event in heard.events if isinstance(event, Warned)]


# --- masks


@pytest.mark.parametrize(
    "name",
    [
        "entry_1/instrument_1/detector_1/mask", "entry_1/instrument_1/detector_1/mask_shared",
        "entry_1/instrument_1/detector_1/pixel_mask",
    ],
)  # fmt: skip
def test_a_mask_beside_the_data_of_a_cxi_file_is_used(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.cxi", "w") as file:
        file["entry_1/instrument_1/detector_1/data"] = bell()
        file[name] = BAD.astype(np.uint32)
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    scan = read_scan(ScanSource(path=tmp_path / "t.cxi"))
    np.testing.assert_array_equal(scan.mask, BAD == 0)
    assert "beside the data" in repr(scan)
    assert read_scan(ScanSource(path=tmp_path / "t.cxi", mask_beside=False)).mask.all()


@pytest.mark.parametrize(
    "name",
    [
        "entry/instrument/detector/pixel_mask",
        "entry/instrument/detector/detectorSpecific/pixel_mask",
        "entry/data/mask",
    ],
)
def test_a_mask_beside_the_data_of_a_nexus_file_is_used(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["entry/data/data"] = bell()
        file[name] = BAD
    assert unknown(read_scan(ScanSource(path=tmp_path / "t.h5"))).sum() == BAD.sum() * SHAPE[0]


@pytest.mark.parametrize("kind", ["npz", "mat", "mat73"])
def test_a_mask_in_the_same_file_of_arrays_is_used_or_named(kind: str, tmp_path: Path) -> None:
    frames, mask = bell().astype(np.float64), np.broadcast_to(BAD, SHAPE).astype(np.uint8)
    path = tmp_path / f"t.{kind[:3]}"
    for name in ("mask", "my_bad"):
        if kind == "npz":
            np.savez(path, data=frames, **{name: mask})
        elif kind == "mat":
            scipy.io.savemat(path, {"data": frames, name: mask})
        else:
            with h5py.File(path, "w") as file:  # Matlab's axes run the other way in HDF5
                file["data"], file[name] = frames.T, mask.T
        source = ScanSource(path=path, dataset="data", mask_dataset=None if name == "mask" else name)
        scan = read_scan(source)
        assert scan.frames.shape == SHAPE
        np.testing.assert_array_equal(unknown(scan), mask.astype(bool))


@pytest.mark.parametrize("suffix", [".edf", ".npy", ".tif", ".npz", ".mat", ".h5", ".edf.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_mask_file_of_any_kind_marks_bad_pixels(suffix: str, dtype: type, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", bell())
    path, mask = tmp_path / f"m{suffix}", BAD.astype(dtype)
    if suffix == ".npy":
        np.save(path, mask)
    elif suffix == ".tif":
        tifffile.imwrite(path, mask)
    elif suffix == ".npz":
        np.savez(path, mask=mask)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"mask": mask})
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["entry/mask"] = mask
    else:
        fabio.edfimage.EdfImage(data=mask).write(str(path))
    scan = read_scan(ScanSource(path=tmp_path / "t.npy", mask=path))
    np.testing.assert_array_equal(scan.mask, BAD == 0)


def test_a_mask_that_hides_the_peak_is_asked_about(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", data=bell(), mask=(np.indices(SHAPE[1:])[1] > 20).astype(np.uint8))
    with pytest.raises(InputError, match="does it mark good pixels"):
        read_scan(ScanSource(path=tmp_path / "t.npz"))
    assert read_scan(ScanSource(path=tmp_path / "t.npz", mask_marks="bad")).mask[:, :20].all()


# --- frames that were never written


def bliss(path: Path, eta: NDArray[np.float64] = ETA, entry: str = "1.1") -> h5py.File:
    file = h5py.File(path, "w")
    for name, value in {"eta": eta, "phi": 3.0, "nu": 0.2, "delta": 35.0, "mononrj": 8.5}.items():
        file[f"{entry}/instrument/positioners/{name}"] = value
    file[f"{entry}/instrument/mpx1x4/distance"] = 0.85
    return file


def id01(path: Path, **options: object) -> ScanSource:
    return ScanSource(path=path, beamline="esrf_id01", scan=1, **options)


def test_chunks_never_written_are_unknown_and_said(tmp_path: Path) -> None:
    with bliss(tmp_path / "t.h5") as file:
        data = file.create_dataset("1.1/measurement/mpx1x4", SHAPE, "u4", chunks=(1, 20, 44))
        data[:30] = bell()[:30]
        data[31, :20] = bell()[31, :20]
    scan, warned = told(id01(tmp_path / "t.h5"))
    assert unknown(scan)[32:].all()
    assert unknown(scan)[31, 20:].all()
    assert not unknown(scan)[:30].any()
    assert not unknown(scan)[31, :20].any()
    assert any("frames 30, 32–39 were never written" in warning.text for warning in warned)
    assert "frames 30, 32–39 were never written" in repr(scan)


@pytest.mark.parametrize("fault", ["none", "one missing", "one short"])
def test_a_sample_files_virtual_frames_are_found_and_what_is_missing_is_unknown(fault: str, tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "s_0001" / "scan0001"
    folder.mkdir(parents=True)
    for k in range(2):
        with h5py.File(folder / f"mpx_{k}.h5", "w") as file:
            file["d"] = bell()[20 * k : 20 * k + (15 if fault == "one short" and k else 20)]
    if fault == "one missing":
        (folder / "mpx_1.h5").unlink()
    with bliss(tmp_path / "raw" / "s_0001" / "s_0001.h5") as file:
        layout = h5py.VirtualLayout(SHAPE, "u4")
        for k in range(2):
            layout[20 * k : 20 * k + 20] = h5py.VirtualSource(f"scan0001/mpx_{k}.h5", "d", (20, *SHAPE[1:]))
        file.create_virtual_dataset("1.1/measurement/mpx1x4", layout)
    with h5py.File(tmp_path / "raw" / "sample.h5", "w") as file:
        file["s_0001_1.1"] = h5py.ExternalLink("s_0001/s_0001.h5", "/1.1")
    scan, warned = told(id01(tmp_path / "raw" / "sample.h5"))
    lost = {"none": 0, "one missing": 20, "one short": 5}[fault]
    assert unknown(scan).all(axis=(1, 2)).sum() == lost
    assert bool(warned) == bool(lost)
    np.testing.assert_array_equal(scan.frames[~unknown(scan)], bell()[~unknown(scan)])


@pytest.mark.parametrize("missing", [False, True])
def test_an_eiger_master_brings_its_files_and_its_mask(missing: bool, tmp_path: Path) -> None:
    for k in range(4):
        with h5py.File(tmp_path / f"p_data_{k + 1:06d}.h5", "w") as file:
            file["entry/data/data"] = bell()[10 * k : 10 * k + 10]
    with h5py.File(tmp_path / "p_master.h5", "w") as file:
        for k in range(4):
            file[f"entry/data/data_{k + 1:06d}"] = h5py.ExternalLink(f"p_data_{k + 1:06d}.h5", "/entry/data/data")
        file["entry/instrument/detector/detectorSpecific/pixel_mask"] = BAD.astype(np.uint32)
    if missing:
        (tmp_path / "p_data_000002.h5").unlink()
    scan, warned = told(ScanSource(path=tmp_path / "p_master.h5"))
    assert scan.frames.shape == SHAPE
    np.testing.assert_array_equal(scan.mask, BAD == 0)
    assert unknown(scan)[10:20].all() == missing
    assert [warning.text for warning in warned if "data_000002" in warning.text] or not missing


def test_the_last_data_file_of_an_eiger_is_said_to_be_missing(tmp_path: Path) -> None:
    for k in range(3):
        with h5py.File(tmp_path / f"p_data_{k + 1:06d}.h5", "w") as file:
            file["entry/data/data"] = bell()[10 * k : 10 * k + 10]
    with h5py.File(tmp_path / "p_master.h5", "w") as file:
        for k in range(4):
            file[f"entry/data/data_{k + 1:06d}"] = h5py.ExternalLink(f"p_data_{k + 1:06d}.h5", "/entry/data/data")
    scan, warned = told(ScanSource(path=tmp_path / "p_master.h5"))
    assert len(scan.frames) == 30
    (said,) = [warning for warning in warned if "data_000004" in warning.text]
    assert said.bends


# --- containers


@pytest.mark.parametrize("kind", ["n1yx", "several", "npy.gz", "edf", "edf.gz", "edf stack"])
def test_volumes_of_many_kinds(kind: str, tmp_path: Path) -> None:
    if kind == "n1yx":
        with h5py.File(tmp_path / "t.h5", "w") as file:
            file["entry/data/data"] = bell()[:, None]
        path = tmp_path / "t.h5"
    elif kind == "several":
        path = tmp_path / "t.cxi"
        with h5py.File(path, "w") as file:
            file["entry_1/data_1/data"] = bell()
            file["entry_1/image_1/support"] = np.ones(SHAPE)
            file["entry_1/instrument_1/detector_2/data"] = np.ones((40, 8, 8))
    elif kind == "npy.gz":
        path = tmp_path / "t.npy.gz"
        with gzip.open(path, "wb") as stream:
            np.lib.format.write_array(stream, bell())
    else:
        path = tmp_path / ("t.edf.gz" if kind == "edf.gz" else "t.edf")
        image = fabio.edfimage.EdfImage(data=bell()[0])
        for frame in bell()[1:]:
            image.append_frame(data=frame)
        image.write(str(path))
    np.testing.assert_array_equal(read_scan(ScanSource(path=path)).frames, bell())


def test_the_frames_of_one_of_several_detectors_are_chosen_by_name(tmp_path: Path) -> None:
    with bliss(tmp_path / "t.h5") as file:
        file["1.1/measurement/other"] = np.ones((40, 8, 8))
        file["1.1/measurement/mpx1x4"] = bell()
    assert read_scan(id01(tmp_path / "t.h5")).frames.shape == SHAPE
    assert read_scan(id01(tmp_path / "t.h5", dataset="measurement/other")).frames.shape == (40, 8, 8)


@pytest.mark.parametrize(("n", "lost"), [(41, 0), (39, 1)])
def test_one_position_more_or_less_is_said(n: int, lost: int, tmp_path: Path) -> None:
    with bliss(tmp_path / "t.h5", np.linspace(17, 17 + 0.01 * (n - 1), n)) as file:
        file["1.1/measurement/mpx1x4"] = bell()
    scan, warned = told(id01(tmp_path / "t.h5"))
    assert any(f"has {n} positions for 40 frames" in warning.text for warning in warned)
    assert np.isnan(scan.motors_deg["eta"]).sum() == lost
    prepared = prepare(scan)
    assert prepared.grid is not None
    with bliss(tmp_path / "right.h5") as file:
        file["1.1/measurement/mpx1x4"] = bell()
    right = prepare(read_scan(id01(tmp_path / "right.h5")))
    assert right.grid is not None
    np.testing.assert_allclose(prepared.grid.basis, right.grid.basis, rtol=1e-3, atol=1e-9)


def test_positions_of_another_scan_are_refused_with_both_numbers(tmp_path: Path) -> None:
    with bliss(tmp_path / "t.h5", np.linspace(17, 18, 101)) as file:
        file["1.1/measurement/mpx1x4"] = bell()
    with pytest.raises(InputError, match="40 frames but 101 positions"):
        read_scan(id01(tmp_path / "t.h5"))


@pytest.mark.parametrize("kind", ["pages", "edf", "edf.gz", "from 5000"])
def test_frames_beside_a_spec_file(kind: str, tmp_path: Path) -> None:
    rows = "\n".join(f"{theta:.5f} 1 {int(frame.sum())}" for theta, frame in zip(ETA, bell(), strict=True))
    names = "th chi phi del gam cam en"
    (tmp_path / "x.spec").write_text(
        f"#F x\n#E 1\n#O0 {'  '.join(names.split())}\n#o0 {names}\n\n#S 3 ascan th\n#P0 17 90 0 30 12 500 9\n"
        f"#N 3\n#L th  Seconds  ImageTot\n{rows}\n"
    )
    folder = tmp_path / "x_S0003"
    folder.mkdir()
    if kind == "pages":
        tifffile.imwrite(folder / "x_S0003.tif", bell(), photometric="minisblack")
    for index, frame in enumerate(bell()) if kind != "pages" else ():
        if kind == "from 5000":
            tifffile.imwrite(folder / f"x_{index + 5000:05d}.tif", frame)
        else:
            fabio.edfimage.EdfImage(data=frame).write(str(folder / f"x_{index:05d}.{kind}"))
    for path in (folder, tmp_path):
        scan, warned = told(ScanSource(path=path, spec=tmp_path / "x.spec", beamline="aps34idc", scan=3))
        np.testing.assert_array_equal(scan.frames, bell())
        assert warned == []
        assert "scan 3" in repr(scan)


# --- what was read


def test_what_was_read_is_in_the_scans_repr_and_goes_on_to_the_pattern(tmp_path: Path) -> None:
    with bliss(tmp_path / "t.h5") as file:
        file["1.1/measurement/mpx1x4"] = bell()
    scan = read_scan(id01(tmp_path / "t.h5", distance_m=0.9))
    shown = repr(scan)
    for words in (
        "1.1/measurement/mpx1x4",
        "40 expected, 40 there",
        "recorded as 'mononrj'",
        "stated with 'distance_m'",
    ):
        assert words in shown
    names = [name for name, _ in prepare(scan).origin.facts]
    assert names[:3] == ["file", "frames", "mask"]
    assert {"unit", "angles", "energy", "distance"} <= set(names)


def test_a_monitor_that_falls_and_isnt_used_is_said(tmp_path: Path) -> None:
    with bliss(tmp_path / "t.h5") as file:
        file["1.1/measurement/mpx1x4"] = bell()
        file["1.1/measurement/mon"] = np.linspace(1e6, 4e5, SHAPE[0])
    assert any("'mon' changes by 60%" in text for text in read_scan(id01(tmp_path / "t.h5")).origin.warnings)
