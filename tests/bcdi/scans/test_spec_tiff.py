"""34-ID-C's files, written by the package's own writer: what is read back, and what damage does."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friedel.bcdi.forward.scan import gold_111_geometry
from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.write import write_aps34idc_scan
from friedel.core.errors import InputError
from friedel.core.observer import Recorder, Warned

SHAPE = (24, 20, 18)


def made_scan(seed: int = 0) -> BraggScan:
    rng = np.random.default_rng(seed)
    geometry = gold_111_geometry(SHAPE)
    mask = np.ones(SHAPE[1:], bool)
    mask[3, 4] = False
    return BraggScan(
        frames=rng.poisson(30.0, SHAPE).astype(np.int32),
        mask=mask,
        beam=geometry.beam,
        detector=geometry.detector,
        diffractometer=geometry.diffractometer,
        motors_deg=geometry.motors_deg,
        flat=rng.uniform(0.8, 1.2, SHAPE[1:]).astype(np.float32),
    )


@pytest.fixture
def written(tmp_path: Path) -> ScanSource:
    return write_aps34idc_scan(tmp_path, made_scan(), number=54, sample="Gold")


def warnings_of(recorder: Recorder) -> str:
    return " | ".join(event.text for event in recorder.events if isinstance(event, Warned))


def frame(source: ScanSource, number: int) -> Path:
    return source.path / f"Gold_S0054_{number:05d}.tif"


def test_what_is_written_is_read_back(written: ScanSource) -> None:
    truth, scan = made_scan(), read_scan(written)
    np.testing.assert_array_equal(scan.frames, truth.frames)
    assert scan.frames.dtype == np.int32
    np.testing.assert_array_equal(scan.mask, truth.mask)
    assert scan.dark is None
    assert truth.flat is not None
    assert scan.flat is not None
    np.testing.assert_allclose(scan.flat / scan.flat.mean(), truth.flat / truth.flat.mean(), rtol=1e-5)
    for motor, angle in truth.motors_deg.items():
        np.testing.assert_allclose(scan.motors_deg[motor], angle, atol=1e-6)
    assert scan.beam is not None
    assert scan.beam.photon_energy_ev == pytest.approx(9000.0)
    assert scan.detector is not None
    assert scan.detector.distance_m == pytest.approx(0.5)
    assert scan.detector.direct_beam_yx == (9.5, 8.5)


def test_readings_asked_for_are_kept_and_absent_ones_named(written: ScanSource) -> None:
    kept = read_scan(written.model_copy(update={"record": ("gam", "Theta")})).readings
    scan = made_scan()
    assert kept["gam"] == pytest.approx(scan.motors_deg["gam"])
    assert kept["Theta"] == pytest.approx(np.mean(scan.motors_deg["th"]))
    assert read_scan(written).readings == {}
    with pytest.raises(InputError, match=r"doesn't record 'oven'; it records .*Gamma"):
        read_scan(written.model_copy(update={"record": ("oven",)}))


def test_the_frames_folder_is_found_from_above(written: ScanSource) -> None:
    above = written.model_copy(update={"path": written.path.parent})
    assert read_scan(above).frames.shape == SHAPE


def test_a_second_writing_replaces_the_first(tmp_path: Path) -> None:
    write_aps34idc_scan(tmp_path, made_scan(0))
    short = made_scan(1)
    theta = np.asarray(short.motors_deg["th"])[:20]
    motors = {**short.motors_deg, "th": theta}
    shorter = BraggScan(
        frames=short.frames[:20], mask=short.mask, beam=short.beam, detector=short.detector,
        diffractometer=short.diffractometer, motors_deg=motors,
    )  # fmt: skip
    scan = read_scan(write_aps34idc_scan(tmp_path, shorter))
    np.testing.assert_array_equal(scan.frames, short.frames[:20])


def test_the_direct_beam_counts_on_the_full_chip(written: ScanSource) -> None:
    source = written.model_copy(update={"direct_beam_yx": (260.0, 255.0), "dark": None, "flat": None})
    scan = read_scan(source.model_copy(update={"region": (100, 120, 200, 218)}))
    assert scan.detector is not None
    assert scan.detector.direct_beam_yx == (160.0, 55.0)


def test_a_window_is_read_alone(written: ScanSource) -> None:
    scan = read_scan(written.model_copy(update={"window": (2, 18, 1, 17)}))
    np.testing.assert_array_equal(scan.frames, made_scan().frames[:, 2:18, 1:17])
    np.testing.assert_array_equal(scan.mask, made_scan().mask[2:18, 1:17])
    assert scan.detector is not None
    assert scan.detector.direct_beam_yx == (7.5, 7.5)


def test_one_missing_frame_is_unknown_and_said(written: ScanSource) -> None:
    frame(written, 7).unlink()
    recorder = Recorder()
    scan = read_scan(written, observer=recorder)
    assert "frames 7 are missing" in warnings_of(recorder)
    assert np.isnan(scan.frames[7].astype(float)).all()
    np.testing.assert_array_equal(scan.frames[8], made_scan().frames[8])


def test_many_missing_frames_are_an_error(written: ScanSource) -> None:
    for number in (7, 9, 11):
        frame(written, number).unlink()
    with pytest.raises(InputError, match=r"3 of 24 frames are missing \(numbers 7, 9, 11\)"):
        read_scan(written)


def test_an_interrupted_scan_keeps_what_both_files_have(written: ScanSource) -> None:
    for number in range(20, 24):
        frame(written, number).unlink()
    recorder = Recorder()
    scan = read_scan(written, observer=recorder)
    assert scan.frames.shape[0] == 20
    assert np.asarray(scan.motors_deg["th"]).size == 20
    assert "20 frames but 24 SPEC points" in warnings_of(recorder)


def test_frames_of_another_scan_are_refused(written: ScanSource, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for number in range(24):
        tifffile.imwrite(frame(written, number), rng.poisson(60.0, SHAPE[1:]).astype(np.int32))
    with pytest.raises(InputError, match="belong to another scan"):
        read_scan(written)


def test_one_frame_with_another_sum_is_said(written: ScanSource) -> None:
    tifffile.imwrite(frame(written, 3), np.full(SHAPE[1:], 90, np.int32))
    recorder = Recorder()
    read_scan(written, observer=recorder)
    assert "frames 3 don't have the sum" in warnings_of(recorder)


def _truncate(source: ScanSource) -> Path:
    path = frame(source, 5)
    path.write_bytes(path.read_bytes()[:700])
    return path


def _empty(source: ScanSource) -> Path:
    frame(source, 0).write_bytes(b"")
    return frame(source, 0)


def _other_shape(source: ScanSource) -> Path:
    tifffile.imwrite(frame(source, 9), np.zeros((5, 5), np.int32))
    return frame(source, 9)


def _no_points(source: ScanSource) -> Path:
    assert source.spec is not None
    text = source.spec.read_text()
    source.spec.write_text(text[: text.index("#L")])
    return source.spec


def _no_motors(source: ScanSource) -> Path:
    assert source.spec is not None
    source.spec.write_text("\n".join(line for line in source.spec.read_text().split("\n") if not line.startswith("#P")))
    return Path("'chi'")


def _small_dark(source: ScanSource) -> Path:
    assert source.dark is not None
    tifffile.imwrite(source.dark, np.zeros((10, 10), np.int32))
    return source.dark


@pytest.mark.parametrize("damage", [_truncate, _empty, _other_shape, _no_points, _no_motors, _small_dark])
def test_damage_is_one_error_that_names_the_file(written: ScanSource, damage: Callable[[ScanSource], Path]) -> None:
    named = damage(written)
    with pytest.raises(InputError) as caught:
        read_scan(written)
    assert named.name in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scan": 99}, "has no scan 99; it holds 54"),
        ({"spec": None}, "name it with the option 'spec'"),
        ({"spec": Path("nowhere.spec")}, "no such file"),
        ({"path": Path("nowhere")}, "no such folder"),
        ({"energy_ev": 9.0}, "photon energy 9 eV can't be true"),
        ({"distance_m": 500.0}, "detector distance 500 m can't be true"),
        ({"beamline": None}, "for a folder of frames name the beamline"),
    ],
)
def test_wrong_options_are_one_error(written: ScanSource, change: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_scan(written.model_copy(update=change))


def outcome(source: ScanSource) -> BraggScan | str:
    try:
        return read_scan(source)
    except InputError as error:
        return str(error)


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 4000), junk=st.binary(max_size=40), which=st.sampled_from(["frame", "spec", "dark"]))
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes, which: str
) -> None:
    source = write_aps34idc_scan(tmp_path_factory.mktemp("damaged"), made_scan(), sample="Gold")
    path = {"frame": frame(source, 2), "spec": source.spec, "dark": source.dark}[which]
    assert path is not None
    content = path.read_bytes()
    path.write_bytes(content[:cut] + junk + content[cut + len(junk) :] if cut % 2 else content[:cut] + junk)
    found = outcome(source)
    assert len(found) > 20 if isinstance(found, str) else found.frames.shape[1:] == SHAPE[1:]
    shutil.rmtree(source.path.parent)


@pytest.mark.parametrize(
    ("frames", "said"),
    [(np.full(SHAPE, 0.5), "hold fractions"), (np.zeros((3, 600, 20)), "don't fit the chip")],
)
def test_the_writer_refuses_what_no_detector_writes(tmp_path: Path, frames: NDArray[np.float64], said: str) -> None:
    with pytest.raises(InputError, match=said):
        write_aps34idc_scan(tmp_path, BraggScan(frames=frames, mask=np.ones(frames.shape[1:], bool)))


def test_the_writer_needs_the_geometry(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks th, chi, phi, del, gam"):
        write_aps34idc_scan(tmp_path, BraggScan(frames=np.zeros(SHAPE), mask=np.ones(SHAPE[1:], bool)))
