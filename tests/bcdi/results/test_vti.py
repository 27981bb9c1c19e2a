import itertools
import sys

import numpy as np
import pytest
from scipy import ndimage

from friedel.bcdi.records import CrystalImage
from friedel.bcdi.results.save import save_crystal, save_reconstruction
from friedel.core.errors import InputError, MissingDependencyError

pyvista = pytest.importorskip("pyvista")


def test_x_runs_fastest_and_every_voxel_lies_where_it_should(finished, tmp_path):
    result = finished(geometry="square")
    result.object[...] = np.arange(result.object.size).reshape(result.object.shape) + 1
    grid = pyvista.read(save_reconstruction(result, tmp_path / "result.vti"))
    n_z, n_y, n_x = result.object.shape
    assert grid.dimensions == (n_x, n_y, n_z)
    size_z, size_y, size_x = np.linalg.norm(result.voxel_basis_angstrom, axis=1) / 10
    for z, y, x in itertools.product((0, 5, n_z - 1), (0, 7, n_y - 1), (0, 3, n_x - 1)):
        place = ((x - n_x // 2) * size_x, (y - n_y // 2) * size_y, (z - n_z // 2) * size_z)
        index = grid.find_closest_point(place)
        np.testing.assert_allclose(grid.points[index], place, atol=1e-3)
        assert grid.point_data["amplitude"][index] == result.amplitude[z, y, x]
        assert bool(grid.point_data["support"][index]) == result.support[z, y, x]
    assert "nanometres" in grid.field_data["frame"][0]


@pytest.mark.parametrize(
    ("geometry", "reason"), [("skewed", "not perpendicular"), (None, "geometry of the measurement is unknown")]
)
def test_a_grid_without_right_angles_is_in_voxels_and_says_so(finished, tmp_path, geometry, reason):
    grid = pyvista.read(save_reconstruction(finished(geometry=geometry), tmp_path / "result.vti"))
    assert grid.spacing == (1.0, 1.0, 1.0)
    assert reason in grid.field_data["frame"][0]


def test_a_crystal_is_in_nm_with_its_strain_and_spacing(tmp_path):
    shape = (3, 4, 5)
    numbers = np.arange(60, dtype=np.float32).reshape(shape)
    crystal = CrystalImage(
        object=(numbers + 1).astype(np.complex64),
        support=numbers > 9,
        isosurface_level=0.5,
        bulk_amplitude=2.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        displacement_angstrom=numbers,
        strain=np.where(numbers > 9, 1e-3 * numbers, np.nan).astype(np.float32),
        d_spacing_angstrom=numbers + 2,
        turns=numbers == 30,
        direction=np.array([0.0, 0.6, 0.8]),
    )
    grid = pyvista.read(save_crystal(crystal, tmp_path / "crystal.vti"))
    index = grid.find_closest_point((1 * 5.0, -2 * 5.0, 1 * 5.0))  # x, y, z of the voxel [2, 0, 3]
    assert grid.spacing == (5.0, 5.0, 5.0)
    assert grid.point_data["displacement_nm"][index] == pytest.approx(numbers[2, 0, 3] / 10)
    assert grid.point_data["strain"][index] == pytest.approx(1e-3 * numbers[2, 0, 3])
    assert grid.point_data["d_spacing_nm"][index] == pytest.approx((numbers[2, 0, 3] + 2) / 10)
    assert grid.point_data["amplitude"][index] == pytest.approx((numbers[2, 0, 3] + 1) / 2)
    known = np.isfinite(grid.point_data["strain"]).reshape(shape)
    np.testing.assert_array_equal(known, ndimage.binary_dilation(numbers > 9, np.ones((3, 3, 3))))
    assert np.flatnonzero(grid.point_data["turns"]).tolist() == [30]
    assert "laboratory" in grid.field_data["frame"][0]
    with pytest.raises(InputError, match=r"\.vti, got '\.cxi'"):
        save_crystal(crystal, tmp_path / "crystal.cxi")


def test_a_contour_of_the_amplitude_can_be_coloured_by_strain_everywhere(tmp_path):
    z, y, x = np.indices((14, 14, 14)) - 7.0
    inside = np.sqrt(z**2 + y**2 + x**2) < 4.5
    crystal = CrystalImage(
        object=np.exp(-((np.sqrt(z**2 + y**2 + x**2) / 4.9) ** 8)).astype(np.complex64),
        support=inside,
        isosurface_level=0.5,
        bulk_amplitude=1.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        strain=np.where(inside, 1e-4 * x, np.nan).astype(np.float32),
    )
    grid = pyvista.read(save_crystal(crystal, tmp_path / "crystal.vti"))
    surface = grid.contour([0.5], scalars="amplitude")
    assert surface.n_points > 100
    assert np.isfinite(surface.point_data["strain"]).all()
    assert np.corrcoef(surface.point_data["strain"], surface.points[:, 0])[0, 1] > 0.98


def test_without_pyvista_the_message_has_the_line_that_installs_it(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'friedel\[view\]'"):
        save_reconstruction(finished(), tmp_path / "result.vti")
    assert list(tmp_path.iterdir()) == []
