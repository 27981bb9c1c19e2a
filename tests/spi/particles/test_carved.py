"""Icosahedra stretched and carved: one body each, of many proportions, and some as they were."""

import numpy as np
import pytest
from scipy.ndimage import label

from friedel.spi.particles.carved import carved_icosahedron
from friedel.spi.particles.particle import FILL, Particle, largest_diameter


@pytest.fixture(scope="module")
def made() -> list[Particle]:
    return [carved_icosahedron(np.random.default_rng([3, k]), n=48) for k in range(24)]


def middle(density: np.ndarray) -> float:
    return float(density[24, 24, 24])


def test_each_is_one_body_of_the_diameter_it_says(made: list[Particle]) -> None:
    for one in made:
        _, pieces = label(one.density > 0.1)  # walls may be thinner than a voxel
        assert pieces == 1
        # A bore along the longest axis takes the tips away.
        assert 0.75 < largest_diameter(one.density) / (FILL * 48) < 1.06


def test_some_are_regular_some_stretched_and_some_hollow_or_pierced(made: list[Particle]) -> None:
    regular = [one for one in made if one.name == "icosahedron"]
    hollow = [one for one in made if middle(one.density) < 0.6]
    assert 2 <= len(regular) <= 12
    assert 5 <= len(hollow) <= 18
    assert all(middle(one.density) == 1 for one in regular)
    volumes = np.array([one.density.sum() for one in made])
    assert volumes.min() < 0.3 * volumes.max()


def test_the_same_state_makes_the_same_body(made: list[Particle]) -> None:
    again = carved_icosahedron(np.random.default_rng([3, 7]), n=48)
    np.testing.assert_array_equal(again.density, made[7].density)
