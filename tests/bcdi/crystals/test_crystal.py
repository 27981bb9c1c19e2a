"""Random crystals keep what was asked of them."""

import numpy as np
import pytest

from friedel.bcdi.crystals.random_crystal import STRAINS, random_crystal
from friedel.core.errors import InputError
from friedel.core.outlines import SHAPES

BOX = (24, 28, 33)


def test_the_same_seed_gives_the_same_crystal() -> None:
    first, second = random_crystal(BOX, seed=5), random_crystal(BOX, seed=5)
    np.testing.assert_array_equal(first.object, second.object)
    assert not np.array_equal(first.object, random_crystal(BOX, seed=6).object)


@pytest.mark.parametrize("strain", [name for name in STRAINS if name not in ("none", "dislocation")])
@pytest.mark.parametrize("span", [1.0, 2 * np.pi])
def test_the_phase_range_is_exactly_as_asked_and_has_no_ramp(strain: str, span: float) -> None:
    crystal = random_crystal(BOX, seed=2, phase_range_rad=span, strain_family=strain, amplitude_variation=0.0)
    assert crystal.phase_range_rad == pytest.approx(span, rel=1e-5)
    inside = np.argwhere(crystal.support)
    design, weights = np.column_stack([np.ones(len(inside)), inside]), np.abs(crystal.object[crystal.support])
    plane = np.linalg.solve((design.T * weights) @ design, design.T @ (weights * crystal.phase[crystal.support]))
    assert np.abs(plane[1:]).max() < 1e-4 * span


@pytest.mark.parametrize("family", SHAPES)
def test_the_extent_follows_the_oversampling(family: str) -> None:
    crystal = random_crystal((32, 32, 32), seed=3, oversampling=(2.0, 2.5, 4.0), shape_family=family)
    np.testing.assert_allclose(crystal.polyhedron.extent, [16, 12.8, 8], rtol=1e-6)
    filled = np.argwhere(crystal.support)
    assert np.all(np.abs(np.ptp(filled, axis=0) + 1 - crystal.polyhedron.extent) <= 2)


def test_antialiased_amplitudes_add_up_to_the_volume() -> None:
    crystal = random_crystal((32, 32, 32), seed=4, amplitude_variation=0.0)
    assert np.abs(crystal.object).sum() == pytest.approx(crystal.polyhedron.volume, rel=0.01)
    binary = random_crystal((32, 32, 32), seed=4, amplitude_variation=0.0, antialiased=False)
    np.testing.assert_allclose(np.unique(np.abs(binary.object).round(5)), [0, 1])


def test_a_dislocation_turns_the_phase_once() -> None:
    crystal = random_crystal((48, 48, 48), seed=0, strain_family="dislocation", phase_range_rad=0.1, oversampling=2.0)
    assert 2 * np.pi - 0.5 < crystal.phase_range_rad < 2 * np.pi + 0.2


def test_naming_a_family_leaves_the_rest_of_chance_alone() -> None:
    drawn = random_crystal(BOX, seed=7)
    named = random_crystal(BOX, seed=7, shape_family=drawn.shape_family, strain_family=drawn.strain_family)
    np.testing.assert_array_equal(drawn.object, named.object)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="unknown shape family 'ball'"):
        random_crystal(BOX, seed=0, shape_family="ball")
    with pytest.raises(InputError, match="at least 1"):
        random_crystal(BOX, seed=0, oversampling=0.5)
