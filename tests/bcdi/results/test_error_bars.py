"""Error bars in files: what is written comes back, other programs find it, and older files still open."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from friedel.bcdi.records import CrystalErrors, CrystalImage, Reconstruction, Uncertainty
from friedel.bcdi.results.save import load_reconstruction, save_crystal, save_quality, save_reconstruction


@pytest.fixture
def uncertain(finished) -> Reconstruction:
    result = finished()
    rng = np.random.default_rng(1)
    shape = (3, int(result.support.sum()))
    maps = np.where(result.support, rng.random(result.support.shape), np.nan).astype(np.float32)
    errors = Uncertainty(
        deviations=(rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64),
        origins=("photons", "photons", "solutions"),
        phase_rad=maps,
        amplitude=maps / 2,
        phase_rms_rad=0.07,
        photons_rad=0.05,
        solutions_rad=0.049,
        misfit=1.02,
        diameter_voxels=9.5,
        diameter_error_voxels=float("nan"),
        n_solutions=1,
    )
    return replace(result, uncertainty=errors)


@pytest.mark.parametrize("suffix", [".cxi", ".npz"])
def test_error_bars_come_back_from_a_file(uncertain, tmp_path, suffix: str):
    kept = load_reconstruction(save_reconstruction(uncertain, tmp_path / f"result{suffix}")).uncertainty
    wanted = uncertain.uncertainty
    for name in ("deviations", "phase_rad", "amplitude"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(wanted, name))
    assert kept.figures() == wanted.figures()
    assert np.isnan(kept.diameter_error_voxels)


@pytest.mark.parametrize("suffix", [".cxi", ".npz"])
def test_results_without_error_bars_come_back_without(finished, tmp_path, suffix: str):
    assert load_reconstruction(save_reconstruction(finished(), tmp_path / f"result{suffix}")).uncertainty is None


def test_a_crystals_errors_stand_beside_what_they_belong_to(uncertain, tmp_path):
    shape = uncertain.object.shape
    values = np.full(shape, 3.0, dtype=np.float32)
    crystal = CrystalImage(
        object=uncertain.object,
        support=uncertain.support,
        isosurface_level=0.5,
        bulk_amplitude=1.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        displacement_angstrom=values,
        strain=values,
        errors=CrystalErrors(
            phase_rad=values,
            displacement_angstrom=values,
            strain=values,
            d0_angstrom=1e-3,
            strain_rms=1e-5,
            diameter=500.0,
            diameter_error=5.0,
        ),
    )
    with h5py.File(save_reconstruction(uncertain, tmp_path / "result.cxi", crystal=crystal)) as file:
        image = file["entry_1/image_2"]
        assert image["displacement_error"][0, 0, 0] == pytest.approx(3e-10)
        assert image["displacement_error"].attrs["units"] == "m"
        assert image["strain_error"][0, 0, 0] == 3.0
        assert image["diameter_error"][()] == pytest.approx(5e-10)
        assert file["entry_1/image_1/phase_error"].attrs["units"] == "rad"
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.read(save_crystal(crystal, tmp_path / "crystal.vti"))
    assert grid.point_data["displacement_error_nm"][0] == pytest.approx(0.3)
    assert {"phase_error", "strain_error"} <= set(grid.point_data.keys())


def test_the_figures_are_in_the_json(uncertain, tmp_path):
    text = save_quality(uncertain, tmp_path / "quality.json").read_text(encoding="utf-8")
    figures = json.loads(text)["uncertainty"]
    assert figures["phase_rms_rad"] == 0.07
    assert figures["diameter_error_voxels"] is None
