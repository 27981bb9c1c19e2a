"""BLISS and NeXus files from a fake facility: compressed, linked, virtual, damaged."""

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.beamline import SHIPPED
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned

SHAPE = (20, 24, 22)
ETA = np.linspace(17.0, 17.19, SHAPE[0])


def counts() -> np.ndarray:
    return np.random.default_rng(1).poisson(3.0, SHAPE).astype(np.uint16)


def write_bliss(path: Path, *, entry: str = "12.1", linked: bool = False) -> None:
    """Write one scan as BLISS does: frames compressed, motors in positioners, the scanned one with all its values."""
    with h5py.File(path, "w") as file:
        scan = file.create_group(entry)
        where = "instrument/mpx1x4/data" if linked else "measurement/mpx1x4"
        scan.create_dataset(where, data=counts(), chunks=(1, *SHAPE[1:]), **hdf5plugin.Bitshuffle(cname="lz4"))
        if linked:
            scan["measurement/mpx1x4"] = h5py.SoftLink(f"/{entry}/{where}")
        scan["instrument/mpx1x4/distance"] = 0.83
        positioners = scan.create_group("instrument/positioners")
        for name, value in {"phi": 0.5, "nu": 1.0, "delta": 35.0, "mononrj": 9.0}.items():
            positioners[name] = value
        positioners["eta"] = ETA
        scan["measurement/eta"] = ETA
        file.create_group("13.1/measurement")


@pytest.fixture
def bliss(tmp_path: Path) -> ScanSource:
    write_bliss(tmp_path / "sample.h5")
    return ScanSource(path=tmp_path / "sample.h5", beamline="esrf_id01", scan=12)


def check(source: ScanSource) -> None:
    scan = read_scan(source)
    np.testing.assert_array_equal(scan.frames, counts())
    assert scan.frames.dtype == np.uint16
    np.testing.assert_allclose(scan.motors_deg["eta"], ETA)
    assert scan.motors_deg["delta"] == 35.0
    assert scan.beam is not None
    assert scan.beam.photon_energy_ev == pytest.approx(9000.0)
    assert scan.detector is not None
    assert scan.detector.distance_m == pytest.approx(0.83)


def test_bitshuffle_frames_and_positioners_are_read(bliss: ScanSource) -> None:
    check(bliss)


def test_frames_behind_a_link_are_read(tmp_path: Path) -> None:
    write_bliss(tmp_path / "linked.h5", linked=True)
    check(ScanSource(path=tmp_path / "linked.h5", beamline="esrf_id01", scan=12))


def test_an_entry_named_after_the_sample_is_found(tmp_path: Path) -> None:
    write_bliss(tmp_path / "named.h5", entry="gold_0001_12.1")
    check(ScanSource(path=tmp_path / "named.h5", beamline="esrf_id01", scan=12))


def test_trembling_encoders_are_not_a_second_moving_circle(tmp_path: Path) -> None:
    write_bliss(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["12.1/instrument/positioners/phi"]
        file["12.1/instrument/positioners/phi"] = 0.5 + 1e-4 * np.random.default_rng(0).normal(size=SHAPE[0])
    scan = read_scan(ScanSource(path=tmp_path / "a.h5", beamline="esrf_id01", scan=12))
    assert np.ndim(scan.motors_deg["phi"]) == 0
    assert scan.motors_deg["phi"] == pytest.approx(0.5, abs=1e-3)


def test_one_file_a_scan_with_motors_in_snapshots(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "000123.h5", "w") as file:
        file.create_dataset("entry/measurement/merlin/frames", data=counts(), **hdf5plugin.LZ4())
        file["entry/measurement/gontheta"] = ETA
        for name, value in {"gontheta": 17.0, "gonphi": 0.1, "gamma": 0.0, "delta": 33.0, "energy": 8500.0}.items():
            file[f"entry/snapshots/post_scan/{name}"] = [value]
    source = ScanSource(path=tmp_path / "000123.h5", beamline="maxiv_nanomax", distance_m=1.0)
    scan = read_scan(source)
    np.testing.assert_array_equal(scan.frames, counts())
    np.testing.assert_allclose(scan.motors_deg["gontheta"], ETA)
    with pytest.raises(InputError, match="state it with the option 'distance_m'"):
        read_scan(source.model_copy(update={"distance_m": None}))


def test_sign_offset_and_other_names_come_from_the_description(bliss: ScanSource, tmp_path: Path) -> None:
    values = yaml.safe_load((SHIPPED / "esrf_id01.yaml").read_text())
    values["sample_circles"][2] = {"motor": "phi", "axis": "y-", "sign": -1, "offset_deg": 90.0}
    values["detector_circles"][0] = {"motor": "nowhere", "axis": "y-", "names": ["nu"]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    scan = read_scan(bliss.model_copy(update={"beamline": str(tmp_path / "mine.yaml")}))
    assert scan.motors_deg["phi"] == pytest.approx(89.5)
    assert scan.motors_deg["nowhere"] == 1.0


def test_virtual_frames_whose_files_are_missing_are_refused(tmp_path: Path) -> None:
    write_bliss(tmp_path / "v.h5")
    layout = h5py.VirtualLayout(SHAPE, np.uint16)
    layout[:] = h5py.VirtualSource("scan0012/mpx_0000.h5", "data", SHAPE)
    with h5py.File(tmp_path / "v.h5", "a") as file:
        del file["12.1/measurement/mpx1x4"]
        file.create_virtual_dataset("12.1/measurement/mpx1x4", layout)
    with pytest.raises(InputError, match=r"mpx_0000\.h5, which is missing"):
        read_scan(ScanSource(path=tmp_path / "v.h5", beamline="esrf_id01", scan=12))


def test_a_scan_never_written_is_refused(tmp_path: Path) -> None:
    write_bliss(tmp_path / "e.h5")
    with h5py.File(tmp_path / "e.h5", "a") as file:
        del file["12.1/measurement/mpx1x4"]
        file.create_dataset("12.1/measurement/mpx1x4", SHAPE, np.uint16, chunks=(1, *SHAPE[1:]))
    with pytest.raises(InputError, match="was never written"):
        read_scan(ScanSource(path=tmp_path / "e.h5", beamline="esrf_id01", scan=12))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def _drop(name: str) -> Callable[[Path], None]:
    def drop(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[name]

    return drop


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncate, "truncated or damaged"),
        (_drop("12.1/measurement/mpx1x4"), "has no frames at"),
        (_drop("12.1/instrument/positioners/phi"), "doesn't record motor 'phi'.*it records .*delta"),
        (_drop("12.1/instrument/positioners/mononrj"), "photon energy is not recorded"),
        (_drop("12.1"), "no entry '12.1'"),
    ],
)
def test_damage_is_one_error_that_says_what_to_do(bliss: ScanSource, damage: Callable[[Path], None], said: str) -> None:
    damage(bliss.path)
    with pytest.raises(InputError, match=said):
        read_scan(bliss)


def test_a_file_of_several_scans_asks_which(bliss: ScanSource) -> None:
    with pytest.raises(InputError, match=r"12\.1, 13\.1; choose one with the option 'scan'"):
        read_scan(bliss.model_copy(update={"scan": None}))


def outcome(source: ScanSource) -> BraggScan | str:
    try:
        return read_scan(source)
    except InputError as error:
        return str(error)


@settings(max_examples=20, deadline=None)
@given(place=st.floats(0, 1), junk=st.binary(min_size=1, max_size=60))
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, place: float, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "d.h5"
    write_bliss(path)
    content = bytearray(path.read_bytes())
    start = int(place * (len(content) - len(junk)))
    content[start : start + len(junk)] = junk
    path.write_bytes(bytes(content))
    found = outcome(ScanSource(path=path, beamline="esrf_id01", scan=12))
    assert path.name in found if isinstance(found, str) else found.frames.ndim == 3


def changed_file(path: Path, change: Callable[[h5py.Group], None]) -> ScanSource:
    write_bliss(path)
    with h5py.File(path, "a") as file:
        change(file["12.1"])
    return ScanSource(path=path, beamline="esrf_id01", scan=12)


def replace_at(group: h5py.Group, name: str, value: object, units: str) -> None:
    del group[name]
    group[name] = value
    group[name].attrs["units"] = units


@pytest.mark.parametrize(
    ("name", "value", "units"),
    [
        ("instrument/positioners/delta", np.deg2rad(35.0), "rad"), ("instrument/positioners/delta", 35e3, "mdeg"),
        ("instrument/positioners/eta", np.deg2rad(ETA) * 1e3, "mrad"), ("instrument/positioners/mononrj", 9000.0, "eV"),
        ("instrument/mpx1x4/distance", 83.0, "cm"), ("instrument/mpx1x4/distance", 830.0, "mm"),
        ("instrument/positioners/delta", 35.0, "counts"),
    ],
)  # fmt: skip
def test_a_recorded_unit_goes_before_the_descriptions(tmp_path: Path, name: str, value: object, units: str) -> None:
    def change(entry: h5py.Group) -> None:
        replace_at(entry, name, value, units)
        if name.endswith("eta"):
            del entry["measurement/eta"]

    scan = read_scan(changed_file(tmp_path / "a.h5", change))
    assert scan.motors_deg["delta"] == pytest.approx(35.0)
    np.testing.assert_allclose(scan.motors_deg["eta"], ETA)
    assert scan.beam is not None
    assert scan.beam.photon_energy_ev == pytest.approx(9000.0)
    assert scan.detector is not None
    assert scan.detector.distance_m == pytest.approx(0.83)


def test_a_distance_in_another_unit_without_a_word_is_refused(tmp_path: Path) -> None:
    source = changed_file(tmp_path / "a.h5", lambda e: replace_at(e, "instrument/mpx1x4/distance", 83.0, ""))
    with pytest.raises(InputError, match="detector distance 83 m can't be true"):
        read_scan(source)


@pytest.mark.parametrize(("pitch", "units"), [(75e-6, "m"), (75.0, "um"), (0.075, "mm"), (75.0, "")])
def test_the_recorded_pixel_size_is_used_and_a_contradiction_said(tmp_path: Path, pitch: float, units: str) -> None:
    def change(entry: h5py.Group) -> None:
        for name in ("x_pixel_size", "y_pixel_size"):
            entry[f"instrument/mpx1x4/{name}"] = pitch
            entry[f"instrument/mpx1x4/{name}"].attrs["units"] = units

    source = changed_file(tmp_path / "a.h5", change)
    scan = read_scan(source)
    assert scan.detector is not None
    assert scan.detector.pixel_size_m == pytest.approx((75e-6, 75e-6))
    assert "55 × 55 µm" in repr(scan)
    stated = read_scan(source.model_copy(update={"pixel_size_m": (55e-6, 55e-6)}))
    assert stated.detector is not None
    assert stated.detector.pixel_size_m == (55e-6, 55e-6)


def test_an_eigers_pixels_are_known_by_its_frames(tmp_path: Path) -> None:
    def change(entry: h5py.Group) -> None:
        entry.move("measurement/mpx1x4", "measurement/eiger2M")

    scan = read_scan(changed_file(tmp_path / "a.h5", change))
    assert scan.detector is not None
    assert scan.detector.pixel_size_m == (75e-6, 75e-6)


def test_a_mask_of_another_shape_is_said(tmp_path: Path) -> None:
    def change(entry: h5py.Group) -> None:
        entry["instrument/mpx1x4/pixel_mask"] = np.zeros((SHAPE[2], SHAPE[1]), np.uint8)

    assert "doesn't fit its frames" in repr(read_scan(changed_file(tmp_path / "a.h5", change)))


def test_a_motor_that_stands_at_two_places_is_counted_against_the_result(tmp_path: Path) -> None:
    def change(entry: h5py.Group) -> None:
        entry["instrument/positioners_start/delta"] = 35.5
        entry["instrument/positioners_start/phi"] = 0.5000001

    scan = read_scan(changed_file(tmp_path / "a.h5", change))
    assert scan.origin.warnings == ("delta stands at 35 and at 35.5 deg in the file; the first is used",)


def test_frames_in_several_entries_ask_for_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.cxi", "w") as file:
        for number in (1, 2):
            file[f"entry_{number}/data_1/data"] = counts()
    with pytest.raises(InputError, match="frames in 2 entries"):
        read_scan(ScanSource(path=tmp_path / "a.cxi"))
    chosen = read_scan(ScanSource(path=tmp_path / "a.cxi", dataset="entry_2/data_1/data"))
    np.testing.assert_array_equal(chosen.frames, counts())


def test_a_mask_named_in_the_data_s_file_is_used_and_an_absent_one_refused(bliss: ScanSource) -> None:
    bad = np.zeros(SHAPE[1:], np.int32)
    bad[3] = 1
    with h5py.File(bliss.path, "a") as file:
        file["calibration/pixels"] = bad
    scan = read_scan(bliss.model_copy(update={"mask_dataset": "calibration/pixels"}))
    np.testing.assert_array_equal(scan.mask, bad == 0)
    with pytest.raises(InputError, match=r"no dataset 'calibration/pxels'"):
        read_scan(bliss.model_copy(update={"mask_dataset": "calibration/pxels"}))


@pytest.mark.parametrize(("n", "said"), [(0, "isn't in the files"), (13, "has 13 readings for 20 frames")])
def test_a_monitor_that_cannot_be_used_is_said(n: int, said: str, bliss: ScanSource, tmp_path: Path) -> None:
    shipped = yaml.safe_load((SHIPPED / "esrf_id01.yaml").read_text())
    shipped["layout"]["monitor"] = "measurement/mon"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(shipped))
    if n:
        with h5py.File(bliss.path, "a") as file:
            file["12.1/measurement/mon"] = np.full(n, 1e5)
    heard = Recorder()
    scan = read_scan(bliss.model_copy(update={"beamline": str(tmp_path / "mine.yaml")}), observer=heard)
    assert scan.monitor is None
    assert any(said in event.text for event in heard.events if isinstance(event, Warned))
