import h5py
import numpy as np
import pytest
from tiny_particle import EWALD, tiny_detector

from friedel.core.errors import InputError, PlanError
from friedel.spi.classify.photons import write_detector_file
from friedel.spi.density.phase import Density
from friedel.spi.frames.dragonfly import read_output
from friedel.spi.merge.files import write_cxi
from friedel.spi.merge.inputs import bent, detector_for, settings_of
from friedel.spi.merge.plan import MergePlan

CONFIG = """
[parameters]
detd = 200
[make_detector]
out_detector_file = data/det_sim.dat
[make_data]
out_photons_file = data/photons.emc
[emc]
in_photons_file = make_data:::out_photons_file
in_detector_file = make_detector:::out_detector_file
num_div = 6
need_scaling = 1
output_folder = data/
sym_icosahedral = 1
beta_schedule = 1.414 10
num_modes = 2
num_nonrot_modes = 1
"""


def test_a_config_of_dragonfly_is_a_plan(tmp_path):
    (tmp_path / "config.ini").write_text(CONFIG)
    settings, unneeded = settings_of(tmp_path / "config.ini")
    plan = MergePlan.read(settings)
    assert plan.frames == (tmp_path / "data/photons.emc",)
    assert plan.detector == tmp_path / "data/det_sim.dat"
    assert plan.symmetry == "I"
    assert (plan.models, plan.non_rotating) == (2, 1)
    assert set(unneeded) == {"num_div", "need_scaling", "beta_schedule"}


def test_a_config_may_name_a_list_of_files(tmp_path):
    (tmp_path / "config.ini").write_text("[emc]\nin_photons_list = list.txt\n")
    (tmp_path / "list.txt").write_text("a.emc\nb.emc\n\n")
    assert settings_of(tmp_path / "config.ini")[0]["frames"] == [tmp_path / "a.emc", tmp_path / "b.emc"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[emc]\nin_photons_file = make_data:::out_photons_file\n", "leads nowhere"),
        ("[emc]\nin_photons_file = emc:::in_photons_file\n", "circle"),
        ("[parameters]\ndetd = 1\n", "no section"),
        ("detd = 1\n", "not a config"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(tmp_path, text, said):
    (tmp_path / "config.ini").write_text(text)
    with pytest.raises(PlanError, match=said):
        settings_of(tmp_path / "config.ini")


def test_a_selections_detector_is_found_and_bent(tmp_path):
    write_detector_file(tmp_path / "selection_detector.h5", np.zeros((33, 33), bool), (16.0, 16.0))
    flat = detector_for(tmp_path / "selection.emc", None, distance=None, polarisation=None)
    assert np.ptp(flat.q[:, 2]) == 0
    curved = detector_for(tmp_path / "selection.emc", None, distance=EWALD, polarisation="x")
    np.testing.assert_allclose(curved.q, tiny_detector().q, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(curved.q + np.array([0, 0, EWALD]), axis=1), EWALD)
    corner = curved.correction[0]
    away = 16**2 / (2 * 16**2 + EWALD**2)
    assert corner == pytest.approx((EWALD**2 / (2 * 16**2 + EWALD**2)) ** 1.5 * (1 - away))
    with pytest.raises(InputError, match="already"):
        bent(curved, EWALD)
    with pytest.raises(PlanError, match="there is no other_detector"):
        detector_for(tmp_path / "other.emc", None, distance=None, polarisation=None)


def test_an_output_of_dragonfly_reads(tmp_path):
    with h5py.File(tmp_path / "output_010.h5", "w") as file:
        file["intens"] = np.arange(2 * 27.0).reshape(2, 3, 3, 3)
        file["inter_weight"] = np.ones((2, 3, 3, 3))
        file["orientations"], file["scale"] = np.arange(5), np.ones(5)
    found = read_output(tmp_path / "output_010.h5")
    assert found.intensity.shape == found.weight.shape == (2, 3, 3, 3)
    assert found.orientations.tolist() == list(range(5))
    assert found.likelihood is None
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 1
    with pytest.raises(InputError, match="intens"):
        read_output(tmp_path / "other.h5")


def test_a_density_as_cxi(tmp_path):
    density = np.random.default_rng(0).random((5, 5, 5)).astype(np.float32)
    shells = np.arange(3.0)
    given = Density(
        density=density, support=density > 0.5, voxel=2.0, q=shells, prtf=np.ones(3), misfit=0.1, kept=3
    )  # fmt: skip
    write_cxi(tmp_path / "d.cxi", given)
    with h5py.File(tmp_path / "d.cxi") as file:
        image = file["entry_1/image_1"]
        np.testing.assert_array_equal(image["data"][()], density)
        np.testing.assert_array_equal(image["mask"][()] > 0, density > 0.5)
        assert image["image_size"][()].tolist() == [10.0] * 3
        assert file["cxi_version"][()] == 160
