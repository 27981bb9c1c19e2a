"""The isosurface level: half for a clean crystal, lower where the bulk scatters, and never from empty data."""

import numpy as np
import pytest
from scipy import ndimage

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.strain.surface import find_isosurface, inside_of
from friedel.core.errors import InputError


def test_a_clean_crystal_is_cut_at_half_and_keeps_its_volume() -> None:
    crystal = random_crystal((48, 48, 48), seed=1, amplitude_variation=0.02, shape_family="cuboctahedron")
    amplitude = ndimage.gaussian_filter(np.abs(crystal.object), 0.8) * 7.0
    surface = find_isosurface(amplitude, amplitude > 1e-3)
    assert surface.bulk == pytest.approx(7.0, rel=0.06)
    assert surface.level == pytest.approx(0.5)
    inside, dropped = inside_of(amplitude, surface.threshold)
    assert dropped == 0
    assert inside.sum() == pytest.approx(crystal.polyhedron.volume, rel=0.08)


def test_a_scattered_bulk_lowers_the_level() -> None:
    rng = np.random.default_rng(0)
    amplitude = np.abs(rng.normal(1.0, 0.2, (20, 20, 20)))
    surface = find_isosurface(amplitude, np.ones_like(amplitude, dtype=bool))
    assert surface.spread == pytest.approx(0.2, abs=0.05)
    assert 0.25 <= surface.level < 0.5
    assert "scatter" in surface.reason


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_level_has_no_unit(scale: float) -> None:
    amplitude = np.abs(random_crystal((32, 32, 32), seed=3).object)
    plain, scaled = find_isosurface(amplitude, amplitude > 0), find_isosurface(amplitude * scale, amplitude > 0)
    assert scaled.level == pytest.approx(plain.level, rel=1e-3)
    assert scaled.bulk == pytest.approx(plain.bulk * scale, rel=1e-3)


def test_a_loose_support_does_not_pull_the_bulk_down() -> None:
    amplitude = np.abs(random_crystal((48, 48, 48), seed=4, amplitude_variation=0.02).object)
    haze = amplitude + np.abs(np.random.default_rng(1).normal(0, 0.03, amplitude.shape))
    assert find_isosurface(haze, np.ones_like(haze, dtype=bool)).bulk == pytest.approx(1.0, abs=0.08)


def test_only_the_largest_piece_is_kept() -> None:
    amplitude = np.zeros((12, 12, 12))
    amplitude[2:6, 2:6, 2:6] = 1.0
    amplitude[9:11, 9:11, 9:11] = 1.0
    inside, dropped = inside_of(amplitude, 0.5)
    assert (inside.sum(), dropped) == (64, 8)


def test_nothing_to_cut_is_refused() -> None:
    empty = np.zeros((8, 8, 8))
    with pytest.raises(InputError, match="no positive amplitude"):
        find_isosurface(empty, np.ones_like(empty, dtype=bool))
    with pytest.raises(InputError, match="lower isosurface_level"):
        inside_of(empty, 0.5)
