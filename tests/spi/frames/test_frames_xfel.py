"""European XFEL runs, as EXtra-data's own examples make them."""

import warnings

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.frames.source import open_frames

CAMERA = "SPB_IRU_CAM/CAM/SIDEMIC:daqOutput data.image.pixels"
MODULE = "SPB_DET_AGIPD1M-1/DET/0CH0:xtdf image.data"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    examples = pytest.importorskip("extra_data.tests.make_examples")
    folder = tmp_path_factory.mktemp("r0034")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        examples.make_spb_run(str(folder), sensor_size=(64, 48), format_version="1.2")
    return folder


def test_several_detectors_are_listed(run):
    with pytest.raises(InputError, match=r"0CH0:xtdf image\.data'; 'SPB_IRU_CAM.*pixels'; choose one with --dataset"):
        open_frames(run).__enter__()


def test_a_camera_is_read_by_its_source_and_key(run):
    with open_frames(run, dataset=CAMERA) as source:
        assert source.shape == (64, 64, 48)
        assert source.read(5, 12).shape == (7, 64, 48)


def test_a_detector_of_many_modules_asks_for_its_geometry(run):
    with pytest.raises(InputError, match="AGIPD1M-1 has 16 modules; name its CrystFEL geometry file"):
        open_frames(run, dataset=MODULE).__enter__()


def test_modules_are_put_together_by_their_geometry(run, tmp_path):
    geometry = pytest.importorskip("extra_geom").AGIPD_1MGeometry.example()
    geometry.write_crystfel_geom(str(tmp_path / "agipd.geom"), nquads=4)
    with open_frames(run, dataset=MODULE, geometry=tmp_path / "agipd.geom") as source:
        frames = source.read(62, 66)  # from two trains
    assert frames.shape == (4, *source.shape[1:])
    assert np.isfinite(frames).sum() == 4 * 16 * 512 * 128
    assert np.isnan(frames[:, 0, -1]).all()


def test_an_unknown_source_is_named(run):
    with pytest.raises(InputError, match=r"no data at 'NOWHERE image\.data'; sources with frames"):
        open_frames(run, dataset="NOWHERE image.data").__enter__()


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(InputError, match="not a folder of frames nor a European XFEL run"):
        open_frames(tmp_path).__enter__()


@pytest.fixture(scope="module")
def geometry(tmp_path_factory):
    path = tmp_path_factory.mktemp("geometry") / "agipd.geom"
    pytest.importorskip("extra_geom").AGIPD_1MGeometry.example().write_crystfel_geom(str(path), nquads=4)
    return path


def where_from(frame, module):
    """Return train and pulse of what a frame holds of a module; None if all of it is unknown."""
    held = frame[np.isfinite(frame)]
    own = held[np.isclose(np.mod(held, 1), module / 32)]
    return None if not len(own) else divmod(int(own[0]), 100)


def opened(folder, geometry, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_frames(folder, geometry=geometry, **more)


def expected(source):
    return [divmod(index, 3) for index in range(source.shape[0])]


def test_a_module_that_misses_a_train_is_unknown_there_and_no_frame_is_lost(tmp_path, geometry):
    runs = pytest.importorskip("xfel_runs")
    with opened(runs.write_agipd(tmp_path / "r", trains={7: 2}), geometry) as source:
        assert source.shape[0] == 9
        assert any("module 7" in note and "misses 3 of 9 frames" in note for note in source.notes)
        frames = source.read(4, 9)
        assert [where_from(frame, 3) for frame in frames] == expected(source)[4:]
        assert [where_from(frame, 7) for frame in frames] == [*expected(source)[4:6], *[None] * 3]


def test_a_module_without_a_file_is_unknown_and_named(tmp_path, geometry):
    runs = pytest.importorskip("xfel_runs")
    with opened(
        runs.write_agipd(tmp_path / "r", modules=[n for n in range(16) if n not in (7, 15)]), geometry
    ) as source:
        assert source.shape[0] == 9
        assert any("module 7, 15" in note and "has no data" in note for note in source.notes)
        frame = source.read(7, 8)[0]
        assert {where_from(frame, number) for number in range(16)} == {(2, 1), None}
        assert where_from(frame, 7) is None
        assert where_from(frame, 14) == (2, 1)


def test_frames_that_only_one_module_recorded_are_left_out_and_said(tmp_path, geometry):
    runs = pytest.importorskip("xfel_runs")
    with opened(runs.write_agipd(tmp_path / "r", pulses={11: 5}), geometry) as source:
        assert source.shape[0] == 9
        assert any("6 pulses that only module 11" in note for note in source.notes)
        for frame, wanted in zip(source.read(1, 8), expected(source)[1:8], strict=True):
            assert where_from(frame, 11) == where_from(frame, 0) == wanted


def test_the_runs_own_mask_hides_pixels(tmp_path, geometry):
    import h5py

    runs = pytest.importorskip("xfel_runs")
    folder = runs.write_agipd(tmp_path / "r")
    with h5py.File(folder / "CORR-R0034-AGIPD04-S00000.h5", "r+") as file:
        image = file["INSTRUMENT/SPB_DET_AGIPD1M-1/DET/4CH0:xtdf/image"]
        image["data"][:, 100:140] = 5000
        image["mask"][:, 100:140] = 1
    with opened(folder, geometry) as source:
        assert np.nanmax(source.read(0, 4)) < 5000
        assert "image.mask" in source.beside.mask
    with opened(folder, geometry, own_mask="none") as source:
        assert np.nanmax(source.read(0, 4)) == 5000


@pytest.mark.parametrize(
    ("device", "channel"),
    [("SPB_DET_AGIPD1M-1/CORR/{}CH0", "output")],
)
def test_names_of_corrected_devices_are_one_detectors_modules(device, channel, tmp_path, geometry):
    runs = pytest.importorskip("xfel_runs")
    with opened(runs.write_agipd(tmp_path / "r", device=device, channel=channel), geometry) as source:
        assert source.shape[0] == 9
        assert where_from(source.read(8, 9)[0], 15) == (2, 2)


def test_modules_without_a_geometry_are_refused_with_the_option_that_is_there(tmp_path):
    runs = pytest.importorskip("xfel_runs")
    with pytest.raises(InputError, match="name its CrystFEL geometry file with --geometry"):
        opened(runs.write_agipd(tmp_path / "r", modules=[0, 1, 2]), None).__enter__()


def test_corrected_data_beside_raw_ones_are_another_detectors(tmp_path, geometry):
    runs = pytest.importorskip("xfel_runs")
    runs.write_agipd(tmp_path / "r", device="SPB_DET_AGIPD1M-1/CORR/{}CH0", channel="output")
    runs.write_agipd(tmp_path / "r", raw=True)
    with pytest.raises(InputError, match=r"CORR/0CH0:output image\.data.*DET/0CH0:xtdf image\.data.*--dataset"):
        opened(tmp_path / "r", geometry).__enter__()
    with opened(tmp_path / "r", geometry, dataset="SPB_DET_AGIPD1M-1/CORR/0CH0:output image.data") as source:
        assert source.notes == ()
        assert [where_from(frame, 5) for frame in source.read(0, 9)] == expected(source)
    with opened(tmp_path / "r", geometry, dataset=MODULE) as source:
        assert "are raw" in " ".join(source.notes)
        assert np.nanmax(source.read(0, 1)) == 15  # the first image of each pair; the other is the gain's


def test_modules_that_miss_the_same_frames_are_named_together(tmp_path, geometry):
    runs = pytest.importorskip("xfel_runs")
    with opened(runs.write_agipd(tmp_path / "r", trains={3: 2, 4: 2, 9: 1}), geometry) as source:
        said = " ".join(source.notes)
    assert "modules 3–4 each miss 3 of 9 frames" in said
    assert "module 9 of SPB_DET_AGIPD1M-1 misses 6 of 9 frames" in said


def test_bad_regions_and_panels_of_a_geometry_are_unknown(tmp_path, geometry):
    import h5py

    from friedel.spi.frames.assembly import read_assembly

    whole = read_assembly(geometry, (16, 512, 128))
    regions = "bad_stop/min_x = -20\nbad_stop/max_x = 20\nbad_stop/min_y = -25\nbad_stop/max_y = 30\n"
    regions += "bad_asic/panel = p0a0\nbad_asic/min_fs = 0\nbad_asic/max_fs = 127\nbad_asic/min_ss = 0\n"
    path = tmp_path / "bad.geom"
    path.write_text(geometry.read_text() + regions + "bad_asic/max_ss = 9\np3a1/no_index = 1\n")
    found = read_assembly(path, (16, 512, 128))
    assert (found.shape, found.centre) == (whole.shape, whole.centre)
    hidden = whole.measured & ~found.measured
    rows, columns = np.indices(whole.shape)
    box = (abs(columns - whole.centre[1]) <= 20) & (rows - whole.centre[0] >= -25) & (rows - whole.centre[0] <= 30)
    assert hidden.sum() == 10 * 128 + 64 * 128 + (box & whole.measured).sum()
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        file["entry_1/data_1/data"] = np.ones((2, 16, 512, 128), np.float32)
    with open_frames(tmp_path / "run.cxi", geometry=path) as source:
        np.testing.assert_array_equal(source.mask, found.measured)
        assert not np.nansum(source.read(0, 1)[0][hidden])
