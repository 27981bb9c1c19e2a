import mrcfile
import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

from friedel.core.errors import InputError
from friedel.spi.density.compare import compare, read_reference
from friedel.spi.density.phase import Density


@pytest.fixture(scope="module")
def reference():
    rng, values = np.random.default_rng(2), np.zeros((48, 48, 48), np.float32)
    for place in rng.integers(15, 33, (20, 3)):
        values[tuple(place)] += rng.uniform(0.5, 1.5)
    return gaussian_filter(values, 1.6)


def as_density(reference, *, noise=0.0):
    """The reference turned, inverted, shifted, on a grid of twice its voxels."""
    turn = Rotation.from_rotvec([0.3, 1.0, -0.6]).as_matrix()
    matrix = -2.0 * turn
    offset = np.full(3, 23.5) - matrix @ np.array([12.4, 13.0, 11.3])
    values = affine_transform(reference, matrix, offset=offset, output_shape=(25, 25, 25), order=1)
    values = values + noise * values.max() * np.random.default_rng(0).normal(size=values.shape)
    return Density(
        density=values.astype(np.float32), support=values > 0, voxel=2.0, q=np.arange(3.0), prtf=np.ones(3),
        misfit=0.0, kept=1,
    )  # fmt: skip


def test_a_structure_is_found_turned_inverted_and_shifted(reference):
    found = compare(as_density(reference), reference, 1.0)
    assert found.correlation > 0.98
    assert found.fsc[:9].min() > 0.9
    assert found.q[1] == pytest.approx(1 / 50)
    assert found.q_resolved > 9 / 50
    assert compare(as_density(reference, noise=0.05), reference, 1.0).q_resolved < found.q_resolved


def test_another_structure_is_told_apart(reference):
    other = np.roll(reference, 7, axis=0) + np.roll(reference, -6, axis=2)
    assert compare(as_density(reference), other, 1.0).correlation < 0.85


def test_a_map_brings_its_voxels_and_wrong_units_are_refused(reference, tmp_path):
    with mrcfile.new(tmp_path / "map.mrc") as file:
        file.set_data(reference)
        file.voxel_size = 10.0
    values, voxel = read_reference(tmp_path / "map.mrc", angstrom=10.0)
    assert voxel == pytest.approx(1.0)
    np.testing.assert_array_equal(values, reference)
    with pytest.raises(InputError, match="unit of length"):
        compare(as_density(reference), values, 100.0)
    np.save(tmp_path / "map.npy", reference)
    with pytest.raises(InputError, match="how large"):
        read_reference(tmp_path / "map.npy")
