"""The lattice: how many sites, which translations fold away, which reflections are allowed."""

import numpy as np
import pytest

from friedel.bcdi.crystals.fcc import (
    METALS,
    checked_reflection,
    equivalent_reflections,
    lattice_sites,
    less_translations,
)
from friedel.core.errors import InputError


def test_sites_are_one_lattice_with_twelve_neighbours() -> None:
    sites = lattice_sites(2.0, 1.0)
    distances = np.linalg.norm(sites, axis=1)
    assert np.sum(np.isclose(distances, np.sqrt(0.5))) == 12
    assert np.sum(np.isclose(distances, 0.0)) == 1


def test_every_translation_folds_to_zero_and_a_small_vector_stays() -> None:
    sites, rng = lattice_sites(8.0, 4.08), np.random.default_rng(0)
    small = rng.uniform(-0.4, 0.4, sites.shape)
    np.testing.assert_allclose(less_translations(sites + small, 4.08), small, atol=1e-9)


def test_folding_takes_the_nearest_site() -> None:
    vectors = np.random.default_rng(1).uniform(-3, 3, (200, 3))
    nearest = np.linalg.norm(vectors[:, None] - lattice_sites(5.0, 1.0), axis=2).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(less_translations(vectors, 1.0), axis=1), nearest, atol=1e-9)


@pytest.mark.parametrize("hkl", [(1, 0, 0), (1, 1, 2), (0, 0, 0)])
def test_forbidden_reflections_are_refused(hkl: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="all odd or all even"):
        checked_reflection(hkl)


def test_families_count_each_pair_once() -> None:
    assert [len(equivalent_reflections(hkl)) for hkl in ((1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1))] == [4, 3, 6, 12]


def test_all_metals_name_a_potential() -> None:
    assert {metal.potential[:2] for metal in METALS.values()} == {"Au", "Ag", "Cu", "Ni", "Pd", "Pt"}
