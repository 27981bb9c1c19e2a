import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tiny_particle import intensity_at, tiny_data

from friedel.core.fourier import inverse_real_fourier_corner, real_fourier_corner
from friedel.spi.orient.symmetry import Symmetry, largest, symmetries
from friedel.spi.orient.views import symmetry_group
from friedel.spi.orient.volume import friedel_mean, radii, speckle_spectrum, spherical_mean


def halves(name, noise=0.3):
    """Two noisy relative intensities of a particle with a point group, its axes turned away from the grid's."""
    group = None if name == "C1" else symmetry_group(name)
    data, axis = tiny_data(1, n_frames=2, group=group), np.arange(35) - 17
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    q = np.stack([x, y, z], axis=-1) @ Rotation.from_rotvec([0.4, 1.0, -0.3]).as_matrix().T
    values = torch.from_numpy(intensity_at(q, data.places, data.weights).astype(np.float32))
    shell = radii(35).round().long()
    values = values / spherical_mean(values, torch.ones_like(values), shell)[shell]
    generator, root = torch.Generator().manual_seed(0), speckle_spectrum(35, 10.0).sqrt()
    for _ in range(2):
        error = friedel_mean(torch.randn(values.shape, generator=generator))
        error = inverse_real_fourier_corner(real_fourier_corner(error) * root, error.shape)
        yield values + noise * error / error.std()


@pytest.mark.parametrize(("name", "expected"), [("D2", "D2"), ("T", "T"), ("C1", None)])
def test_the_largest_group_that_is_there_is_found(name, expected):
    found = symmetries(*halves(name), q_min=3, q_max=14, groups=("C2", "D2", "T"))
    there = largest(found)
    assert (there and there.group) == expected
    if there:
        assert there.share > 0.85
        assert "is there" in there.sentence
        operation = there.place @ symmetry_group(name)[1] @ there.place.T
        np.testing.assert_allclose(operation @ operation.T, np.eye(3), atol=1e-9)


def test_halves_that_do_not_agree_decide_nothing():
    one = Symmetry(group="C2", halves=0.3, turned=0.29, chance=0.25, place=np.eye(3))
    assert one.verdict == "undecided"
