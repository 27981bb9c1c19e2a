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
