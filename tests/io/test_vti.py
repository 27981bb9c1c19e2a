import builtins
import itertools

import numpy as np
import pytest

from friedel.base.errors import MissingDependencyError
from friedel.io.results import save_reconstruction

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


def test_without_pyvista_the_message_has_the_line_that_installs_it(finished, tmp_path, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "pyvista":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingDependencyError, match=r"pip install 'friedel\[view\]'"):
        save_reconstruction(finished(), tmp_path / "result.vti")
    assert list(tmp_path.iterdir()) == []
