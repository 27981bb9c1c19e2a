"""Particles of lumps: in their box, drawn by their seed, and symmetric where they should be."""

import numpy as np
import pytest
from scipy import ndimage

from friedel.core.errors import InputError
from friedel.spi.particles.assemblies import ASSEMBLIES, assembly
from friedel.spi.particles.particle import PARTICLES, largest_diameter


@pytest.mark.parametrize("name", ASSEMBLIES)
def test_every_assembly_fills_its_box_as_particles_do(name: str) -> None:
    assert name not in PARTICLES
    for seed in range(3):
        made = assembly(name, rng=np.random.default_rng(seed), n=48)
        again = assembly(name, rng=np.random.default_rng(seed), n=48)
        np.testing.assert_array_equal(made.density, again.density)
        assert (made.density.min(), made.density.max()) == (0.0, 1.0)
        assert largest_diameter(made.density, threshold=0.02) == pytest.approx(made.diameter_voxels, abs=4.0)
    assert not np.array_equal(made.density, assembly(name, rng=np.random.default_rng(9), n=48).density)


def test_a_capsid_looks_the_same_along_its_two_fold_axes() -> None:
    density = assembly("capsid", rng=np.random.default_rng(1), n=49).density  # no core, and an odd box has a middle
    for axes in ((0, 1), (0, 2), (1, 2)):
        turned = np.rot90(density, 2, axes=axes)
        assert np.corrcoef(turned.ravel(), density.ravel())[0, 1] > 0.99


def test_a_capsid_without_core_is_hollow_and_a_chain_is_not() -> None:
    capsid = assembly("capsid", rng=np.random.default_rng(1), n=48).density
    chain = assembly("chain", rng=np.random.default_rng(1), n=48).density
    assert capsid[21:27, 21:27, 21:27].max() < 0.05
    middle = np.round(ndimage.center_of_mass(chain)).astype(int)
    assert chain[tuple(middle)] > 0.1


def test_what_makes_no_assembly_is_refused() -> None:
    with pytest.raises(InputError, match="'capsids'; did you mean 'capsid'"):
        assembly("capsids", rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="choose one of: capsid, chain, helix"):
        assembly("zzz", rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="at least 16 voxels"):
        assembly("chain", rng=np.random.default_rng(0), n=8)
